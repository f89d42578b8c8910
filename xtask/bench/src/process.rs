//! Processes under test: starting them so that none outlives this program,
//! ending them by their id, and reading what they used.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::Outcome;

/// How long a process may take to end after it was asked to.
const ENDING: Duration = Duration::from_secs(10);

/// What a process used since it started, and holds now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of processor time, user and system.
    pub cpu_s: f64,
    /// Resident memory in kB.
    pub rss_kb: f64,
    /// The most that was ever resident, in kB.
    pub peak_kb: f64,
}

/// A child that dies with this program.
pub struct Tied {
    child: Child,
}

impl Tied {
    /// Starts a program through this one, which ties itself to its parent's
    /// life before it becomes the program. Call it from the main thread: the
    /// tie is to the thread that starts the child.
    ///
    /// # Errors
    /// If it cannot be started or the log cannot be written.
    pub fn start(command: &Command, log: &Path) -> Outcome<Self> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut tied = Command::new(own);
        tied.arg("tied").arg(std::process::id().to_string()).arg(command.get_program());
        tied.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tied.env(name, value),
                None => tied.env_remove(name),
            };
        }
        let child = tied
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it uses.
    #[must_use]
    pub fn usage(&self) -> Usage {
        usage(&self.child.id().to_string())
    }

    /// Ends it with SIGKILL: nothing is flushed, nothing is said.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and kills it if it does not.
    pub fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < ENDING && self.ended().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes another program that is killed when the parent dies. Returns only
/// if it cannot.
pub fn become_tied(parent: u32, program: &str, arguments: &[String]) -> String {
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.to_string();
    }
    // The parent may have died before the signal was set.
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        return "the parent has gone".to_owned();
    }
    Command::new(program).args(arguments).exec().to_string()
}

/// What this program used.
#[must_use]
pub fn own_usage() -> Usage {
    usage("self")
}

/// Busy processor seconds of the whole machine since it started.
#[must_use]
pub fn machine_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = first.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, then idle and iowait, then irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum::<f64>();
    busy / ticks_per_second()
}

fn usage(process: &str) -> Usage {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    };
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: Vec<f64> = after_name.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect();
    let used = |index: usize| ticks.get(index).copied().unwrap_or(0.0);
    Usage {
        cpu_s: (used(11) + used(12)) / ticks_per_second(),
        rss_kb: field("VmRSS:"),
        peak_kb: field("VmHWM:"),
    }
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Processors that this program may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_of_this_process_and_never_shrinks() {
        let before = own_usage();
        let mut sum = 0_u64;
        while own_usage().cpu_s <= before.cpu_s {
            sum = std::hint::black_box((0..100_000).fold(sum, u64::wrapping_add));
        }
        let after = own_usage();
        assert!(after.rss_kb > 0.0 && after.peak_kb >= after.rss_kb, "{after:?}");
        assert!(machine_cpu_s() >= after.cpu_s);
    }
}
