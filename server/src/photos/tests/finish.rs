//! What becomes a photo, who has it, and what is found damaged later.

use std::path::Path;
use std::sync::{Arc, Mutex};

use duxue_document::{PersonId, PhotoHash};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::photos::{Seen, rows};
use crate::store::{JournalNumber, Record, Store};

use super::{World, blob, code, header, jpeg, metadata, noise};

/// The crash between the last flushed byte and the row: an offset equal to
/// the length is only ever told when the photo is safe.
#[tokio::test]
async fn a_photo_whose_row_was_not_committed_is_finished_after_the_crash() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(5_000);
    let path = server.create(&photo).await;
    server.patch(&path, 0, &photo[..100]).await;
    drop(server);
    let part = world
        .files("staging")
        .into_iter()
        .find(|name| Path::new(name).extension().is_some_and(|e| e == "part"));
    std::fs::write(world.folder.path().join("staging").join(part.unwrap()), &photo).unwrap();
    let server = world.open().await;
    assert_eq!(server.photos.photo(&PhotoHash::of(&photo)).await.unwrap(), None);
    assert_eq!(server.offset(&path).await, 5_000);
    assert!(server.photos.photo(&PhotoHash::of(&photo)).await.unwrap().is_some());
}

/// What was logged at `warn` and above on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn other_bytes_than_declared_never_become_the_photo() {
    let logged = Logged::default();
    let log = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
    let subscriber = subscriber.with_writer(move || log.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let server = world.open().await;
    let (declared, sent) = (noise(1_000), vec![7; 1_000]);
    let path = server.create(&declared).await;
    let answer = server.patch(&path, 0, &sent).await;
    assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (460, "photo.hash"));
    let hash = PhotoHash::of(&declared);
    assert_eq!(server.photos.photo(&hash).await.unwrap(), None);
    assert!(server.photos.verify(&hash).await.is_err());
    assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404);
    assert_eq!(world.files("aside").len(), 2, "bytes and description are kept aside");
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert_eq!(logged, "", "what was set aside on purpose is no upload that waits");
    let records = world.store.records(JournalNumber(1), 10).await.unwrap();
    assert!(matches!(&records[0].1, Record::Event { kind, .. } if kind == "photo.hash_mismatch"));
    // The right bytes can still come.
    server.upload(&declared).await;
    server.photos.verify(&hash).await.unwrap();
}

/// A hash that was seen as bytes were written says nothing of a file that has
/// lost some of them since.
#[tokio::test]
async fn a_file_that_is_not_as_long_as_what_was_written_is_read_before_it_is_a_photo() {
    let photo = noise(5_000);
    // What is on the disk when the last byte was flushed, and whether it is a photo.
    for (name, left, is_photo) in [
        ("whole", photo.clone(), true),
        ("cut off", photo[..4_096].to_vec(), false),
        ("empty", Vec::new(), false),
        ("longer", [&photo[..], b"x"].concat(), false),
    ] {
        let world = World::new();
        let server = world.open().await;
        let path = server.create(&photo).await;
        let id = path.rsplit('/').next().unwrap();
        let upload = server.photos.staging.find(id, &PersonId::new("li").unwrap(), 0).await.unwrap();
        std::fs::write(server.photos.staging.part(&upload), left).unwrap();
        let seen = Seen { length: 5_000, media_type: "image/jpeg" };
        let finished = server.photos.finish(&upload, Some(seen)).await;
        assert_eq!(finished.is_ok(), is_photo, "{name}");
        let hash = PhotoHash::of(&photo);
        let row = server.photos.photo(&hash).await.unwrap();
        assert_eq!(row.map(|row| row.media_type).as_deref(), is_photo.then_some("image/jpeg"), "{name}");
        assert_eq!(server.photos.blobs.length(&hash).await.unwrap().is_some(), is_photo, "{name}");
    }
}

/// What is recorded of wrong bytes takes room in the journal, of which each
/// person has a share.
#[tokio::test]
async fn nobody_fills_the_journal_with_bytes_that_are_not_what_was_declared() {
    let world = World::new();
    let server = world.open().await;
    let events = async || world.store.records(JournalNumber(1), 100).await.unwrap().len();
    world.journal.store(1_500, std::sync::atomic::Ordering::SeqCst);
    let mut codes = Vec::new();
    let mut waits = String::new();
    for declared in 1..=4 {
        waits = server.create(&noise(declared)).await;
        codes.push(code(&server.patch(&waits, 0, &vec![7; declared]).await));
    }
    assert_eq!(codes, ["photo.hash", "photo.hash", "journal.person_full", "journal.person_full"]);
    assert_eq!(events().await, 2);
    assert_eq!(world.files("aside").len(), 4);
    // The right bytes need none of it.
    server.upload(&noise(1_000)).await;
    // What waited is recorded and set aside once there is room, after a start too.
    drop(server);
    let server = world.open().await;
    world.journal.store(1_500, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(server.send("HEAD", &waits, &[], b"").await.status(), 460);
    assert_eq!(server.send("HEAD", &waits, &[], b"").await.status(), 404);
    assert_eq!(world.files("aside").len(), 6);
}

/// Who sends a photo that is here, by who has it already: another inspector of
/// the same school need not send it again; someone of another school must have
/// the bytes, because a hash and a length are no photo.
#[tokio::test]
async fn a_photo_that_is_here_is_acknowledged_at_once_to_those_who_have_it() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let create = async |name: &str, school: &str, length: &str| {
        let (token, meta) = (format!("Bearer {name}"), metadata(&hash, school));
        let headers =
            [("authorization", token.as_str()), ("upload-length", length), ("upload-metadata", &meta)];
        server.send("POST", "/api/files", &headers, b"").await
    };
    let again = create("wang", "2137000001", "1000").await;
    assert_eq!((again.status().as_u16(), header(&again, "upload-offset")), (201, "1000"));
    let (wang, path) = (("authorization", "Bearer wang"), header(&again, "location").to_owned());
    let head = server.send("HEAD", &path, &[wang], b"").await;
    assert_eq!((header(&head, "upload-offset"), header(&head, "upload-length")), ("1000", "1000"));
    let nothing = server.send("PATCH", &path, &[wang, octets, ("upload-offset", "1000")], b"").await;
    assert_eq!((nothing.status().as_u16(), header(&nothing, "upload-offset")), (204, "1000"));
    assert_eq!(
        server.send("PATCH", &path, &[wang, octets, ("upload-offset", "0")], b"x").await.status(),
        409
    );
    let longer = create("wang", "2137000001", "1001").await;
    assert_eq!((longer.status().as_u16(), code(&longer).as_str()), (409, "photo.length_differs"));
    // Someone of another school.
    let zhao = ("authorization", "Bearer zhao");
    let claimed = create("zhao", "2137000002", "1000").await;
    assert_eq!((claimed.status().as_u16(), header(&claimed, "upload-offset")), (201, "0"));
    let original = format!("/api/photos/{hash}");
    assert_eq!(server.send("GET", &original, &[zhao], b"").await.status(), 404);
    let path = header(&claimed, "location").to_owned();
    let sent = server.send("PATCH", &path, &[zhao, octets, ("upload-offset", "0")], &photo).await;
    assert_eq!(sent.status(), 204);
    assert_eq!(server.send("GET", &original, &[zhao], b"").await.status(), 200);
    let links = rows::links(&world.store, &hash).await.unwrap();
    let people: Vec<_> = links.iter().map(|link| (link.school.as_str(), link.person.as_str())).collect();
    assert_eq!(people, [("2137000001", "li"), ("2137000002", "zhao")]);
    // The row still says who brought it first.
    assert_eq!(server.photos.photo(&hash).await.unwrap().unwrap().person.as_str(), "li");
    // Each photo that came is in the audit log.
    let records = world.store.records(JournalNumber(1), 100).await.unwrap();
    let received: Vec<_> = records
        .into_iter()
        .filter_map(|(_, record)| match record {
            Record::Event { kind, person, .. } => Some((kind, person.map(|person| person.to_string()))),
            _ => None,
        })
        .collect();
    let by = |name: &str| ("photo.received".to_owned(), Some(name.to_owned()));
    assert_eq!(received, [by("li"), by("zhao")]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_damaged_photo_is_missing_until_it_is_sent_again() {
    let photo = noise(1_000);
    let mut flipped = photo.clone();
    flipped[500] ^= 1;
    for (name, left) in
        [("lost", None), ("cut off", Some(&photo[..10])), ("a flipped bit", Some(&flipped[..]))]
    {
        let world = World::new();
        let server = world.open().await;
        let hash = server.upload(&photo).await;
        let asked = std::collections::BTreeSet::from([hash]);
        assert_eq!(server.photos.here(&asked, &|_| true).await, asked, "{name}");
        let file = blob(&world, &hash);
        match left {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let checked = server.photos.check(std::time::Duration::from_millis(1)).await.unwrap();
        assert_eq!(checked, crate::photos::Checked { whole: 0, lost: 1, unread: 0 }, "{name}");
        assert_eq!(server.photos.here(&asked, &|_| true).await.len(), 0, "{name}");
        // The phone that still has it sends it, and all is well.
        let path = server.create(&photo).await;
        assert_eq!(server.offset(&path).await, 0, "{name}");
        assert_eq!(server.patch(&path, 0, &photo).await.status(), 204, "{name}");
        assert_eq!(server.photos.here(&asked, &|_| true).await, asked, "{name}");
        let checked = server.photos.check(std::time::Duration::from_millis(1)).await.unwrap();
        assert_eq!(checked, crate::photos::Checked { whole: 1, lost: 0, unread: 0 }, "{name}");
    }
}

#[tokio::test]
async fn a_photo_of_another_length_than_its_row_is_missing_before_any_check() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    std::fs::write(blob(&world, &hash), &photo[..999]).unwrap();
    assert_eq!(server.photos.here(&[hash].into(), &|_| true).await.len(), 0);
    let path = server.create(&photo).await;
    assert_eq!(server.offset(&path).await, 0, "the bytes are asked for again");
}

/// What the disk says of one photo says nothing of the others.
#[tokio::test]
async fn a_photo_that_cannot_be_looked_for_does_not_hide_the_others() {
    let world = World::new();
    let server = world.open().await;
    let (unread, whole) = (server.upload(&noise(1_000)).await, server.upload(&noise(1_001)).await);
    let file = blob(&world, &unread);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    assert!(server.photos.blobs.length(&unread).await.is_err(), "a link to itself is an error of the disk");
    assert_eq!(server.photos.here(&[unread, whole].into(), &|_| true).await, [whole].into());
}

/// A reader gets a whole photo or a connection that breaks off, never wrong
/// bytes that look whole.
#[tokio::test]
async fn a_damaged_photo_is_not_served_to_its_end() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(300_000);
    let hash = server.upload(&photo).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(server.routes.clone()).incoming(listener).run());
    let ask = async || {
        let head = format!(
            "GET /api/photos/{hash} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer li\r\nConnection: close\r\n\r\n"
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that breaks off may do so with an error.
        let _ = connection.read_to_end(&mut answer).await;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8_lossy(&answer[..head]).to_lowercase(), answer.split_off(head))
    };
    let (head, body) = ask().await;
    assert!(head.contains("content-length: 300000"), "{head}");
    assert_eq!(body, photo);
    let mut flipped = photo.clone();
    flipped[10] ^= 1;
    std::fs::write(blob(&world, &hash), &flipped).unwrap();
    let (head, body) = ask().await;
    assert!(
        head.starts_with("http/1.1 200") && body.len() < photo.len(),
        "{} bytes after {head}",
        body.len()
    );
    while !server.photos.here(&[hash].into(), &|_| true).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let (head, _) = ask().await;
    assert!(head.starts_with("http/1.1 500"), "{head}");
}

#[tokio::test]
async fn photos_are_given_to_those_who_may_see_the_school() {
    let world = World::new();
    let server = world.open().await;
    let photo = jpeg(640, 480, None);
    let hash = server.upload(&photo).await;
    server.photos.derived().await;
    let path = format!("/api/photos/{hash}");
    let original = server.send("GET", &path, &[], b"").await;
    assert_eq!((original.status().as_u16(), original.body().as_ref()), (200, photo.as_slice()));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("content-disposition", &format!("inline; filename=\"{hash}.jpg\"")),
    ] {
        assert_eq!(header(&original, name), value);
    }
    let tag = header(&original, "etag").to_owned();
    let cached = server.send("GET", &path, &[("if-none-match", &tag)], b"").await;
    assert_eq!((cached.status().as_u16(), cached.body().len()), (304, 0));
    let thumbnail = server.send("GET", &format!("{path}/thumbnail"), &[], b"").await;
    let small = image::load_from_memory(thumbnail.body()).unwrap();
    assert_eq!((small.width(), small.height()), (320, 240));
    // Not yours is the same answer as not there.
    let not_yours = server.send("GET", &path, &[("authorization", "Bearer zhao")], b"").await;
    let not_there = server.send("GET", &format!("/api/photos/{}", PhotoHash::of(b"")), &[], b"").await;
    assert_eq!((not_yours.status(), not_yours.body()), (not_there.status(), not_there.body()));
    assert_eq!(not_yours.status(), 404);
    assert_eq!(server.send("GET", &path, &[("authorization", "")], b"").await.status(), 401);
}

#[tokio::test]
async fn a_rotten_original_is_noticed_and_mended_by_the_same_photo() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    std::fs::write(blob(&world, &hash), b"rot").unwrap();
    assert!(matches!(server.photos.verify(&hash).await, Err(crate::photos::BlobError::Damaged(_))));
    server.photos.blobs.put(&hash, photo).await.unwrap();
    server.photos.verify(&hash).await.unwrap();
    assert!(matches!(
        server.photos.blobs.put(&hash, vec![1]).await,
        Err(crate::photos::BlobError::Damaged(_))
    ));
    server.photos.verify(&hash).await.unwrap();
}

#[tokio::test]
async fn of_many_mismatches_only_so_many_are_kept() {
    // Of each a description too, of less than a thousand bytes.
    for (files, bytes, kept) in [(4, u64::MAX, 4), (u64::MAX, 2_000, 2), (5, u64::MAX, 4), (1, u64::MAX, 0)] {
        let mut world = World::new();
        (world.settings.aside_files, world.settings.aside_bytes) = (files, bytes);
        let mut server = world.open().await;
        for mismatch in 0..4_u8 {
            let path = server.create(&[mismatch; 1_000]).await;
            assert_eq!(code(&server.patch(&path, 0, &[9; 1_000]).await), "photo.hash");
            if mismatch == 2 {
                // A start counts what is there.
                server = world.open().await;
            }
        }
        assert_eq!(world.files("aside").len(), kept, "{files} files, {bytes} bytes");
        assert_eq!(world.files("staging"), [""; 0], "what is not kept is gone");
    }
}
