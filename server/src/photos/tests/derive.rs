//! Thumbnails and EXIF, and what decoding may cost.

use std::sync::Arc;

use duxue_document::{PersonId, PhotoHash};

use crate::photos::files::FileSystem;
use crate::photos::rows::{self, Derivation};
use crate::photos::{Decoder, derive};
use crate::store::Store;

use super::{World, jpeg};

pub(super) fn undecodable(reason: &str) -> Derivation {
    Derivation::Undecodable { reason: reason.to_owned() }
}

/// A photo as a server leaves it that stopped right after the acknowledgement.
pub(super) async fn acknowledged(world: &World, photo: &[u8]) -> PhotoHash {
    let hash = PhotoHash::of(photo);
    let blobs = crate::photos::Blobs::open(Arc::new(FileSystem), &world.folder.path().join("blobs")).unwrap();
    blobs.put(&hash, photo.to_vec()).await.unwrap();
    let row = crate::photos::PhotoRow {
        length: 1,
        media_type: "image/jpeg".to_owned(),
        person: PersonId::new("li").unwrap(),
        device: None,
        received_ms: 0,
        round: "r1".parse().unwrap(),
        school: "2137000001".parse().unwrap(),
    };
    world.store.commit(vec![rows::put_photo(&hash, &row).unwrap()]).await.unwrap();
    hash
}

#[tokio::test]
async fn what_was_not_derived_is_found_again_after_a_restart() {
    let world = World::new();
    let hash = acknowledged(&world, &jpeg(64, 48, None)).await;
    let server = world.open().await;
    server.photos.derived().await;
    let facts = server.photos.facts(&hash).await.unwrap().unwrap();
    assert_eq!(facts.derivation, Derivation::Done { width: 64, height: 48 });
}

fn exif_block() -> Vec<u8> {
    use exif::{Field, In, Rational, Tag, Value};
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let degrees = |d, m, s| {
        Value::Rational(vec![
            Rational { num: d, denom: 1 },
            Rational { num: m, denom: 1 },
            Rational { num: s, denom: 100 },
        ])
    };
    let fields = [
        field(Tag::Orientation, Value::Short(vec![6])),
        field(Tag::DateTimeOriginal, Value::Ascii(vec![b"2026:09:14 10:15:30".to_vec()])),
        field(Tag::GPSLatitudeRef, Value::Ascii(vec![b"N".to_vec()])),
        field(Tag::GPSLatitude, degrees(41, 47, 4_556)),
        field(Tag::GPSLongitudeRef, Value::Ascii(vec![b"W".to_vec()])),
        field(Tag::GPSLongitude, degrees(123, 25, 0)),
    ];
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut block = std::io::Cursor::new(Vec::new());
    writer.write(&mut block, false).unwrap();
    block.into_inner()
}

/// A PNG of this size as far as its header goes.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    };
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&u32::try_from(data.len()).unwrap().to_be_bytes(), body.as_slice(), &crc(&body).to_be_bytes()]
            .concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn each_limit_of_the_decoder_can_be_set() {
    let (photo, all) = (jpeg(400, 300, None), Decoder::default());
    let too_large = Derivation::Undecodable { reason: "too_large".to_owned() };
    for (limits, expected) in [
        (Decoder { side: 400, pixels: 120_000, ..all }, Derivation::Done { width: 400, height: 300 }),
        (Decoder { side: 399, ..all }, too_large.clone()),
        (Decoder { pixels: 119_999, ..all }, too_large.clone()),
        (Decoder { memory_bytes: 1_000, ..all }, too_large),
    ] {
        assert_eq!(derive(&photo, limits).0.derivation, expected, "{limits:?}");
    }
}

#[test]
fn what_cannot_be_decoded_says_why() {
    let whole = jpeg(400, 300, None);
    let heic = [&[0, 0, 0, 24][..], b"ftypheic", &[0; 40]].concat();
    let mut with_thumbnail = jpeg(400, 300, Some(&[0xff, 0xd9, 0xff, 0xd9]));
    with_thumbnail.truncate(with_thumbnail.len() / 2);
    for (name, bytes, expected) in [
        ("whole", whole.clone(), Derivation::Done { width: 400, height: 300 }),
        ("cut in half", whole[..whole.len() / 2].to_vec(), undecodable("truncated")),
        ("without its last byte", whole[..whole.len() - 1].to_vec(), undecodable("truncated")),
        ("an end in its metadata only", with_thumbnail, undecodable("truncated")),
        ("a PNG bomb", png_header(20_000, 10_000), undecodable("too_large")),
        ("a PNG bomb within the side limit", png_header(12_000, 12_000), undecodable("too_large")),
        ("a PNG without pixels", png_header(100, 100), undecodable("malformed")),
        ("HEIC", heic, Derivation::Opaque),
        ("text", b"hello".to_vec(), Derivation::Opaque),
        ("nothing", vec![], Derivation::Opaque),
    ] {
        assert_eq!(derive(&bytes, Decoder::default()).0.derivation, expected, "{name}");
    }
}

/// Thumbnails are not flushed.
#[tokio::test]
async fn a_thumbnail_that_is_torn_or_rotten_is_made_again() {
    let world = World::new();
    let server = world.open().await;
    let photo = jpeg(400, 300, None);
    server.upload(&photo).await;
    server.photos.derived().await;
    let hash = PhotoHash::of(&photo).to_string();
    let file = world.folder.path().join(format!("blobs/thumbnails/{}/{hash}", &hash[..2]));
    let whole = std::fs::read(&file).unwrap();
    let path = format!("/api/photos/{hash}/thumbnail");
    let shown = server.send("GET", &path, &[], b"").await.body().clone();
    let torn = [vec![], whole[..whole.len() / 2].to_vec(), vec![0; whole.len()]];
    let flipped = [20, whole.len() / 2, whole.len() - 1].map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    for damaged in torn.into_iter().chain(flipped) {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(server.send("GET", &path, &[], b"").await.status(), 404);
        server.photos.derived().await;
        assert_eq!(server.send("GET", &path, &[], b"").await.body(), &shown);
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn thumbnails_stand_upright_and_tell_nothing() {
    let photo = jpeg(800, 600, Some(&exif_block()));
    let (facts, thumbnail) = derive(&photo, Decoder::default());
    let thumbnail = thumbnail.unwrap();
    let small = image::load_from_memory(&thumbnail).unwrap();
    assert_eq!((small.width(), small.height()), (240, 320));
    assert_eq!(crate::photos::exif::claims(&thumbnail), crate::photos::Exif::default());
    assert!(!thumbnail.windows(4).any(|window| window == b"Exif"));
    let claims = facts.claims;
    assert_eq!(claims.orientation, Some(6));
    assert_eq!(claims.taken.as_deref(), Some("2026-09-14 10:15:30"));
    let place = (claims.latitude.unwrap().to_string(), claims.longitude.unwrap().to_string());
    assert_eq!(place, ("41.795988".to_owned(), "-123.416666".to_owned()));
}

#[test]
fn damaged_exif_is_read_as_far_as_it_goes() {
    let mut block = exif_block();
    // A second directory that is not there.
    let last = block.len();
    block.truncate(last - 1);
    let claims = derive(&jpeg(80, 60, Some(&block)), Decoder::default()).0.claims;
    assert_eq!(claims.orientation, Some(6));
    assert_eq!(
        derive(&jpeg(80, 60, Some(b"junk")), Decoder::default()).0.claims,
        crate::photos::Exif::default()
    );
}
