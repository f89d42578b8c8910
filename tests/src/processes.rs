//! The product's own programs as processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::deadline::{self, DEADLINE};

/// The folder of the built programs; builds them if this test was started
/// without `cargo xtask test`.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        let folder = test.ancestors().nth(2).expect("target/debug/deps/test").to_path_buf();
        if std::env::var_os("XTASK_BUILT").is_some() {
            return folder;
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--quiet", "-p", "duxue-server", "-p", "duxue-client"]);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        build.env("CARGO_TARGET_DIR", folder.parent().expect("the target folder"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the programs do not build");
        folder
    })
}

/// A command without the settings of the person's shell.
fn clean(program: &Path) -> Command {
    without_settings(Command::new(program))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUXUE_")) {
        command.env_remove(name);
    }
    command
}

/// The administrator's password in these tests.
pub const ADMINISTRATOR_PASSWORD: &str = "only for this test";

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Where it listens; a free port of loopback if empty.
    pub listen: String,
    /// Limits other than the defaults.
    pub limits: Vec<(&'static str, u64)>,
    /// Other settings, by name.
    pub settings: Vec<(&'static str, String)>,
    /// A program that runs the server in its own place, with its arguments.
    pub within: Vec<String>,
}

/// A running server; ended by force when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the server on a data folder and waits until it listens.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(data: &Path) -> Self {
        Self::start_as(data, &Start::default())
    }

    /// Starts the server in a certain way.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_as(data: &Path, start: &Start) -> Self {
        let program = programs().join("duxue-server");
        let mut command = match start.within.split_first() {
            Some((within, arguments)) => {
                let mut command = Command::new(within);
                command.args(arguments).arg(program);
                without_settings(command)
            }
            None => clean(&program),
        };
        for (limit, value) in &start.limits {
            command.env(format!("DUXUE_LIMITS_{}", limit.to_uppercase()), value.to_string());
        }
        for (setting, value) in &start.settings {
            command.env(format!("DUXUE_{}", setting.to_uppercase()), value);
        }
        let listen = if start.listen.is_empty() { "127.0.0.1:0" } else { &start.listen };
        let mut child = command
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .env("DUXUE_ADMINISTRATOR_PASSWORD", ADMINISTRATOR_PASSWORD)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = deadline::lines(child.stdout.take().expect("a piped output"));
        let address = std::iter::from_fn(|| lines.recv_timeout(DEADLINE).ok())
            .find_map(|line| line.strip_prefix("listening: ").map(str::to_owned));
        let Some(address) = address else {
            deadline::kill(&mut child);
            panic!("the server does not say where it listens");
        };
        Self { child, address: address.parse().expect("an address") }
    }

    /// Ends the process with SIGKILL: nothing is flushed, nothing is said.
    ///
    /// # Panics
    /// If it has ended already, which would be a crash.
    pub fn kill(mut self) {
        assert!(self.child.try_wait().expect("a child of ours").is_none(), "the server ended by itself");
        self.child.kill().expect("a running process");
        self.child.wait().expect("a killed process");
    }

    /// Asks the process to end with SIGTERM, as service managers do, and waits
    /// until it has.
    ///
    /// # Panics
    /// If it does not end, or not well.
    pub fn stop(mut self) {
        let asked = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        asked.expect("the server still runs");
        let status = deadline::ended(&mut self.child);
        assert!(status.success(), "the server ended with {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One person's device: the command line on a home folder of its own.
pub struct Device {
    home: PathBuf,
}

impl Device {
    /// A device that keeps everything in this folder.
    #[must_use]
    pub fn new(home: PathBuf) -> Self {
        Self { home }
    }

    /// The command line, ready to run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(&programs().join("duxue"));
        command.arg("--home").arg(&self.home).arg("--json").args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, whatever that is.
    ///
    /// # Panics
    /// If the program does not start, or does not end.
    #[must_use]
    pub fn attempt(&self, arguments: &[&str]) -> Output {
        deadline::output(&mut self.command(arguments))
    }

    /// Runs a command that must succeed; its JSON lines.
    ///
    /// # Panics
    /// If it fails, with what it printed.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.attempt(arguments);
        assert!(
            output.status.success(),
            "duxue {}: {}\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        lines(&output)
    }

    /// What a command that must succeed tells people, in English.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn words(&self, arguments: &[&str]) -> String {
        self.words_in("en", arguments)
    }

    /// The same in a language.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn words_in(&self, language: &str, arguments: &[&str]) -> String {
        let mut command = clean(&programs().join("duxue"));
        command.arg("--home").arg(&self.home).args(["--lang", language]).args(arguments).stdin(Stdio::null());
        let output = deadline::output(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command that must succeed and print one JSON value last.
    ///
    /// # Panics
    /// If it fails or prints nothing.
    #[must_use]
    pub fn value(&self, arguments: &[&str]) -> Value {
        self.run(arguments).pop().unwrap_or_else(|| panic!("duxue {} prints nothing", arguments.join(" ")))
    }

    /// Logs a desk user in.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn login(&self, server: &str, name: &str, password: &str) {
        let mut command = self.command(&["login", "--server", server, "--name", name]);
        let output = deadline::output(command.env("DUXUE_PASSWORD", password));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The JSON values that a command printed, one a line.
#[must_use]
pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The server's HTTP interface with one session.
pub struct Api {
    base: String,
    token: String,
}

impl Api {
    /// Logs in.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn login(server: &str, name: &str, password: &str) -> Self {
        let mut api = Self { base: format!("{server}/api"), token: String::new() };
        let session = api.post("/login", &serde_json::json!({ "name": name, "password": password }));
        session["token"].as_str().expect("a token").clone_into(&mut api.token);
        api
    }

    /// The session's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Reads.
    ///
    /// # Panics
    /// If the answer is an error.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.base));
        let request = request.config().timeout_global(Some(DEADLINE)).build();
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        let mut answer = request.call().unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let text = answer.body_mut().read_to_string().expect("a readable body");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Posts JSON; the answer, null where it is empty.
    ///
    /// # Panics
    /// If the answer is an error.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(DEADLINE))
            .http_status_as_error(false)
            .build()
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json");
        let mut answer =
            request.send(body.to_string()).unwrap_or_else(|error| panic!("POST {path}: {error}"));
        let text = answer.body_mut().read_to_string().expect("a readable body");
        assert!(answer.status().is_success(), "POST {path}: {} {text}", answer.status());
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }
}

/// Sends any request with a session's token; its answer, errors among them,
/// and nothing where none came.
#[must_use]
pub fn request(
    token: &str,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<ureq::http::Response<ureq::Body>> {
    let request = ureq::http::Request::builder().method(method).uri(url);
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(DEADLINE))
        .build()
        .into();
    agent.run(request.body(body).ok()?).ok()
}
