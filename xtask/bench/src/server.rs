//! A server under test: ours or a peer, on a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duxue_document::DocumentId;

use crate::Outcome;
use crate::client::{Address, Client};
use crate::county::{self, Survey, Template};
use crate::documents::new_id;
use crate::process::{Tied, Usage};

/// How long a server may take until a client can join.
const READY: Duration = Duration::from_secs(30);

/// How to start a server.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The server of this repository.
    Ours {
        /// Its program.
        program: PathBuf,
    },
    /// A minimal server on the crate samod.
    Samod {
        /// Its program.
        program: PathBuf,
    },
    /// The npm sync server.
    Npm {
        /// The script that starts it on loopback.
        script: PathBuf,
    },
}

impl Kind {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours { .. } => "ours",
            Self::Samod { .. } => "samod",
            Self::Npm { .. } => "npm",
        }
    }

    fn command(&self, data: &Path, port: u16) -> Command {
        match self {
            Self::Ours { program } => county::serve(program, data, port),
            Self::Samod { program } => {
                let mut command = Command::new(program);
                command.arg(port.to_string()).arg(data);
                command
            }
            Self::Npm { script } => {
                let mut command = Command::new("node");
                command.arg(script).env("PORT", port.to_string()).env("DATA_DIR", data);
                command
            }
        }
    }
}

/// A server on a data folder, running or not.
pub struct Server {
    kind: Kind,
    data: PathBuf,
    port: u16,
    process: Option<Tied>,
    template: Option<Arc<Template>>,
    taken: usize,
}

impl Server {
    /// A server without counties, not started.
    #[must_use]
    pub fn bare(kind: Kind, data: PathBuf, port: u16) -> Self {
        Self { kind, data, port, process: None, template: None, taken: 0 }
    }

    /// A server on a new data folder, ours with the counties, started.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn fresh(kind: &Kind, template: &Arc<Template>, folder: &Path) -> Outcome<Self> {
        let data = folder.join(kind.name());
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        }
        let ours = matches!(kind, Kind::Ours { .. });
        if ours {
            copy_folder(&template.data, &data).map_err(|error| format!("{}: {error}", data.display()))?;
        } else {
            std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        }
        let mut server = Self::bare(kind.clone(), data, free_port()?);
        server.template = ours.then(|| Arc::clone(template));
        server.start().await?;
        Ok(server)
    }

    /// Starts it on what its data folder holds, and waits until a client can
    /// join; how long that took.
    ///
    /// # Errors
    /// When it ends, or nobody can join in time.
    pub async fn start(&mut self) -> Outcome<Duration> {
        let begin = Instant::now();
        self.start_process()?;
        let address = self.address(0);
        loop {
            match Client::connect(&address).await {
                Ok(client) => {
                    let took = begin.elapsed();
                    client.close().await;
                    return Ok(took);
                }
                Err(error) => self.still_starting(begin, &error)?,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it and waits until something listens.
    ///
    /// # Errors
    /// When it ends, or does not listen in time.
    pub fn start_process(&mut self) -> Outcome {
        let log = self.data.with_extension("log");
        self.process = Some(Tied::start(&self.kind.command(&self.data, self.port), &log)?);
        let begin = Instant::now();
        while let Err(error) = std::net::TcpStream::connect(("127.0.0.1", self.port)) {
            self.still_starting(begin, &error.to_string())?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn still_starting(&mut self, begin: Instant, error: &str) -> Outcome {
        let name = self.kind.name();
        if let Some(status) = self.process.as_mut().and_then(Tied::ended) {
            let log = std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            return Err(format!("{name} ended ({status}): {}", last.join(" | ")));
        }
        if begin.elapsed() > READY { Err(format!("{name} is not ready: {error}")) } else { Ok(()) }
    }

    /// How the client with this number reaches it.
    #[must_use]
    pub fn address(&self, client: usize) -> Address {
        let tokens = self.template.as_ref().map_or(&[][..], |template| &template.tokens);
        let token = (!tokens.is_empty()).then(|| tokens[client % tokens.len()].clone());
        let path = if matches!(self.kind, Kind::Ours { .. }) { "/sync" } else { "/" };
        Address { port: self.port, path, token }
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A document that was not used on this data folder before.
    ///
    /// # Errors
    /// When all are used.
    pub fn next_document(&mut self) -> Outcome<DocumentId> {
        if self.template.is_none() {
            return Ok(new_id());
        }
        self.next_survey().map(|survey| survey.id)
    }

    /// A survey that was not used on this data folder before; ours only.
    ///
    /// # Errors
    /// When all are used.
    pub fn next_survey(&mut self) -> Outcome<Survey> {
        let surveys = self.template.as_ref().map_or(&[][..], |template| &template.surveys);
        let survey = surveys.get(self.taken).cloned().ok_or("the synthetic counties have no more schools")?;
        self.taken += 1;
        Ok(survey)
    }

    /// What the process uses.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.process.as_ref().map(Tied::usage).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end and waits.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if self.template.is_some() || !matches!(self.kind, Kind::Ours { .. }) {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// A port on loopback that is free now.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Outcome<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// What the disk says.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
