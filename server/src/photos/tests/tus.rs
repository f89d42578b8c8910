//! The protocol: requests, resumption, limits.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duxue_document::{PersonId, PhotoHash};
use sha2::Digest;
use tokio::io::AsyncReadExt;

use crate::photos::append::WRITTEN_AT_ONCE;

use super::{Headers, World, code, half_sent, header, metadata, noise, written};

/// Method, path, headers and body; status and code.
type Case<'a> = (&'a str, &'a str, Headers<'a>, &'a [u8], u16, &'a str);

#[tokio::test]
async fn every_kind_of_request_gets_the_answer_that_tus_asks_for() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let meta = metadata(&PhotoHash::of(&photo), "2137000001");
    let other = metadata(&PhotoHash::of(&photo), "2137000002");
    let path = server.create(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let sha1 = format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(b"other")));
    let unknown = "/api/files/00000000000000000000000000000000";
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("POST", "/api/files", &[("tus-resumable", "0.2.2")], b"", 412, "photo.version"),
        ("POST", "/api/files", &[("tus-resumable", "")], b"", 412, "photo.version"),
        ("POST", "/api/files", &[("authorization", "")], b"", 401, "session.missing"),
        ("POST", "/api/files", &[("upload-metadata", &meta)], b"", 400, "photo.header"),
        ("POST", "/api/files", &[("upload-length", "-1"), ("upload-metadata", &meta)], b"", 400, "photo.header"),
        ("POST", "/api/files", &[("upload-length", "0"), ("upload-metadata", &meta)], b"", 400, "photo.empty"),
        ("POST", "/api/files", &[("upload-length", "4194305"), ("upload-metadata", &meta)], b"", 413, "photo.too_large"),
        ("POST", "/api/files", &[("upload-defer-length", "1"), ("upload-metadata", &meta)], b"", 400, "photo.deferred"),
        ("POST", "/api/files", &[("upload-length", "9")], b"", 400, "photo.metadata"),
        ("POST", "/api/files", &[("upload-length", "9"), ("upload-metadata", "sha256 !,round cjE=")], b"", 400, "photo.metadata"),
        ("POST", "/api/files", &[("upload-length", "9"), ("upload-metadata", &other)], b"", 404, "not_found"),
        ("GET", "/api/files", &[], b"", 405, "photo.method"),
        ("PUT", &path, &[], b"", 405, "photo.method"),
        ("PATCH", &path, &[("upload-offset", "0")], b"x", 415, "photo.content_type"),
        ("PATCH", &path, &[octets], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "x")], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "5")], b"x", 409, "photo.offset"),
        ("PATCH", &path, &[octets, ("upload-offset", "1001")], b"", 413, "photo.too_large"),
        ("PATCH", &path, &[octets, ("upload-offset", "0")], &[0; 1_001], 413, "photo.too_large"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", "md5 AAAA")], b"x", 400, "photo.checksum_algorithm"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", "sha1 !")], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", &sha1)], b"some", 460, "photo.checksum"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("authorization", "Bearer wang")], b"x", 404, "not_found"),
        ("PATCH", unknown, &[octets, ("upload-offset", "0")], b"x", 404, "not_found"),
        ("DELETE", &path, &[("authorization", "Bearer wang")], b"", 404, "not_found"),
        ("POST", &path, &[("x-http-method-override", "DELETE"), ("authorization", "Bearer wang")], b"", 404, "not_found"),
    ];
    for (method, path, headers, body, status, expected) in cases {
        let answer = server.send(method, path, headers, body).await;
        assert_eq!(
            (answer.status().as_u16(), code(&answer).as_str()),
            (*status, *expected),
            "{method} {headers:?}"
        );
        assert_eq!(header(&answer, "tus-resumable"), "1.0.0");
        assert_eq!(header(&answer, "tus-version") == "1.0.0", *status == 412);
    }
    assert_eq!(server.offset(&path).await, 0, "none of these left a byte");
    let options =
        server.send("OPTIONS", "/api/files", &[("tus-resumable", ""), ("authorization", "")], b"").await;
    assert_eq!(options.status(), 204);
    assert_eq!(
        header(&options, "tus-extension"),
        "creation,creation-with-upload,checksum,termination,expiration"
    );
    assert_eq!(header(&options, "tus-max-size"), "4194304");
}

#[tokio::test]
async fn checksums_overrides_and_termination_work() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(3_000);
    let path = server.create(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let sha1 = format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(&photo[..1_000])));
    let sha256 = format!("sha256 {}", STANDARD.encode(sha2::Sha256::digest(&photo[1_000..2_000])));
    let first = server
        .send("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", &sha1)], &photo[..1_000])
        .await;
    assert_eq!((first.status().as_u16(), header(&first, "upload-offset")), (204, "1000"));
    let overridden = [
        octets,
        ("upload-offset", "1000"),
        ("upload-checksum", &sha256),
        ("x-http-method-override", "PATCH"),
    ];
    let second = server.send("POST", &path, &overridden, &photo[1_000..2_000]).await;
    assert_eq!((second.status().as_u16(), header(&second, "upload-offset")), (204, "2000"));
    assert_eq!(server.send("DELETE", &path, &[], b"").await.status(), 204);
    assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404);
    assert_eq!(world.files("staging"), [""; 0]);
    // Creation with upload, whole.
    let length = photo.len().to_string();
    let meta = metadata(&PhotoHash::of(&photo), "2137000001");
    let whole = server
        .send("POST", "/api/files", &[octets, ("upload-length", &length), ("upload-metadata", &meta)], &photo)
        .await;
    assert_eq!((whole.status().as_u16(), header(&whole, "upload-offset")), (201, "3000"));
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

#[tokio::test]
async fn an_upload_resumes_after_a_crash_at_any_place() {
    let photo = noise(5_000);
    for cut in [0, 1, 17, 2_499, 4_999, 5_000] {
        let world = World::new();
        let server = world.open().await;
        let path = server.create(&photo).await;
        if cut > 0 {
            assert_eq!(server.patch(&path, 0, &photo[..cut]).await.status(), 204);
        }
        drop(server);
        let server = world.open().await;
        match cut {
            // Of what had no bytes nothing is kept: it begins again.
            0 => {
                assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404);
                server.upload(&photo).await;
            }
            5_000 => {}
            _ => {
                assert_eq!(server.offset(&path).await, cut);
                assert_eq!(server.patch(&path, cut, &photo[cut..]).await.status(), 204);
            }
        }
        let hash = PhotoHash::of(&photo);
        server.photos.verify(&hash).await.unwrap();
        let row = server.photos.photo(&hash).await.unwrap().unwrap();
        assert_eq!((row.length, row.person.as_str(), row.school.as_str()), (5_000, "li", "2137000001"));
        assert_eq!(world.files("staging"), [""; 0]);
    }
}

#[tokio::test]
async fn a_damaged_description_does_not_keep_the_server_from_starting() {
    let world = World::new();
    let server = world.open().await;
    let good = server.create(&noise(10)).await;
    assert_eq!(server.patch(&good, 0, &noise(10)[..4]).await.status(), 204);
    drop(server);
    let staging = world.folder.path().join("staging");
    // Of the second nothing was promised, because no byte of it is there.
    for (name, bytes) in [
        ("broken.json", b"{".as_slice()),
        ("broken.part", b"some"),
        ("empty.json", b""),
        ("empty.part", b""),
        ("alone.part", b"some"),
    ] {
        std::fs::write(staging.join(name), bytes).unwrap();
    }
    let server = world.open().await;
    assert_eq!(server.offset(&good).await, 4);
    let aside = world.files("aside");
    assert_eq!(aside, ["broken.json", "broken.part"]);
    assert_eq!(world.files("staging").len(), 2, "what is promised to nobody is gone");
}

/// A school's number with another digit is a school's number too.
#[tokio::test]
async fn an_upload_of_whose_description_a_bit_has_flipped_is_set_aside() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(10);
    let path = server.create(&photo).await;
    server.patch(&path, 0, &photo[..4]).await;
    drop(server);
    let staging = world.folder.path().join("staging");
    let name = world.files("staging").into_iter().find(|name| name.ends_with("json")).unwrap();
    let (described, part) = (staging.join(&name), staging.join(&name).with_extension("part"));
    let whole = std::fs::read(&described).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&described, bytes).unwrap();
        std::fs::write(&part, &photo[..4]).unwrap();
        let server = world.open().await;
        assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404, "byte {at}");
        drop(server);
        assert_eq!(world.files("aside").len(), 2, "byte {at}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_keeps_its_bytes() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(200_000);
    // Fewer than are written at once.
    let (path, part, connection) = half_sent(&world, &server, &photo, 40_000).await;
    drop(connection);
    written(&part, 40_000).await;
    assert_eq!(server.offset(&path).await, 40_000);
    assert_eq!(server.patch(&path, 40_000, &photo[40_000..]).await.status(), 204);
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_hangs_gives_way_and_keeps_its_bytes() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(200_000);
    let (path, part, mut connection) = half_sent(&world, &server, &photo, 90_000).await;
    written(&part, WRITTEN_AT_ONCE).await;
    // Asking for the offset takes the upload from the connection.
    let offset = server.offset(&path).await;
    assert!((WRITTEN_AT_ONCE..=90_000).contains(&offset), "{offset}");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("photo.preempted"), "{answer}");
    assert_eq!(server.patch(&path, offset, &photo[offset..]).await.status(), 204);
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

/// Who waits for an upload while it is ended does not bring it back.
#[tokio::test]
async fn a_request_that_waited_for_an_upload_that_ended_comes_too_late() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(5_000);
    let path = server.create(&photo).await;
    assert_eq!(server.patch(&path, 0, &photo[..100]).await.status(), 204);
    let id = path.rsplit('/').next().unwrap();
    let upload = server.photos.staging.find(id, &PersonId::new("li").unwrap(), 0).await.unwrap();
    let stalled = upload.turn().await.ok();
    let (deleted, late, ()) = tokio::join!(
        server.send("DELETE", &path, &[], b""),
        server.patch(&path, 100, &photo[100..]),
        async { drop(stalled) }
    );
    assert_eq!((deleted.status().as_u16(), late.status().as_u16()), (204, 404));
    assert_eq!(world.files("staging"), [""; 0]);
    assert_eq!(server.photos.photo(&PhotoHash::of(&photo)).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_patches_at_once_the_photo_comes_out_right() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(300_000);
    let path = server.create(&photo).await;
    let (a, b, c) = tokio::join!(
        server.patch(&path, 0, &photo),
        server.patch(&path, 0, &photo[..100_000]),
        server.patch(&path, 0, &photo[..200_000])
    );
    for answer in [a, b, c] {
        assert!([204, 409].contains(&answer.status().as_u16()), "{}", answer.status());
    }
    let offset = server.offset(&path).await;
    if offset < photo.len() {
        assert_eq!(server.patch(&path, offset, &photo[offset..]).await.status(), 204);
    }
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

#[tokio::test]
async fn limits_are_per_person_and_uploads_expire() {
    let mut world = World::new();
    world.settings.uploads_per_person = 2;
    world.settings.staged_bytes_per_person = 2_000;
    let server = world.open().await;
    let create = async |name: &str, photo: &[u8]| {
        let length = photo.len().to_string();
        let meta = metadata(&PhotoHash::of(photo), "2137000001");
        let token = format!("Bearer {name}");
        server
            .send(
                "POST",
                "/api/files",
                &[("authorization", &token), ("upload-length", &length), ("upload-metadata", &meta)],
                b"",
            )
            .await
    };
    let first = create("li", &noise(1_500)).await;
    assert_eq!(first.status(), 201);
    let path = header(&first, "location").to_owned();
    assert_eq!(code(&create("li", &noise(501)).await), "photo.too_many");
    assert_eq!(create("wang", &noise(501)).await.status(), 201);
    assert_eq!(create("li", &noise(500)).await.status(), 201);
    assert_eq!(code(&create("li", &noise(1)).await), "photo.too_many");
    world.clock.fetch_add(world.settings.expiry_ms, Ordering::SeqCst);
    let expired = server.patch(&path, 0, b"x").await;
    assert_eq!((expired.status().as_u16(), code(&expired).as_str()), (410, "photo.gone"));
    assert_eq!(server.patch(&path, 0, b"x").await.status(), 404);
    server.photos.sweep().await;
    assert_eq!(world.files("staging"), [""; 0]);
}

#[tokio::test]
async fn nobody_brings_more_photos_in_a_round_than_anyone_may() {
    for (photos, bytes) in [(2, u64::MAX), (u64::MAX, 1_000)] {
        let mut world = World::new();
        world.settings.photos_per_person = photos;
        world.settings.bytes_per_person = bytes;
        let server = world.open().await;
        for length in [400, 500] {
            server.upload(&noise(length)).await;
        }
        // A start reads what is there.
        for server in [server, world.open().await] {
            let create = async |name: &str, photo: &[u8]| {
                let (token, length) = (format!("Bearer {name}"), photo.len().to_string());
                let meta = metadata(&PhotoHash::of(photo), "2137000001");
                let headers = [
                    ("authorization", token.as_str()),
                    ("upload-length", &length),
                    ("upload-metadata", &meta),
                ];
                server.send("POST", "/api/files", &headers, b"").await
            };
            let refused = create("li", &noise(101)).await;
            assert_eq!((refused.status().as_u16(), code(&refused).as_str()), (429, "photo.person_full"));
            assert_eq!(create("li", &noise(400)).await.status(), 201, "what is here costs nothing");
            assert_eq!(create("wang", &noise(101)).await.status(), 201, "others have a share of their own");
        }
    }
}
