//! What decoding may cost: the memory of all pictures, attempts that end the
//! server, and kinds of pictures that are cheap to send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duxue_document::PhotoHash;
use image::{DynamicImage, GenericImage, ImageFormat, Rgba};

use crate::photos::rows::{self, Derivation};
use crate::photos::{Decoder, derive, layout, picture};
use crate::store::{JournalNumber, Record, Store};

use super::derive::{acknowledged, undecodable};
use super::{Server, World, jpeg};

/// A picture of zeros in a small file; `mark` makes them differ.
fn bomb(width: u32, height: u32, mark: u8) -> Vec<u8> {
    let mut picture = DynamicImage::new_rgba8(width, height);
    picture.put_pixel(0, 0, Rgba([mark; 4]));
    encoded(&picture, ImageFormat::Png)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// What becomes of each photo, when all are done.
async fn derivations(server: &Server, photos: &[PhotoHash]) -> Vec<Derivation> {
    server.photos.derived().await;
    let mut found = Vec::new();
    for hash in photos {
        found.push(server.photos.facts(hash).await.unwrap().unwrap().derivation);
    }
    found
}

#[tokio::test]
async fn all_pictures_at_once_take_no_more_than_the_memory_of_all() {
    let mut world = World::new();
    // Each takes 26 MiB: 16 of pixels, 8 for its decoder, and some.
    world.settings.decoder.memory_bytes = 48 << 20;
    let server = world.open().await;
    let memory = &server.photos.queue.memory;
    let held = memory.take(24 << 20).await.unwrap();
    let first = bomb(2_000, 2_000, 0);
    let of_file = usize::try_from(picture::of_file(u64::try_from(first.len()).unwrap())).unwrap();
    let mut photos = vec![server.upload(&first).await];
    // It was read and looked at, and cannot be decoded before there is memory.
    while memory.in_use() < (24 << 20) + of_file {
        tokio::task::yield_now().await;
    }
    for mark in 1..4 {
        photos.push(server.upload(&bomb(2_000, 2_000, mark)).await);
    }
    photos.push(server.upload(&bomb(4_000, 3_000, 0)).await);
    photos.push(server.upload(&jpeg(640, 480, None)).await);
    for hash in &photos {
        assert_eq!(server.photos.facts(hash).await.unwrap(), None);
    }
    drop(held);
    let done = Derivation::Done { width: 2_000, height: 2_000 };
    let small = Derivation::Done { width: 640, height: 480 };
    let expected = [done.clone(), done.clone(), done.clone(), done, undecodable("too_large"), small];
    assert_eq!(derivations(&server, &photos).await, expected);
    while memory.in_use() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Looking at a file takes memory too.
#[tokio::test]
async fn a_file_that_does_not_fit_in_memory_is_not_read() {
    let mut world = World::new();
    world.settings.decoder.memory_bytes = 9 << 20;
    let server = world.open().await;
    let large = [jpeg(64, 48, None), vec![0; 1 << 20]].concat();
    let photos = [server.upload(&large).await, server.upload(&jpeg(64, 48, None)).await];
    let expected = [undecodable("too_large"), Derivation::Done { width: 64, height: 48 }];
    assert_eq!(derivations(&server, &photos).await, expected);
}

#[tokio::test]
async fn a_photo_whose_attempts_did_not_come_back_is_given_up_and_the_others_are_not() {
    let world = World::new();
    let mut photos = Vec::new();
    for (attempts, width) in [(2, 60), (1, 61), (0, 62)] {
        let hash = acknowledged(&world, &jpeg(width, 48, None)).await;
        if attempts > 0 {
            world.store.commit(vec![rows::put_attempts(&hash, attempts).unwrap()]).await.unwrap();
        }
        photos.push(hash);
    }
    let backlog = rows::backlog(&world.store).await.unwrap();
    assert_eq!(backlog[0], photos[2], "those that may end the server are tried last");
    let server = world.open().await;
    let done = |width| Derivation::Done { width, height: 48 };
    assert_eq!(derivations(&server, &photos).await, [undecodable("gave_up"), done(61), done(62)]);
    for hash in &photos {
        assert_eq!(rows::attempts(&world.store, hash).await.unwrap(), 0, "none is open");
    }
}

#[tokio::test]
async fn an_attempt_is_noted_before_it_begins() {
    let world = World::new();
    let server = world.open().await;
    let hash = server.upload(&jpeg(64, 48, None)).await;
    server.photos.derived().await;
    let records = world.store.records(JournalNumber(1), 100).await.unwrap();
    let of_photo = records.into_iter().filter_map(|(_, record)| match record {
        Record::Row { table, key, value } if key == hash.0 => Some((table, value.is_some())),
        _ => None,
    });
    let expected =
        [("photos", true), ("photo_attempts", true), ("photo_facts", true), ("photo_attempts", false)];
    assert_eq!(of_photo.collect::<Vec<_>>(), expected.map(|(table, put)| (table.to_owned(), put)));
}

#[test]
fn what_a_decoder_keeps_for_all_of_a_picture_is_counted() {
    let one_scan = jpeg(400, 304, None);
    let frame = one_scan.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let scan = one_scan.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = one_scan.clone();
        bytes[at] = byte;
        bytes
    };
    let progressive = with(frame + 1, 0xc2);
    let mut quarter = progressive.clone();
    quarter[frame + 11] = 0x22;
    let twice = [&one_scan[..scan], &one_scan[frame..]].concat();
    // Blocks of 8 by 8, two bytes a coefficient.
    let all = 3 * 400 * 304 * 2;
    for (name, bytes, expected) in [
        ("one scan", &one_scan[..], Some(0)),
        ("progressive", &progressive, Some(all)),
        ("a scan for each component", &with(scan + 4, 1), Some(all)),
        ("two components of a quarter", &quarter, Some((400 * 304 + 2 * 200 * 152) * 2)),
        ("two frames", &twice, None),
        ("an end in the frame", &one_scan[..frame + 8], None),
    ] {
        assert_eq!(layout::jpeg(bytes).map(|layout| layout.kept), expected, "{name}");
    }
    // What is counted decides.
    let look = |bytes: &[u8], memory_bytes| {
        picture::look(bytes, Decoder { memory_bytes, ..Decoder::default() }).decoding
    };
    let of_pixels = 400 * 304 * 3 + 400 * 320 * 3;
    let file = picture::of_file(u64::try_from(one_scan.len()).unwrap());
    assert_eq!(look(&one_scan, file + of_pixels), Ok(of_pixels));
    assert_eq!(look(&progressive, file + of_pixels), Err(undecodable("too_large")));
    assert_eq!(look(&progressive, file + of_pixels + all), Ok(of_pixels + all));
}

/// 48 by 32 pixels, lossy.
const WEBP: &str = "UklGRkQAAABXRUJQVlA4IDgAAABQAwCdASowACAAPtFmrFEoJaQipWgBABoJZwDPGoAAK/fDcAD+Ex/OBsolUv9qYJIzBQcFhhgAAA==";

#[test]
fn of_webp_only_photos_as_cameras_make_them_are_decoded() {
    let lossy = STANDARD.decode(WEBP).unwrap();
    let (facts, thumbnail) = derive(&lossy, Decoder::default());
    assert_eq!(facts.derivation, Derivation::Done { width: 48, height: 32 });
    let small = image::load_from_memory(&thumbnail.unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (48, 32));
    assert_eq!(layout::webp(&lossy).unwrap().kept, 48 * 32 * 3 / 2);
    let lossless = encoded(&DynamicImage::new_rgb8(48, 32), ImageFormat::WebP);
    // The picture inside of another size than it says outside.
    let extended = [&b"VP8X"[..], &10_u32.to_le_bytes(), &[0; 4], &[9, 0, 0, 9, 0, 0]].concat();
    let hiding = [&lossy[..12], &extended, &lossy[12..]].concat();
    let mut moving = hiding.clone();
    moving[20] = 0x02;
    for (name, bytes, expected) in [
        ("lossless", lossless, Derivation::Opaque),
        ("moving", moving, Derivation::Opaque),
        ("of two sizes", hiding, undecodable("malformed")),
    ] {
        assert_eq!(derive(&bytes, Decoder::default()).0.derivation, expected, "{name}");
    }
}

/// Each kind of pixels is made small as it is.
#[test]
fn thumbnails_have_the_colours_of_their_pictures() {
    let color = Rgba([200, 100, 50, 255]);
    let mut picture = DynamicImage::new_rgba8(640, 480);
    (0..480).for_each(|y| (0..640).for_each(|x| picture.put_pixel(x, y, color)));
    let grey = [picture.to_luma8().get_pixel(0, 0).0[0]; 3];
    let colored = [200, 100, 50];
    for (name, picture, expected) in [
        ("grey", DynamicImage::from(picture.to_luma8()), grey),
        ("grey and alpha", picture.to_luma_alpha8().into(), grey),
        ("RGB", picture.to_rgb8().into(), colored),
        ("RGBA", picture.clone(), colored),
        ("grey of 16 bits", picture.to_luma16().into(), grey),
        ("grey and alpha of 16 bits", picture.to_luma_alpha16().into(), grey),
        ("RGB of 16 bits", picture.to_rgb16().into(), colored),
        ("RGBA of 16 bits", picture.to_rgba16().into(), colored),
    ] {
        for (width, height) in [(640, 480), (64, 48)] {
            let photo = encoded(&picture.crop_imm(0, 0, width, height), ImageFormat::Png);
            let (facts, thumbnail) = derive(&photo, Decoder::default());
            assert_eq!(facts.derivation, Derivation::Done { width, height }, "{name}");
            let small = image::load_from_memory(&thumbnail.unwrap()).unwrap().into_rgb8();
            assert_eq!(small.dimensions(), if width == 640 { (320, 240) } else { (64, 48) });
            let found = small.get_pixel(small.width() / 2, small.height() / 2).0;
            // JPEG rounds.
            let near = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 3);
            assert!(near, "{name}: {found:?} for {expected:?}");
        }
    }
}
