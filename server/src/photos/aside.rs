//! Uploads whose bytes are not what was declared, kept whole for whoever asks
//! what happened, as long as there is room for such.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::{in_use, refused};

use super::files::Files;

/// So much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    pub files: u64,
    pub bytes: u64,
}

impl Kept {
    fn add(&mut self, files: &dyn Files, names: &[PathBuf]) -> io::Result<()> {
        for name in names {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(files.length(name)?);
        }
        Ok(())
    }
}

/// The folder, and what is in it. Files that an operator takes out count until
/// the next start.
pub(super) struct Aside {
    folder: PathBuf,
    kept: Mutex<Kept>,
}

impl Aside {
    /// Makes the folder, and counts what is there.
    pub fn open(files: &dyn Files, folder: PathBuf) -> io::Result<Self> {
        files.make_folder(&folder)?;
        let mut kept = Kept::default();
        kept.add(files, &files.list(&folder)?)?;
        Ok(Self { folder, kept: Mutex::new(kept) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves files of another folder here, if all of them and all that is here
    /// are no more than `room`.
    pub fn put(&self, files: &dyn Files, names: &[PathBuf], room: Kept) -> io::Result<()> {
        let mut kept = self.kept();
        let mut all = *kept;
        all.add(files, names)?;
        if all.bytes > room.bytes {
            refused("upload_aside_bytes");
            return Ok(());
        }
        if all.files > room.files {
            refused("upload_aside_files");
            return Ok(());
        }
        *kept = all;
        drop(kept);
        self.take(files, names)
    }

    /// The same where nothing may be dropped, because nobody knows what it is.
    pub fn put_in_any_case(&self, files: &dyn Files, names: &[PathBuf]) -> io::Result<()> {
        self.kept().add(files, names)?;
        self.take(files, names)
    }

    fn take(&self, files: &dyn Files, names: &[PathBuf]) -> io::Result<()> {
        for name in names {
            let file: &Path = name.file_name().unwrap_or_default().as_ref();
            files.rename(name, &self.folder.join(file))?;
        }
        Ok(())
    }

    /// Shows in the metrics what is kept.
    pub fn show_use(&self) {
        let kept = *self.kept();
        in_use("upload_aside_bytes", usize::try_from(kept.bytes).unwrap_or(usize::MAX));
        in_use("upload_aside_files", usize::try_from(kept.files).unwrap_or(usize::MAX));
    }
}
