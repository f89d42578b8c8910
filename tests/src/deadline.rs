//! Waiting for processes, but never for ever: what is not there in time ends
//! the process, and the test with what the process had to say.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long anything may take. Far more than anything does; only what would
/// never come reaches it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The lines that a process prints, as they come.
#[must_use]
pub fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The pipe is read to its end even if nobody listens any more, or
            // the process would stop at a full one.
            let _ = sender.send(line);
        }
    });
    lines
}

/// What a process has printed so far, for the message of a test that fails.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<String>>);

impl Said {
    /// Keeps what comes.
    #[must_use]
    pub fn by(output: impl Read + Send + 'static) -> Self {
        let said = Self::default();
        let text = Arc::clone(&said.0);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        said
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a program to its end.
///
/// # Panics
/// If it does not start, or has not ended at the deadline: it is killed then,
/// and the message is what it printed as an error.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let (sender, ended) = mpsc::channel();
    let stdout = whole(child.stdout.take().expect("a piped output"), sender.clone());
    let stderr = whole(child.stderr.take().expect("a piped output"), sender);
    let until = Instant::now() + DEADLINE;
    for _ in 0..2 {
        if ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
            kill(&mut child);
            let said = stderr.join().unwrap_or_default();
            panic!("{command:?} does not end\n{}", String::from_utf8_lossy(&said));
        }
    }
    let status = child.wait().expect("a child of ours");
    Output {
        status,
        stdout: stdout.join().expect("the reader ends"),
        stderr: stderr.join().expect("the reader ends"),
    }
}

fn whole(
    mut output: impl Read + Send + 'static,
    ended: mpsc::Sender<()>,
) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.read_to_end(&mut bytes);
        let _ = ended.send(());
        bytes
    })
}

/// Waits until a process has ended; one that has not at the deadline is ended
/// by force, which its status shows.
///
/// # Panics
/// If it was waited for before.
pub fn ended(child: &mut Child) -> ExitStatus {
    let process = Pid::from_child(child);
    let (done, waited) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waited.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    });
    let status = child.wait().expect("a child of ours");
    drop(done);
    let _ = watch.join();
    status
}

/// Ends a process by force, if it has not ended yet.
pub fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
