//! The synthetic counties that the load writes to, and the people who may:
//! made once through the server's own interface, then copied for each run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use duxue_document::{DocumentId, DocumentKind, RoundId, SchoolId};
use serde_json::{Value, json};

use crate::Outcome;
use crate::server::{Kind, Server, free_port};

/// Counties, and schools in each, as many as a real county has.
const COUNTIES: usize = 16;
const SCHOOLS: usize = 70;
/// Inspectors; each may write every school. The load's clients share them.
const INSPECTORS: usize = 50;
const PASSWORD: &str = "only for this bench";

/// A school whose survey the load may write.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The document.
    pub id: DocumentId,
    /// The round.
    pub round: RoundId,
    /// The school.
    pub school: SchoolId,
}

/// A data folder with rounds and people, and what is needed to use it.
pub struct Template {
    /// The folder; each run gets a copy.
    pub data: PathBuf,
    /// One log-in for each inspector.
    pub tokens: Vec<String>,
    /// Every survey that there is.
    pub surveys: Vec<Survey>,
}

impl Template {
    /// Starts a server on an empty folder, sets the counties up, and ends it.
    ///
    /// # Errors
    /// What the server refuses.
    pub fn prepare(program: &Path, data: PathBuf) -> Outcome<Arc<Self>> {
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let port = free_port()?;
        let mut server = Server::bare(Kind::Ours { program: program.to_owned() }, data.clone(), port);
        server.start_process()?;
        let outcome = set_up(port, data);
        server.stop();
        outcome.map(Arc::new)
    }
}

/// How our server is started on a data folder.
#[must_use]
pub fn serve(program: &Path, data: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    // Settings of the person's shell are for other servers.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUXUE_")) {
        command.env_remove(name);
    }
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
    command.env("DUXUE_ADMINISTRATOR_PASSWORD", PASSWORD).env("RUST_LOG", "warn");
    command
}

fn set_up(port: u16, data: PathBuf) -> Outcome<Template> {
    let mut api = Api::new(port);
    api.token = api.login("admin")?;
    let inspectors: Vec<String> = (1..=INSPECTORS).map(|number| format!("inspector-{number}")).collect();
    for name in &inspectors {
        let person = json!({ "person": name, "name": name, "login": { "name": name, "password": PASSWORD } });
        api.post("/api/people", &person)?;
    }
    let mut surveys = Vec::new();
    for county in 1..=COUNTIES {
        let (round, code) = (format!("bench-{county}"), format!("99{county:02}01"));
        let new = json!({
            "id": round, "name": "合成县", "jurisdiction": code, "standard": "cn-youzhi-2017",
            "settings": { "as_of": "2026-09-01", "synthetic": true },
        });
        api.post("/api/rounds", &new)?;
        let ids: Vec<String> = (1..=SCHOOLS).map(|number| format!("99{county:02}01{number:04}")).collect();
        let mut sheet = "学校标识码,学校名称,办学类型,城乡分类,举办者类型\n".to_owned();
        for id in &ids {
            sheet += &format!("{id},合成小学{id},小学,镇区,7\n");
        }
        let report =
            api.post_bytes(&format!("/api/rounds/{round}/import?filename=register.csv"), sheet.as_bytes())?;
        if report["errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
            return Err(format!("the register was not imported: {}", report["errors"][0]));
        }
        for person in &inspectors {
            let assignment = json!({ "person": person, "role": "inspector", "schools": ids });
            api.post(&format!("/api/rounds/{round}/assignments"), &assignment)?;
        }
        for id in ids {
            let round: RoundId = round.parse().map_err(|_| "a round's id".to_owned())?;
            let school: SchoolId = id.parse().map_err(|_| "a school's id".to_owned())?;
            let document = DocumentId::derive(&round, school.as_str(), DocumentKind::Survey);
            surveys.push(Survey { id: document, round, school });
        }
    }
    let tokens = inspectors.iter().map(|name| api.login(name)).collect::<Outcome<_>>()?;
    Ok(Template { data, tokens, surveys })
}

/// The server's HTTP interface with one session.
pub struct Api {
    base: String,
    /// The log-in.
    pub token: String,
    agent: ureq::Agent,
}

impl Api {
    /// Without a log-in yet.
    #[must_use]
    pub fn new(port: u16) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { base: format!("http://127.0.0.1:{port}"), token: String::new(), agent }
    }

    fn login(&self, name: &str) -> Outcome<String> {
        let session = self.post("/api/login", &json!({ "name": name, "password": PASSWORD }))?;
        session["token"].as_str().map(str::to_owned).ok_or_else(|| "a log-in without a token".to_owned())
    }

    /// Posts JSON; the answer's JSON.
    ///
    /// # Errors
    /// What the server refuses.
    pub fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    /// Posts bytes; the answer's JSON.
    ///
    /// # Errors
    /// What the server refuses.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Outcome<Value> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("authorization", self.bearer());
        let sent = request.header("content-type", "application/json").send(body);
        let mut answer = sent.map_err(|error| format!("{path}: {error}"))?;
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{path}: {error}"))?;
        if !answer.status().is_success() {
            return Err(format!("{path}: {} {text}", answer.status()));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a photo's bytes by tus 1.0 as our devices do: creation, then the
    /// bytes. Both answers must be successes.
    ///
    /// # Errors
    /// What the server refuses.
    pub fn upload(&self, survey: &Survey, hash: &str, bytes: &[u8]) -> Outcome {
        use base64::Engine;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let metadata =
            [("sha256", hash), ("round", survey.round.as_str()), ("school", survey.school.as_str())]
                .map(|(name, value)| format!("{name} {}", encode(value)))
                .join(",");
        let create = self
            .agent
            .post(format!("{}/api/files", self.base))
            .header("authorization", self.bearer())
            .header("tus-resumable", "1.0.0")
            .header("upload-length", bytes.len().to_string())
            .header("upload-metadata", metadata);
        let mut answer = create.send_empty().map_err(|error| format!("tus creation: {error}"))?;
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let place = answer.headers().get("location").and_then(|place| place.to_str().ok());
        let Some(place) = place.filter(|_| answer.status().is_success()) else {
            return Err(format!("tus creation: {} {text}", answer.status()));
        };
        let url = if place.starts_with('/') { format!("{}{place}", self.base) } else { place.to_owned() };
        let send = self
            .agent
            .patch(url)
            .header("authorization", self.bearer())
            .header("tus-resumable", "1.0.0")
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream");
        let mut answer = send.send(bytes).map_err(|error| format!("tus upload: {error}"))?;
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(format!("tus upload: {} {text}", answer.status()))
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}
