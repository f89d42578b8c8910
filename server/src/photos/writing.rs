//! The file of an upload while one request writes to it, each time on a thread
//! that may wait for the disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use duxue_document::PhotoHash;
use sha2::{Digest, Sha256};

use super::files::{Files, PartFile, apart};
use super::staging::Upload;
use super::{Photos, sniff};

/// The file, opened with the first bytes.
pub(super) struct Writing<'a> {
    files: &'a Arc<dyn Files>,
    path: PathBuf,
    end: u64,
    opened: Option<Opened>,
}

struct Opened {
    file: Box<dyn PartFile>,
    /// If all bytes come with this request.
    whole: Option<Whole>,
}

/// What is known of bytes that were seen from the first on.
#[derive(Default)]
struct Whole {
    hasher: Sha256,
    media_type: Option<&'static str>,
}

impl Whole {
    fn update(&mut self, bytes: &[u8]) {
        self.media_type.get_or_insert_with(|| sniff::media_type(bytes));
        self.hasher.update(bytes);
    }
}

impl<'a> Writing<'a> {
    /// Bytes behind `offset` were never acknowledged; they are of a request
    /// that did not live to flush them.
    pub fn new(photos: &'a Photos, upload: &Upload, offset: u64) -> Self {
        let files = photos.staging.files();
        Self { files, path: photos.staging.part(upload), end: offset, opened: None }
    }

    /// Behind what was written.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Hash and media type, if all bytes from the first on were written here.
    pub fn whole(&self) -> Option<(PhotoHash, &'static str)> {
        let whole = self.opened.as_ref()?.whole.as_ref()?;
        Some((PhotoHash(whole.hasher.clone().finalize().into()), whole.media_type?))
    }

    /// Writes bytes, and gives their memory back for more.
    pub async fn append(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        self.write(bytes, false).await
    }

    /// Writes bytes, and makes durable all that was written.
    pub async fn flush(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.write(bytes, true).await.map(drop)
    }

    async fn write(&mut self, bytes: Vec<u8>, durably: bool) -> io::Result<Vec<u8>> {
        let (path, end, opened) = (self.path.clone(), self.end, self.opened.take());
        let work = apart(self.files, move |files| {
            let mut opened = match opened {
                Some(opened) => opened,
                None => Opened { file: files.open(&path, end)?, whole: (end == 0).then(Whole::default) },
            };
            if !bytes.is_empty() {
                opened.file.append(&bytes)?;
                if let Some(whole) = &mut opened.whole {
                    whole.update(&bytes);
                }
            }
            if durably {
                opened.file.sync()?;
            }
            Ok((opened, bytes))
        });
        let (opened, mut bytes) = work.await?;
        self.opened = Some(opened);
        self.end += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        bytes.clear();
        Ok(bytes)
    }

    /// Drops what is behind this offset, durably.
    pub async fn cut_off(&mut self, offset: u64) -> io::Result<()> {
        self.opened = None;
        self.end = offset;
        let path = self.path.clone();
        apart(self.files, move |files| files.open(&path, offset)?.sync()).await
    }
}
