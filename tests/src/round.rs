//! A round on a real server, for tests of clients that we did not write.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::json;

use crate::processes::{ADMINISTRATOR_PASSWORD, Api, Device, Server, Start};

/// The round's id.
pub const ROUND: &str = "foreign";

/// A server that has a round of the demonstration county.
pub struct Round {
    // Before the folder, so that it ends before its data goes.
    server: Option<Server>,
    folder: tempfile::TempDir,
    data: PathBuf,
    start: Start,
    administrator: Api,
}

impl Round {
    /// Starts a server, opens the round and imports the county's register.
    ///
    /// # Panics
    /// If any of it fails.
    #[must_use]
    pub fn open() -> Self {
        Self::open_with(Start::default())
    }

    /// The same with a way to start.
    ///
    /// # Panics
    /// If any of it fails.
    #[must_use]
    pub fn open_with(start: Start) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        xtask::demo::write(&folder.path().join("county")).unwrap_or_else(|error| panic!("{error}"));
        let data = folder.path().join("server");
        let register = folder.path().join("county/register.csv");
        Self::open_in(folder, data, start, &register)
    }

    /// The same with a data folder, a way to start and a register of one's
    /// own.
    ///
    /// # Panics
    /// If any of it fails.
    #[must_use]
    pub fn open_in(folder: tempfile::TempDir, data: PathBuf, start: Start, register: &Path) -> Self {
        let start = Start { listen: address(), ..start };
        let server = Server::start_as(&data, &start);
        let url = format!("http://{}", start.listen);
        let administrator = Api::login(&url, "admin", ADMINISTRATOR_PASSWORD);
        let settings = json!({ "as_of": "2026-09-01", "synthetic": true });
        administrator.post(
            "/rounds",
            &json!({
                "id": ROUND, "name": "外部客户端（合成数据）", "jurisdiction": xtask::demo::COUNTY_CODE,
                "standard": "cn-youzhi-2017", "settings": settings,
            }),
        );
        let operator = Device::new(folder.path().join("operator"));
        operator.login(&url, "admin", ADMINISTRATOR_PASSWORD);
        let register = register.to_str().expect("a plain path");
        let report = operator.value(&["--round", ROUND, "import", register]);
        assert_eq!(report["written"], true, "{report}");
        Self { server: Some(server), folder, data, start, administrator }
    }

    /// The server's address; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.start.listen)
    }

    /// The socket's address of the server that runs now.
    ///
    /// # Panics
    /// If none runs.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().expect("a running server").address
    }

    /// A path in the round's own folder, which goes when the test ends.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the server with SIGKILL.
    ///
    /// # Panics
    /// If none runs, or it has ended by itself.
    pub fn kill(&mut self) {
        self.server.take().expect("a running server").kill();
    }

    /// Ends the server as service managers do.
    ///
    /// # Panics
    /// If none runs, or it does not end well.
    pub fn stop(&mut self) {
        self.server.take().expect("a running server").stop();
    }

    /// Starts the server again on the same data, at the same address.
    pub fn start(&mut self) {
        self.server = Some(Server::start_as(&self.data, &self.start));
    }

    /// The HTTP interface as the administrator.
    #[must_use]
    pub fn administrator(&self) -> &Api {
        &self.administrator
    }

    /// A person with a password, who is an inspector of these schools. The
    /// password is the name.
    pub fn inspector(&self, name: &str, schools: &[&str]) {
        self.administrator.post(
            "/people",
            &json!({ "person": name, "name": name, "login": { "name": name, "password": password(name) } }),
        );
        self.assign(name, "inspector", schools);
    }

    /// The HTTP interface as someone at a desk.
    #[must_use]
    pub fn desk(&self, name: &str, role: &str) -> Api {
        self.administrator.post(
            "/people",
            &json!({ "person": name, "name": name, "login": { "name": name, "password": password(name) } }),
        );
        self.assign(name, role, &[]);
        Api::login(&self.url(), name, &password(name))
    }

    /// Replaces a person's assignment.
    pub fn assign(&self, person: &str, role: &str, schools: &[&str]) {
        let assignment = json!({ "person": person, "role": role, "schools": schools });
        self.administrator.post(&format!("/rounds/{ROUND}/assignments"), &assignment);
    }

    /// Our own client, enrolled for these schools.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn device(&self, person: &str, schools: &[&str]) -> Device {
        let enrolment =
            json!({ "person_name": person, "person": person, "round": ROUND, "schools": schools });
        let code = self.administrator.post("/enrolments", &enrolment);
        let device = Device::new(self.path(person));
        let code = code["code"].as_str().expect("a code");
        let _ = device.run(&["enrol", "--server", &self.url(), "--code", code]);
        let _ = device.run(&["packet"]);
        device
    }
}

/// The password of a person of the round.
#[must_use]
pub fn password(name: &str) -> String {
    format!("password of {name}")
}

/// An address that stays ours while the server is down: its port is below
/// those that the system gives to connections.
fn address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 100).unwrap_or(0) * 100;
    (0..u16::MAX)
        .map(|_| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000)
        .map(|port| format!("127.0.0.1:{port}"))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}
