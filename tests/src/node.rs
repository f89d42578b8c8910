//! The JavaScript clients in `tests/foreign` as processes.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use crate::deadline::{DEADLINE, Said, kill, lines, output};

/// A command that runs one of the scripts; installs the packages if this test
/// was started without `cargo xtask test`.
fn node(script: &str) -> Command {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| xtask::node::step().unwrap_or_else(|failure| panic!("{failure}")));
    let mut command = Command::new("node");
    command.arg(xtask::node::folder().join(script));
    command
}

/// Uploads a photo with tus-js-client: its outcome, or its error.
///
/// # Panics
/// If the process prints something else.
pub fn upload(details: &Value) -> Result<Value, String> {
    let output = output(node("upload.mjs").arg(details.to_string()).stdin(Stdio::null()));
    let text = String::from_utf8_lossy(&output.stdout);
    outcome(serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    }))
}

fn outcome(line: Value) -> Result<Value, String> {
    match line {
        Value::Object(mut fields) => match fields.remove("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(fields.remove("ok").unwrap_or_default()),
        },
        other => panic!("not an outcome: {other}"),
    }
}

/// A process that runs automerge-repo; ended by force when dropped.
pub struct Node {
    child: Child,
    input: ChildStdin,
    outcomes: Receiver<String>,
    said: Said,
    last: u64,
}

impl Node {
    /// Starts `client.mjs` and connects it to the server. `details` are those
    /// of its command `open`.
    ///
    /// # Panics
    /// If it does not start or cannot log in.
    #[must_use]
    pub fn open(details: Value) -> Self {
        let mut command = node("client.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("node starts");
        let mut node = Self {
            input: child.stdin.take().expect("a piped input"),
            outcomes: lines(child.stdout.take().expect("a piped output")),
            said: Said::by(child.stderr.take().expect("a piped output")),
            child,
            last: 0,
        };
        let _ = node.call("open", details);
        node
    }

    /// Gives a command and waits for what comes of it.
    ///
    /// # Errors
    /// The error's text, as the script caught it.
    ///
    /// # Panics
    /// If the process ends, or nothing comes until the deadline; it is killed
    /// then, and the message has what it printed.
    pub fn attempt(&mut self, command: &str, details: Value) -> Result<Value, String> {
        self.last += 1;
        let mut line = details;
        line["id"] = json!(self.last);
        line["command"] = json!(command);
        let sent = writeln!(self.input, "{line}");
        let answer = sent.ok().and_then(|()| self.outcomes.recv_timeout(DEADLINE).ok());
        let Some(answer) = answer else {
            kill(&mut self.child);
            panic!("node does not answer {line}\n{}", self.said.text());
        };
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("not JSON: {answer}"));
        assert_eq!(answer["id"], self.last, "{answer}");
        outcome(answer)
    }

    /// Gives a command that must succeed.
    ///
    /// # Panics
    /// If it fails, with what the process printed.
    pub fn call(&mut self, command: &str, details: Value) -> Value {
        let outcome = self.attempt(command, details);
        outcome.unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.said.text()))
    }

    /// Ends the process with SIGKILL.
    pub fn kill(mut self) {
        kill(&mut self.child);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}
