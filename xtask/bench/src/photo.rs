//! Synthetic photos as phones send them when they are asked for small ones:
//! 1600 × 1200 points in 300 kB, each with other bytes.

use image::codecs::jpeg::JpegEncoder;

use crate::Outcome;
use crate::documents::random;

/// Bytes of a photo.
pub const BYTES: usize = 300_000;
const WIDTH: u32 = 1600;
const HEIGHT: u32 = 1200;
/// Bytes of the largest comment that a JPEG may hold, with its length.
const COMMENT: usize = 65_535;

/// One photo; [`fresh`] makes others of it.
///
/// # Errors
/// If the picture cannot be made so small.
pub fn base() -> Outcome<Vec<u8>> {
    let mut noise = 1_u32;
    let picture = image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = noise >> 27;
        let light = |a: u32, b: u32| u8::try_from((a * 180 / b + grain).min(255)).unwrap_or(255);
        image::Rgb([light(x, WIDTH), light(y, HEIGHT), light(x + y, WIDTH + HEIGHT)])
    });
    for quality in (10..=90).rev().step_by(4) {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, quality)
            .encode_image(&picture)
            .map_err(|error| error.to_string())?;
        if jpeg.len() + 1024 < BYTES {
            return Ok(jpeg);
        }
    }
    Err("the picture does not fit".to_owned())
}

/// The same picture with a random comment, in exactly [`BYTES`] bytes.
#[must_use]
pub fn fresh(base: &[u8]) -> Vec<u8> {
    let mut photo = base[..2].to_vec();
    let mut missing = BYTES.saturating_sub(base.len());
    while missing > 0 {
        // Marker and length take four bytes, so no comment may leave fewer.
        let size = if missing > COMMENT + 2 { missing.min(COMMENT + 2).min(missing - 64) } else { missing };
        photo.extend([0xff, 0xfe]);
        photo.extend(u16::try_from(size - 2).unwrap_or(2).to_be_bytes());
        let unique = random();
        photo.extend(unique.iter().cycle().take(size - 4));
        missing -= size;
    }
    photo.extend(&base[2..]);
    photo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_have_the_size_decode_and_differ() {
        let base = base().expect("made");
        let (one, other) = (fresh(&base), fresh(&base));
        assert_eq!((one.len(), other.len()), (BYTES, BYTES));
        assert_ne!(one, other);
        let image = image::load_from_memory(&one).expect("decodes");
        assert_eq!((image.width(), image.height()), (WIDTH, HEIGHT));
    }
}
