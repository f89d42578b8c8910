//! A real file system that is small: memory that is mounted on a folder, seen
//! by one server and by the test, and gone with the test.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::deadline::{self, DEADLINE};

/// The file that takes the room.
const BALLAST: &str = "ballast";

/// A small file system in a mount namespace of its own. Root makes one
/// directly, others inside a user namespace.
pub struct SmallDisk {
    /// Keeps the namespace, and with it the files, while servers come and go.
    holder: Child,
    at: PathBuf,
    own_user: bool,
}

impl SmallDisk {
    /// Mounts one on a folder, which is made.
    ///
    /// # Panics
    /// Where the system does not allow it; see [`SmallDisk::if_allowed`].
    #[must_use]
    pub fn mount(at: &Path, mebibytes: u32) -> Self {
        Self::if_allowed(at, mebibytes)
            .expect("this test needs root or user namespaces to mount a small file system")
    }

    /// Mounts one on a folder, which is made. `None` where the system allows it
    /// neither to this user as root nor in a user namespace.
    ///
    /// # Panics
    /// If `unshare` is not installed.
    #[must_use]
    pub fn if_allowed(at: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let own_user = std::fs::metadata("/proc/self").expect("Linux").uid() != 0;
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if own_user {
            command.args(["--user", "--map-root-user"]);
        }
        let script = format!(
            "mount -t tmpfs -o size={mebibytes}m tmpfs \"$0\" && echo mounted && exec cat >/dev/null"
        );
        command.args(["sh", "-c", &script]).arg(at);
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux, is installed");
        let said = deadline::lines(holder.stdout.take().expect("a piped output")).recv_timeout(DEADLINE);
        if said.as_deref() != Ok("mounted") {
            deadline::kill(&mut holder);
            return None;
        }
        Some(Self { holder, at: at.to_owned(), own_user })
    }

    /// What runs a program where the file system is seen.
    #[must_use]
    pub fn within(&self) -> Vec<String> {
        let mut words = vec!["nsenter".to_owned(), format!("--target={}", self.holder.id())];
        words.push("--mount".to_owned());
        if self.own_user {
            words.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        words
    }

    /// Takes all room but for so many bytes.
    ///
    /// # Panics
    /// If its ballast cannot be written for another reason than that.
    pub fn fill(&self, but: u64) {
        let mut ballast = File::create(self.seen(BALLAST)).expect("a file");
        let mut part = vec![7; 1 << 20];
        let mut written = 0;
        while !part.is_empty() {
            match ballast.write(&part) {
                Ok(count) => written += count as u64,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    part.truncate(part.len() / 2)
                }
                Err(error) => panic!("the ballast: {error}"),
            }
        }
        ballast.set_len(written.saturating_sub(but)).expect("a shorter file");
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// If the ballast is not there.
    pub fn clear(&self) {
        std::fs::remove_file(self.seen(BALLAST)).expect("the ballast");
    }

    /// A file of it, as this process sees it.
    fn seen(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let at = self.at.strip_prefix("/").unwrap_or(&self.at);
        root.join(at).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        deadline::kill(&mut self.holder);
    }
}
