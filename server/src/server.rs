//! The server as a whole: opened on a data folder, run on a listener.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::app::{App, StartError, store_folder};
use crate::clock::now_ms;
use crate::config::Config;
use crate::http;
use crate::scrub;
use crate::store::embedded::EmbeddedStore;
use crate::store::journal;
use crate::store::{Store, StoreError};
use crate::transport::{self, Ended, Stop};

/// Between two rounds of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(300);

/// Between two tries of a store that failed.
const STORE_TRIED: Duration = Duration::from_secs(10);

/// A server that is open but does not listen yet.
pub struct Server {
    app: Arc<App>,
    config: Config,
    first_password: Option<String>,
}

/// Opens the data folder and serves until `shutdown`. A password that was made
/// up for the first administrator is printed once.
///
/// # Errors
/// [`StartError`].
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Ended, StartError> {
    let server = Server::open(config).await?;
    if let Some(password) = server.first_password() {
        println!("administrator: {}\npassword: {password}", server.config.administrator);
    }
    server.run(listener, shutdown).await
}

impl Server {
    /// Opens the data folder, and makes the administrator on the first start.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let folder = store_folder(&config.data);
        std::fs::create_dir_all(&folder)?;
        let options =
            journal::Options { segment_bytes: config.journal_segment_bytes, ..journal::Options::default() };
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open_with(&folder, options))
            .await
            .map_err(|error| StoreError::Damaged(error.to_string()))??;
        Self::on(config, Arc::new(store)).await
    }

    /// The same on a store that is open already.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn on(config: Config, store: Arc<dyn Store>) -> Result<Self, StartError> {
        let app = App::start(&config, store, recorder()).await?;
        let first_password = app.first_administrator(&config).await?;
        Ok(Self { app, config, first_password })
    }

    /// The password that was made up for the first administrator.
    #[must_use]
    pub fn first_password(&self) -> Option<&str> {
        self.first_password.as_deref()
    }

    /// What the routes stand on.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until `shutdown`, then ends requests and sockets and writes what
    /// was taken.
    ///
    /// # Errors
    /// Where the certificate or key cannot be used.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Ended, StartError> {
        let tls = match (&self.config.tls_certificate, &self.config.tls_key) {
            (Some(certificate), Some(key)) => Some(transport::tls(certificate, key)?),
            (None, None) => None,
            _ => return Err(StartError::Config("tls_certificate and tls_key belong together".to_owned())),
        };
        let stop = Stop::default();
        let routes = http::routes(&self.app, &stop);
        let limits = self.config.limits.transport();
        let trust = http::trust(&self.app);
        let readmodel = Arc::clone(&self.app.readmodel);
        let background = [
            tokio::spawn(keep_house(Arc::clone(&self.app))),
            tokio::spawn(keep_trying(Arc::clone(&self.app))),
            tokio::spawn(async move { readmodel.run().await }),
            tokio::spawn(scrub::keep_checking(Arc::clone(&self.app))),
        ];
        let ended = transport::serve(listener, tls, routes, limits, trust, stop, shutdown).await;
        for task in background {
            task.abort();
            // It ends at its next await, and must not write after what follows.
            let _ = task.await;
        }
        self.app.hub.stop().await;
        self.close().await;
        Ok(ended)
    }

    /// Writes what is needed to notice later that something acknowledged is
    /// missing. Nothing should be changed after this.
    pub async fn close(self) {
        if let Err(error) = self.app.store.attest().await {
            tracing::error!(
                %error,
                "the index could not be flushed: a journal that is cut off now could be taken for a torn write"
            );
        }
    }
}

async fn keep_house(app: Arc<App>) {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    loop {
        tick.tick().await;
        if let Err(error) = app.accounts.expire(now_ms()).await {
            tracing::warn!(%error, "expired sessions could not be removed");
        }
        app.photos.sweep().await;
        app.upkeep();
    }
}

async fn keep_trying(app: Arc<App>) {
    let mut tick = tokio::time::interval(STORE_TRIED);
    loop {
        tick.tick().await;
        app.try_store().await;
    }
}

/// The process has one recorder of metrics, however many servers run in it.
fn recorder() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Another recorder may have been installed by whoever embeds us.
            metrics::set_global_recorder(recorder).ok().map(|()| handle)
        })
        .clone()
}
