//! TLS from certificate files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};

use super::TransportError;

/// The protocols that we agree to. HTTP/1.1 must stay: browsers open
/// WebSockets over it.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Reads a certificate chain and its key, both PEM.
///
/// # Errors
/// [`TransportError::Certificate`] for a file that cannot be used,
/// [`TransportError::Tls`] where the two do not fit.
pub fn tls(certificates: &Path, key: &Path) -> Result<TlsAcceptor, TransportError> {
    let unusable =
        |path: &Path, reason: String| TransportError::Certificate { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(certificates, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificates, "no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;

    // The provider is named because rustls refuses to choose between two.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|source: Error| TransportError::Tls { source })?;
    let mut config = config;
    config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
