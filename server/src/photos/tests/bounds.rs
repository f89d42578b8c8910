//! What is over a limit of uploads is counted by the limit's name, and what is
//! just within it is not.

use tokio::io::AsyncReadExt;

use crate::config::counted::Counted;
use crate::photos::picture::{Decoder, derive, look, of_file};

use super::*;

/// Begins an upload in somebody's name; the answer.
async fn create(server: &Server, name: &str, photo: &[u8]) -> Answer {
    let (token, length) = (format!("Bearer {name}"), photo.len().to_string());
    let meta = metadata(&PhotoHash::of(photo), "2137000001");
    let headers = [("authorization", token.as_str()), ("upload-length", &length), ("upload-metadata", &meta)];
    server.send("POST", "/api/files", &headers, b"").await
}

/// An upload that sends nothing more ends, and goes on where it was.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_silent_for_too_long_ends() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(200_000);
    let counted = Counted::new();
    let (path, _, mut connection) = half_sent(&world, &server, &photo, 90_000).await;
    let begun = tokio::time::Instant::now();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("photo.idle"), "{answer}");
    assert!(begun.elapsed() >= world.settings.idle, "{:?}", begun.elapsed());
    assert_eq!(counted.refused("upload_idle_seconds"), 1);
    assert_eq!(server.offset(&path).await, 90_000, "what came is kept");
    assert_eq!(server.patch(&path, 90_000, &photo[90_000..]).await.status(), 204);
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

/// By whoever asks for it, or by the sweep: each counts once.
#[tokio::test]
async fn an_upload_is_kept_for_so_long() {
    let world = World::new();
    let server = world.open().await;
    let counted = Counted::new();
    let [asked, swept] = [server.create(&noise(100)).await, server.create(&noise(200)).await];
    world.clock.fetch_add(world.settings.expiry_ms - 1, Ordering::SeqCst);
    server.photos.sweep().await;
    for path in [&asked, &swept] {
        assert_eq!(server.patch(path, 0, b"x").await.status(), 204, "a moment before");
    }
    assert_eq!(counted.refused("upload_seconds"), 0);
    world.clock.fetch_add(1, Ordering::SeqCst);
    let gone = server.patch(&asked, 1, b"x").await;
    assert_eq!((gone.status().as_u16(), code(&gone).as_str()), (410, "photo.gone"));
    assert_eq!(counted.refused("upload_seconds"), 1);
    server.photos.sweep().await;
    assert_eq!(counted.refused("upload_seconds"), 2);
    assert_eq!(code(&server.patch(&swept, 1, b"x").await), "not_found");
    assert_eq!(counted.refused("upload_seconds"), 2);
}

#[tokio::test]
async fn so_many_finished_uploads_are_remembered() {
    let mut world = World::new();
    world.settings.remembered = 2;
    let server = world.open().await;
    let counted = Counted::new();
    let mut paths = Vec::new();
    for length in [100, 200, 300] {
        assert_eq!(counted.refused("uploads_remembered"), 0, "two fit");
        let path = server.create(&noise(length)).await;
        assert_eq!(server.patch(&path, 0, &noise(length)).await.status(), 204);
        paths.push(path);
    }
    assert_eq!(counted.refused("uploads_remembered"), 1);
    for (path, status) in paths.iter().zip([404, 200, 200]) {
        assert_eq!(server.send("HEAD", path, &[], b"").await.status(), status, "{path}");
    }
    // The photo is here all the same, which a new creation says.
    server.photos.verify(&PhotoHash::of(&noise(100))).await.unwrap();
    assert_eq!(server.offset(&server.create(&noise(100)).await).await, 100);
}

/// Each row is a limit, what fits into it, and what is over it.
#[tokio::test]
async fn what_one_person_may_have_under_way_or_bring_is_counted() {
    type Set = fn(&mut Settings);
    let rows: [(&str, Set, &str); 4] = [
        ("uploads_per_person", |set| set.uploads_per_person = 1, "photo.too_many"),
        ("upload_bytes_per_person", |set| set.staged_bytes_per_person = 1_100, "photo.too_many"),
        ("photos_per_person", |set| set.photos_per_person = 1, "photo.person_full"),
        ("photo_bytes_per_person", |set| set.bytes_per_person = 1_100, "photo.person_full"),
    ];
    for (limit, set, expected) in rows {
        let mut world = World::new();
        set(&mut world.settings);
        let server = world.open().await;
        let counted = Counted::new();
        let first = create(&server, "li", &noise(1_000)).await;
        assert_eq!(first.status(), 201, "{limit}");
        if expected == "photo.person_full" {
            let path = header(&first, "location").to_owned();
            assert_eq!(server.patch(&path, 0, &noise(1_000)).await.status(), 204, "{limit}");
        }
        assert_eq!(counted.refused(limit), 0, "{limit}");
        assert_eq!(code(&create(&server, "li", &noise(101)).await), expected, "{limit}");
        assert_eq!(counted.refused(limit), 1, "{limit}");
        assert_eq!(
            create(&server, "wang", &noise(101)).await.status(),
            201,
            "{limit}: others have their own"
        );
        assert_eq!(counted.refused(limit), 1, "{limit}");
    }
}

#[tokio::test]
async fn a_photo_has_so_many_bytes() {
    let mut world = World::new();
    world.settings.photo_bytes = 1_000;
    let server = world.open().await;
    let counted = Counted::new();
    assert_eq!(create(&server, "li", &noise(1_000)).await.status(), 201);
    assert_eq!(counted.refused("photo_bytes"), 0);
    assert_eq!(code(&create(&server, "li", &noise(1_001)).await), "photo.too_large");
    assert_eq!(counted.refused("photo_bytes"), 1);
}

/// A picture that is too large to be decoded is kept without a thumbnail. Each
/// row is a limit, what the picture has, and how it is set.
#[test]
fn pictures_that_are_too_large_are_counted() {
    let picture = jpeg(100, 50, None);
    type Set = fn(&mut Decoder, u64);
    let rows: [(&str, u64, Set); 2] = [
        ("image_side", 100, |limits, most| limits.side = u32::try_from(most).unwrap()),
        ("image_pixels", 5_000, |limits, most| limits.pixels = most),
    ];
    for (limit, has, set) in rows {
        for (most, refused) in [(has, 0), (has - 1, 1)] {
            let counted = Counted::new();
            let mut limits = Decoder::default();
            set(&mut limits, most);
            let (_, thumbnail) = derive(&picture, limits);
            assert_eq!((thumbnail.is_none(), counted.refused(limit)), (refused == 1, refused), "{limit}");
        }
    }
    let needed = look(&picture, Decoder::default()).decoding.unwrap() + of_file(picture.len() as u64);
    for (memory_bytes, refused) in [(needed, 0), (needed - 1, 1)] {
        let counted = Counted::new();
        let (_, thumbnail) = derive(&picture, Decoder { memory_bytes, ..Decoder::default() });
        assert_eq!((thumbnail.is_none(), counted.refused("image_memory_bytes")), (refused == 1, refused));
    }
}

#[tokio::test]
async fn what_the_disk_has_no_room_for_is_counted() {
    let mut world = World::new();
    world.settings.reserve_bytes = u64::MAX;
    let server = world.open().await;
    let counted = Counted::new();
    assert_eq!(code(&create(&server, "li", &noise(10)).await), "photo.no_room");
    assert!(counted.refused("photo_reserve_bytes") > 0);
}
