//! What the routes stand on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duxue_document::{DeviceId, PersonId, PhotoHash, RoundId};
use duxue_protocol::api::{ActorBinding, NewRound};
use duxue_standards::{builtin, date};
use ed25519_dalek::SigningKey;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::accounts::{Accounts, Caller, NewPerson};
use crate::audit::By;
use crate::clock::now_ms;
use crate::config::{Bodies, Config};
use crate::fault::{self, Fault};
use crate::feed::{Change, Feed};
use crate::hub::Hub;
use crate::hub::rows::ACTORS;
use crate::import;
use crate::photos::files::{FileSystem, Files};
use crate::photos::{self, LinkRow, Photos};
use crate::policy::Service;
use crate::random;
use crate::readmodel::ReadModel;
use crate::receipts;
use crate::rounds::{DocumentName, Round, Rounds};
use crate::scrub;
use crate::store::{Store, StoreError};
use crate::transport::SocketLimits;

/// Everything that lives as long as the server.
pub struct App {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// People, devices, sessions.
    pub accounts: Arc<Accounts>,
    /// Rounds, schools, assignments.
    pub rounds: Arc<Rounds>,
    /// Documents and the sessions that sync them.
    pub hub: Hub,
    /// What happened, for those who watch.
    pub feed: Arc<Feed>,
    /// Consolidated views and assessments.
    pub readmodel: Arc<ReadModel>,
    /// Signs receipts.
    pub key: SigningKey,
    /// Photos by hash.
    pub photos: Arc<Photos>,
    /// The folder of the web app's files.
    pub web: Option<PathBuf>,
    /// Proxies in front of the server.
    pub proxies: Vec<IpAddr>,
    /// What the last check of the journal found.
    pub journal_check: scrub::Found,
    watch: Arc<crate::watched::Watched>,
    metrics: Option<PrometheusHandle>,
    request_time: Duration,
    sockets: SocketLimits,
    bodies: Bodies,
    imports: import::Limits,
    web_bytes: u64,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened or read.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The data folder or the key in it.
    #[error("the data folder: {0}")]
    Data(#[from] std::io::Error),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Transport(#[from] crate::transport::TransportError),
    /// The folder of photos.
    #[error("the photos: {0}")]
    Photos(#[from] photos::OpenError),
    /// Settings that do not fit together.
    #[error("the settings: {0}")]
    Config(String),
    /// The first administrator could not be made.
    #[error("the administrator's account: {0}")]
    Administrator(String),
}

impl App {
    /// Starts everything on an open store. `data` is the folder of the key.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: &Config,
        store: Arc<dyn Store>,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Arc<Self>, StartError> {
        Self::start_on(config, store, Arc::new(FileSystem), metrics).await
    }

    /// The same, with photos in files of another kind.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(
        config: &Config,
        store: Arc<dyn Store>,
        files: Arc<dyn Files>,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Arc<Self>, StartError> {
        config.limits.check().map_err(StartError::Config)?;
        config.limits.show();
        std::fs::create_dir_all(&config.data)?;
        let key = receipts::key(&config.data)?;
        let watch = Arc::new(crate::watched::Watched::new(store));
        let store: Arc<dyn Store> = Arc::clone(&watch) as Arc<dyn Store>;
        let accounts = Arc::new(Accounts::load(Arc::clone(&store), config.limits.sessions()).await?);
        let rounds = Arc::new(Rounds::load(Arc::clone(&store), config.limits.schools()).await?);
        let feed = Arc::new(Feed::new(Arc::clone(&store), Arc::clone(&rounds)));
        let readmodel = Arc::new(ReadModel::new(Arc::clone(&rounds), Arc::clone(&store)));
        let server_id = format!("duxue-{}", &random::hex(key.verifying_key().as_bytes())[..16]);
        let hub = Hub::new(
            Arc::clone(&store),
            Arc::clone(&rounds),
            config.limits.hub(),
            vec![Arc::clone(&readmodel) as _, Arc::clone(&feed) as _],
            server_id,
        )
        .await?;
        readmodel.connect(&hub);
        let request_time = Duration::from_secs(config.limits.request_seconds);
        let settings = config.limits.photos(config.data.join("photos"));
        let counts = hub.clone();
        let count: photos::Count = Arc::new(move |person, bytes| counts.count_written(person, bytes));
        let photos = Photos::open(files, settings, Arc::clone(&store), Arc::new(now_ms), count).await?;
        Ok(Arc::new(Self {
            store,
            accounts,
            rounds,
            hub,
            feed,
            readmodel,
            key,
            photos,
            web: config.web.clone(),
            proxies: config.trusted_proxies.clone(),
            journal_check: scrub::Found::default(),
            watch,
            metrics,
            request_time,
            sockets: config.limits.socket(),
            bodies: config.limits.bodies(),
            imports: config.limits.import(),
            web_bytes: config.limits.web_bytes,
        }))
    }

    /// Makes the first administrator if nobody has an account yet. Gives the
    /// password if it was made up, to be shown once.
    ///
    /// # Errors
    /// [`StartError::Administrator`].
    pub async fn first_administrator(&self, config: &Config) -> Result<Option<String>, StartError> {
        if !self.accounts.is_empty() {
            return Ok(None);
        }
        let failed = |fault: Fault| StartError::Administrator(fault.problem.message_en.into_owned());
        let given = config.administrator_password.clone();
        let made_up = match given {
            Some(_) => None,
            None => Some(random::hex(&random::bytes::<12>().map_err(failed)?)),
        };
        let password = given.or_else(|| made_up.clone()).unwrap_or_default();
        let new = NewPerson {
            id: None,
            name: config.administrator.clone(),
            login: Some((config.administrator.clone(), password)),
            administrator: true,
        };
        self.accounts.add_person(new, &By::CommandLine, now_ms()).await.map_err(failed)?;
        Ok(made_up)
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_time(&self) -> Duration {
        self.request_time
    }

    /// Bytes of the app's files that are kept in memory.
    #[must_use]
    pub fn web_bytes(&self) -> u64 {
        self.web_bytes
    }

    /// Limits of the bodies of requests.
    #[must_use]
    pub fn bodies(&self) -> Bodies {
        self.bodies
    }

    /// Limits of imported files.
    #[must_use]
    pub fn imports(&self) -> import::Limits {
        self.imports
    }

    /// Limits of a WebSocket.
    #[must_use]
    pub fn sockets(&self) -> SocketLimits {
        self.sockets
    }

    /// Metrics in Prometheus' text form; empty where no recorder is installed.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.hub.show_use();
        self.photos.show_use();
        self.metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Keeps the metrics' memory bounded.
    pub fn upkeep(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.run_upkeep();
        }
    }

    /// Whether the last write to the store succeeded.
    #[must_use]
    pub fn store_works(&self) -> bool {
        self.watch.works()
    }

    /// Finds out whether the store works again, if its last write failed.
    pub async fn try_store(&self) {
        self.watch.try_again(now_ms()).await;
    }

    /// Opens a round whose standards this server knows.
    ///
    /// # Errors
    /// `round.standard`, `exists`, or what the store says.
    pub async fn open_round(&self, new: NewRound, by: &By) -> Result<Arc<Round>, Fault> {
        if date::parse(&new.settings.as_of).is_none() {
            return Err(fault::invalid().with_detail("settings.as_of"));
        }
        self.rounds.open(new, by, now_ms()).await
    }

    /// The texts of a round's standards, base first.
    ///
    /// # Errors
    /// `round.standard` where this build no longer has one of them.
    pub fn standard_texts(&self, round: &Round) -> Result<Vec<String>, Fault> {
        let ids = std::iter::once(&round.row.standard).chain(&round.row.overlays);
        ids.map(|id| builtin::text(id).map(str::to_owned).ok_or_else(fault::unknown_standard)).collect()
    }

    /// Whose the actors of these documents are, by hex.
    ///
    /// # Errors
    /// What the store says.
    pub async fn actors(
        &self,
        names: impl Iterator<Item = DocumentName>,
    ) -> Result<BTreeMap<String, ActorBinding>, Fault> {
        let mut actors = BTreeMap::new();
        for name in names {
            for (_, row) in ACTORS.rows(&*self.store, &name.id().0).await? {
                actors.insert(row.actor, self.binding(&row.person, row.device.as_ref()));
            }
        }
        Ok(actors)
    }

    /// The same for evidence: whoever works at the round's desk reads what the
    /// devices are called too.
    ///
    /// # Errors
    /// As for [`Self::actors`].
    pub async fn evidence_actors(
        &self,
        caller: &Caller,
        round: &Round,
        names: impl Iterator<Item = DocumentName>,
    ) -> Result<BTreeMap<String, ActorBinding>, Fault> {
        let mut actors = self.actors(names).await?;
        if round.may(caller, Service::Desk) {
            for by in actors.values_mut() {
                let device = by.device.as_ref().and_then(|device| self.accounts.device(device));
                by.device_name = device.map(|device| device.name);
            }
        }
        Ok(actors)
    }

    /// A person and device as shown.
    #[must_use]
    pub fn binding(&self, person: &PersonId, device: Option<&DeviceId>) -> ActorBinding {
        let person_name = self.accounts.person(person).map(|person| person.name).unwrap_or_default();
        ActorBinding { person: person.clone(), person_name, device: device.cloned(), device_name: None }
    }

    /// Which of these photos are durable here, and which are missing: to the
    /// caller only a photo is here that they sent, or that is linked to a
    /// school whose photos they may see or send.
    pub async fn photos_here(
        &self,
        caller: &Caller,
        asked: BTreeSet<PhotoHash>,
    ) -> (BTreeSet<PhotoHash>, BTreeSet<PhotoHash>) {
        let counts = |link: &LinkRow| {
            link.person == caller.person
                || self.rounds.shows_photos(caller, &link.round, &link.school)
                || self.rounds.takes_photos(caller, &link.round, &link.school)
        };
        let here = self.photos.here(&asked, &counts).await;
        let missing = asked.difference(&here).copied().collect();
        (here, missing)
    }

    /// After an import or an assignment.
    pub fn register_changed(&self, round: &RoundId) {
        self.readmodel.register_changed(round);
        let change = Change { journal: self.store.last().0, what: "register", school: None, kind: None };
        self.feed.note(round, change);
    }
}

/// Where a data folder keeps its store.
#[must_use]
pub fn store_folder(data: &Path) -> std::path::PathBuf {
    data.join("store")
}
