//! A disk that fails or fills up.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use duxue_document::{PersonId, PhotoHash};
use duxue_protocol::problem::Problem;
use futures_util::{StreamExt, stream};

use crate::fault::Fault;
use crate::photos::append::{Part, WRITTEN_AT_ONCE, append};
use crate::photos::body::Body;
use crate::photos::faulty::SimulatedFiles;
use crate::photos::files::Files;
use crate::photos::room;
use crate::store::faulty::SimulatedDisk;

use super::{Answer, Server, World, code, metadata, noise};

/// Measurements come in long after photos have to wait.
#[tokio::test]
async fn photos_leave_room_on_the_disk() {
    let mut world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let path = server.create(&photo).await;
    assert_eq!(server.patch(&path, 0, &photo[..100]).await.status(), 204);
    drop(server);
    world.settings.reserve_bytes = u64::MAX;
    let server = world.open().await;
    let refused = |answer: Answer| {
        let problem: Problem = serde_json::from_slice(answer.body()).unwrap();
        (answer.status().as_u16(), problem.code.into_owned())
    };
    let no_room = (507, "photo.no_room".to_owned());
    assert_eq!(refused(server.patch(&path, 100, &photo[100..]).await), no_room);
    let metadata = metadata(&PhotoHash::of(b"another"), "2137000001");
    let headers = [("upload-length", "7"), ("upload-metadata", metadata.as_str())];
    assert_eq!(refused(server.send("POST", "/api/files", &headers, b"").await), no_room);
    drop(server);
    // What came before goes on once there is room.
    world.settings.reserve_bytes = 0;
    let server = world.open().await;
    assert_eq!(server.patch(&path, 100, &photo[100..]).await.status(), 204);
}

/// A disk of so many bytes, of which uploads and photos take theirs.
fn disk(world: &World, capacity: u64) -> room::Free {
    fn used(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let of = |entry: std::fs::DirEntry| match entry.metadata() {
            Ok(found) if found.is_dir() => used(&entry.path()),
            Ok(found) if entry.path().extension().is_none_or(|ending| ending == "part") => found.len(),
            _ => 0,
        };
        entries.map(of).sum()
    }
    let folder = world.folder.path().to_owned();
    Arc::new(move || Ok(capacity - used(&folder)))
}

/// Half a photo on its way: it has begun, and waits for the rest.
struct Sending {
    rest: tokio::sync::oneshot::Sender<Result<Vec<u8>, warp::Error>>,
    ended: tokio::task::JoinHandle<Result<(), Fault>>,
}

async fn send_half(server: &Server, path: &str, photo: &[u8]) -> Sending {
    let id = path.rsplit('/').next().unwrap();
    let upload = server.photos.staging.find(id, &PersonId::new("li").unwrap(), 0).await.unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (rest, second) = tokio::sync::oneshot::channel();
    let half = photo[..photo.len() / 2].to_vec();
    let first = stream::once(async move {
        begun.send(()).unwrap();
        Ok(half)
    });
    // A sender that is dropped is a connection that ends.
    let body: Body = Box::pin(first.chain(stream::once(second).filter_map(|rest| ready(rest.ok()))));
    let part = Part { offset: 0, stated: None, checksum: None };
    let ended = tokio::spawn(append(Arc::clone(&server.photos), upload, part, body));
    has_begun.await.unwrap();
    Sending { rest, ended }
}

#[tokio::test]
async fn uploads_that_run_at_once_leave_room_together() {
    const LENGTH: usize = 200_000;
    const RESERVE: u64 = 1_000_000;
    let mut world = World::new();
    world.settings.reserve_bytes = RESERVE;
    // Room for two photos and a half.
    let server = world.open_on(disk(&world, RESERVE + 500_000)).await;
    let photos = [1, 2, 3].map(|first| [vec![first], noise(LENGTH - 1)].concat());
    let mut paths = Vec::new();
    for photo in &photos {
        paths.push(server.create(photo).await);
    }
    let one = send_half(&server, &paths[0], &photos[0]).await;
    let two = send_half(&server, &paths[1], &photos[1]).await;
    let third = async || server.patch(&paths[2], 0, &photos[2]).await;
    assert_eq!(code(&third().await), "photo.no_room", "two are on their way");
    two.rest.send(Ok(photos[1][LENGTH / 2..].to_vec())).unwrap();
    two.ended.await.unwrap().unwrap();
    assert_eq!(code(&third().await), "photo.no_room", "one is here and one on its way");
    drop(one.rest);
    one.ended.await.unwrap().unwrap();
    assert_eq!(server.offset(&paths[0]).await, LENGTH / 2);
    assert_eq!(third().await.status(), 204, "what an upload that ended did not use is free again");
    let rest = server.patch(&paths[0], LENGTH / 2, &photos[0][LENGTH / 2..]).await;
    assert_eq!(code(&rest), "photo.no_room", "now the disk is as full as photos may make it");
    assert_eq!(disk(&world, RESERVE + 500_000)().unwrap(), RESERVE);
}

/// A disk that takes so many of three parts and then is full.
#[tokio::test]
async fn a_failed_write_never_raises_the_offset_above_what_is_on_disk() {
    let part = u64::try_from(WRITTEN_AT_ONCE).unwrap();
    for good in 0..3 {
        let world = World::new();
        let disk = SimulatedDisk::new(good);
        let files: Arc<dyn Files> = Arc::new(SimulatedFiles::new(disk.clone(), world.folder.path()));
        let server = world.open_with(Arc::clone(&files), Arc::new(|| Ok(u64::MAX / 2))).await;
        let path = server.create(&noise(3 * WRITTEN_AT_ONCE)).await;
        disk.set_quota_bytes(disk.used_bytes() + good * part + part / 2);
        let parts = (0..3).map(|_| Ok::<_, warp::Error>(vec![7; WRITTEN_AT_ONCE]));
        let body: Body = Box::pin(stream::iter(parts.collect::<Vec<_>>()));
        let id = path.rsplit('/').next().unwrap();
        let upload = server.photos.staging.find(id, &PersonId::new("li").unwrap(), 0).await.unwrap();
        let whole = Part { offset: 0, stated: None, checksum: None };
        let fault = append(Arc::clone(&server.photos), Arc::clone(&upload), whole, body).await.unwrap_err();
        assert_eq!(fault.problem.code, "photo.disk_full", "{good} good writes");
        let left = files.length(&server.photos.staging.part(&upload)).unwrap_or(0);
        assert_eq!((upload.offset(), left), (0, 0), "{good} good writes");
    }
}
