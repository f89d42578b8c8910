//! Writes what one request brings behind what an upload has already.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha2::Digest;
use warp::http::StatusCode;

use crate::config::refused;
use crate::fault::{self, Fault};

use super::blobs::Seen;
use super::body::{self, Body};
use super::finish::Unfinished;
use super::room::Promise;
use super::staging::{Turn, Upload};
use super::writing::Writing;
use super::{Photos, faults};

/// Bytes that may be lost by a crash although they were received; what was
/// acknowledged is flushed in any case.
const FLUSH_EVERY: u64 = 4 << 20;

/// Bytes that are gathered for one write: each is handed to another thread and
/// back, and a connection gives some 16 KiB at a time.
pub(super) const WRITTEN_AT_ONCE: usize = 64 << 10;

/// One request's bytes.
pub(super) struct Part {
    pub offset: u64,
    pub stated: Option<u64>,
    pub checksum: Option<Checksum>,
}

/// The checksum that a request states, and that of what came so far.
pub(super) enum Checksum {
    Sha1(Vec<u8>, sha1::Sha1),
    Sha256(Vec<u8>, sha2::Sha256),
}

impl Checksum {
    /// Reads `Upload-Checksum`.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let header = || faults::header().with_detail("upload-checksum");
        let (algorithm, digest) = text.split_once(' ').ok_or_else(header)?;
        let digest = STANDARD.decode(digest.trim()).map_err(|_| header())?;
        match algorithm {
            "sha1" => Ok(Self::Sha1(digest, sha1::Sha1::new())),
            "sha256" => Ok(Self::Sha256(digest, sha2::Sha256::new())),
            _ => Err(faults::checksum_algorithm()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(_, hasher) => hasher.update(bytes),
            Self::Sha256(_, hasher) => hasher.update(bytes),
        }
    }

    fn matches(self) -> bool {
        match self {
            Self::Sha1(expected, hasher) => hasher.finalize()[..] == expected[..],
            Self::Sha256(expected, hasher) => hasher.finalize()[..] == expected[..],
        }
    }
}

/// Why a body was not taken whole.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The sender, the connection or another request; what came is kept.
    Body(Fault),
    /// The disk: what was not flushed may have holes.
    Disk(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Runs [`write`] to its end whatever becomes of the connection.
pub(super) async fn append(
    photos: Arc<Photos>,
    upload: Arc<Upload>,
    part: Part,
    body: Body,
) -> Result<(), Fault> {
    let task = tokio::spawn(async move { write(&photos, &upload, part, body).await });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an upload's task failed");
        Err(fault::internal())
    })
}

async fn write(photos: &Photos, upload: &Upload, part: Part, mut body: Body) -> Result<(), Fault> {
    let turn = match upload.turn().await {
        Ok(turn) => turn,
        Err(gone) => {
            body::drain(body).await;
            return Err(gone);
        }
    };
    if upload.is_complete() || part.offset != upload.offset() {
        let offset = upload.offset();
        let nothing_to_do = upload.is_complete() && part.offset == offset && part.stated == Some(0);
        if nothing_to_do {
            return Ok(());
        }
        body::drain(body).await;
        return Err(faults::offset().with_detail(offset.to_string()));
    }
    let room = photos.room.promise(upload.info.length.saturating_sub(part.offset)).await?;
    let mut stream =
        Stream { photos, upload, turn: &turn, room, file: Writing::new(photos, upload, part.offset) };
    let seen = stream.take(part, &mut body).await?;
    settle(photos, upload, seen).await
}

/// Makes a photo of an upload that has all its bytes, if their hash is right or
/// was seen to be as they came.
pub(super) async fn settle(photos: &Photos, upload: &Upload, seen: Option<Seen>) -> Result<(), Fault> {
    if upload.offset() != upload.info.length || upload.is_complete() {
        return Ok(());
    }
    match photos.finish(upload, seen).await {
        Ok(()) => Ok(()),
        Err(Unfinished::Refused(fault)) => Err(fault),
        Err(Unfinished::Waits(fault)) => {
            // Its bytes wait for another try. Whether that could be made durable,
            // too, changes nothing about what the client is told.
            if let Err(error) = photos.staging.keep(upload).await {
                tracing::warn!(%error, "an upload that could not be finished may not outlive a power cut");
            }
            Err(fault)
        }
    }
}

/// A body on its way into an upload's file.
pub(super) struct Stream<'a, 'b> {
    pub photos: &'a Photos,
    pub upload: &'a Upload,
    pub turn: &'a Turn<'b>,
    /// For what is not yet flushed.
    pub room: Promise,
    pub file: Writing<'a>,
}

impl Stream<'_, '_> {
    /// Writes a body behind what is there. Whatever ends it, what came is
    /// flushed and counted, except where its checksum does not match, it goes
    /// beyond the declared length, or the disk fails.
    ///
    /// Gives what was seen of a whole photo whose hash is right.
    pub async fn take(&mut self, part: Part, body: &mut Body) -> Result<Option<Seen>, Fault> {
        match self.write(part, body).await {
            Ok(seen) => Ok(seen),
            Err(Stopped::Body(fault)) => Err(fault),
            Err(Stopped::Disk(error)) => {
                // After a restart the offset is the length of the file. Should
                // this fail too, the photo's hash still tells.
                if let Err(error) = self.file.cut_off(self.upload.offset()).await {
                    tracing::error!(%error, "bytes of a failed write remain");
                }
                Err(faults::io(&error))
            }
        }
    }

    async fn write(&mut self, mut part: Part, body: &mut Body) -> Result<Option<Seen>, Stopped> {
        let mut gathered = Vec::new();
        let ended = match self.gather(&mut part.checksum, body, &mut gathered).await {
            Err(Stopped::Disk(error)) => return Err(error.into()),
            Err(Stopped::Body(fault)) => Err(fault),
            Ok(()) => Ok(()),
        };
        let mismatch = match (&ended, part.checksum) {
            (Ok(()), Some(checksum)) => !checksum.matches(),
            _ => false,
        };
        let too_long = matches!(&ended, Err(fault) if fault.status == StatusCode::PAYLOAD_TOO_LARGE);
        if mismatch || too_long {
            self.upload.set_offset(part.offset);
            self.file.cut_off(part.offset).await?;
            return Err(Stopped::Body(if mismatch { faults::checksum() } else { faults::too_large() }));
        }
        // What came before the sender stopped counts too.
        self.flush(gathered).await?;
        ended.map_err(Stopped::Body)?;
        let info = &self.upload.info;
        let length = self.file.end();
        let seen = self.file.whole().filter(|(hash, _)| length == info.length && *hash == info.hash);
        Ok(seen.map(|(_, media_type)| Seen { length, media_type }))
    }

    async fn flush(&mut self, gathered: Vec<u8>) -> io::Result<()> {
        self.file.flush(gathered).await?;
        let (end, length) = (self.file.end(), self.upload.info.length);
        if end < length {
            self.photos.staging.keep(self.upload).await?;
        }
        self.upload.set_offset(end);
        self.room.written(length.saturating_sub(end));
        Ok(())
    }

    /// Takes what comes; what is not yet written is in `gathered`.
    async fn gather(
        &mut self,
        checksum: &mut Option<Checksum>,
        body: &mut Body,
        gathered: &mut Vec<u8>,
    ) -> Result<(), Stopped> {
        let mut wanted = self.turn.watcher();
        loop {
            let next = tokio::select! {
                biased;
                () = wanted.pre_empted() => return Err(Stopped::Body(faults::preempted())),
                next = tokio::time::timeout(self.photos.settings.idle, body.next()) => next,
            };
            let bytes = match next {
                Err(_) => {
                    refused("upload_idle_seconds");
                    return Err(Stopped::Body(faults::idle()));
                }
                Ok(None) => return Ok(()),
                Ok(Some(Err(_))) => return Err(Stopped::Body(faults::broken_off())),
                Ok(Some(Ok(bytes))) => bytes,
            };
            let length = u64::try_from(gathered.len() + bytes.len()).unwrap_or(u64::MAX);
            if self.file.end().saturating_add(length) > self.upload.info.length {
                return Err(Stopped::Body(faults::too_large()));
            }
            if let Some(checksum) = checksum {
                checksum.update(&bytes);
            }
            gathered.extend_from_slice(&bytes);
            if gathered.len() < WRITTEN_AT_ONCE {
                continue;
            }
            *gathered = self.file.append(std::mem::take(gathered)).await?;
            if checksum.is_none() && self.file.end() - self.upload.offset() >= FLUSH_EVERY {
                self.flush(Vec::new()).await?;
            }
        }
    }
}
