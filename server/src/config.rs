//! What an operator sets: one TOML file, overridden by `DUXUE_…` variables.

#[cfg(test)]
pub(crate) mod counted;
mod limits;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::store::journal;

pub use limits::{Bodies, Limits, in_use, refused, refused_within};

/// The server's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder that holds everything that is durable.
    pub data: PathBuf,
    /// Where to listen. Plain HTTP is meant for loopback or a TLS proxy.
    pub listen: SocketAddr,
    /// PEM certificate chain; with `tls_key`, the server speaks TLS.
    pub tls_certificate: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// Log-in name of the administrator that the first start creates.
    pub administrator: String,
    /// The administrator's first password; random and printed once if absent.
    pub administrator_password: Option<String>,
    /// The folder of the built web app; without it none is served.
    pub web: Option<PathBuf>,
    /// Addresses of proxies in front of the server. They may open any number of connections, and whom their
    /// `X-Forwarded-For` names is who counts; nobody else's is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Bytes at which a file of the journal is sealed and the next one begun. Sealed files never change again: a
    /// copy of them stays one.
    pub journal_segment_bytes: u64,
    /// What peers and people may cost.
    pub limits: Limits,
}

/// Files that are smaller are many, and are never joined again.
const SMALLEST_SEGMENT: u64 = 16 << 10;

/// Every setting, as a variable without its prefix.
const FIELDS: &[&str] = &[
    "data",
    "listen",
    "tls_certificate",
    "tls_key",
    "administrator",
    "administrator_password",
    "web",
    "trusted_proxies",
    "journal_segment_bytes",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("duxue-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 7350)),
            tls_certificate: None,
            tls_key: None,
            administrator: "admin".to_owned(),
            administrator_password: None,
            web: None,
            trusted_proxies: Vec::new(),
            journal_segment_bytes: journal::Options::default().segment_bytes,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads the settings from a file, if one is given, and the environment.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn read(file: Option<&PathBuf>) -> Result<Self, String> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(format!("{}: no such file", file.display()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        // Other programs of ours have variables with the same prefix.
        let figment = figment.merge(Env::prefixed("DUXUE_").only(FIELDS)).merge(limits_from(Env::raw()));
        let config: Self = figment.extract().map_err(|error| error.to_string())?;
        config.limits.check()?;
        if config.journal_segment_bytes < SMALLEST_SEGMENT {
            return Err(format!("journal_segment_bytes: at least {SMALLEST_SEGMENT}"));
        }
        Ok(config)
    }
}

/// `DUXUE_LIMITS_FRAME_BYTES` is `frame_bytes` of the section.
fn limits_from(variables: Env) -> Env {
    variables.filter_map(|name| {
        let name = name.as_str().to_ascii_lowercase();
        name.strip_prefix("duxue_limits_").map(|limit| format!("limits.{limit}").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("duxue.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:9\"\n").expect("written");
        let config = Config::read(Some(&path)).expect("reads");
        assert_eq!(config, Config { listen: SocketAddr::from(([127, 0, 0, 1], 9)), ..Config::default() });
    }

    #[test]
    fn every_setting_can_be_a_variable() {
        let settings = serde_json::to_value(Config::default()).expect("is JSON");
        let names: std::collections::BTreeSet<&str> = FIELDS.iter().copied().collect();
        let expected: std::collections::BTreeSet<&str> =
            settings.as_object().expect("is an object").keys().map(String::as_str).collect();
        // The limits have variables of their own.
        assert_eq!(names, expected.into_iter().filter(|name| *name != "limits").collect());
    }

    #[test]
    fn a_limit_is_set_in_its_section_and_nowhere_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("duxue.toml");
        std::fs::write(&path, "[limits]\nframe_bytes = 1000\n").expect("written");
        let limits = Config::read(Some(&path)).expect("reads").limits;
        assert_eq!(limits, Limits { frame_bytes: 1_000, ..Limits::default() });
        for (text, named) in [
            ("frame_bytes = 1000", "frame_bytes"),
            ("[limits]\nframes = 1", "frames"),
            ("[limits]\nframe_bytes = 0", "frame_bytes"),
        ] {
            std::fs::write(&path, text).expect("written");
            assert!(Config::read(Some(&path)).is_err_and(|error| error.contains(named)), "{text}");
        }
    }

    #[test]
    fn unknown_settings_and_missing_files_are_errors() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("duxue.toml");
        assert!(Config::read(Some(&path)).is_err());
        std::fs::write(&path, "listn = \"127.0.0.1:9\"\n").expect("written");
        assert!(Config::read(Some(&path)).is_err_and(|error| error.contains("listn")));
    }
}
