//! A thumbnail and EXIF out of a photo's bytes, and what that takes.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};

use crate::config::{self, refused};

use super::rows::{Derivation, Exif, PhotoFacts};
use super::{exif, layout, sniff};

const THUMBNAIL_SIDE: u32 = 320;
const THUMBNAIL_QUALITY: u8 = 80;

/// How often a file is in memory: as it was read, once more while it is
/// handed on or as its decoder copies it, and in parts.
const COPIES: u64 = 3;
/// What a decoder may take beside the file, the pixels and what grows with
/// them: rows, tables, texts that inflate.
const ASIDE: u64 = 8 << 20;

/// What decoding pictures may cost. The reasons stand in the settings'
/// section `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// Pixels of a side.
    pub side: u32,
    /// Pixels in all.
    pub pixels: u64,
    /// Bytes of memory, of all pictures that are decoded at once.
    pub memory_bytes: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        config::Limits::default().decoder()
    }
}

/// What is known of a photo before a pixel is decoded.
pub(super) struct Look {
    pub claims: Exif,
    /// Bytes that decoding takes beside [`of_file`], or why there is nothing
    /// to decode.
    pub decoding: Result<u64, Derivation>,
}

/// Bytes that it takes to look at a file of this length.
pub(super) fn of_file(length: u64) -> u64 {
    length.saturating_mul(COPIES).saturating_add(ASIDE)
}

/// Reads headers and metadata. Never panics.
pub(super) fn look(bytes: &[u8], limits: Decoder) -> Look {
    // The libraries read what anyone may send; a panic is that photo's problem.
    let claims = catch_unwind(AssertUnwindSafe(|| exif::claims(bytes))).unwrap_or_default();
    let decoding = catch_unwind(AssertUnwindSafe(|| needed(bytes, limits)));
    Look { claims, decoding: decoding.unwrap_or_else(|_| Err(undecodable("malformed"))) }
}

/// A photo made small.
pub(super) struct Thumbnail {
    /// Of the original as stored.
    pub width: u32,
    /// Of the original as stored.
    pub height: u32,
    /// At most 320 pixels a side, upright, without any metadata.
    pub jpeg: Vec<u8>,
}

/// Decodes a photo that was looked at. Never panics.
pub(super) fn thumbnail(bytes: &[u8]) -> Result<Thumbnail, Derivation> {
    catch_unwind(AssertUnwindSafe(|| small(bytes))).unwrap_or_else(|_| Err(undecodable("malformed")))
}

/// Everything that can be had from a photo's bytes. Never panics.
#[must_use]
pub fn derive(bytes: &[u8], limits: Decoder) -> (PhotoFacts, Option<Vec<u8>>) {
    let Look { claims, decoding } = look(bytes, limits);
    let (derivation, jpeg) = match decoding.and_then(|_| thumbnail(bytes)) {
        Ok(Thumbnail { width, height, jpeg }) => (Derivation::Done { width, height }, Some(jpeg)),
        Err(why) => (why, None),
    };
    (PhotoFacts { derivation, claims }, jpeg)
}

pub(super) fn undecodable(reason: &str) -> Derivation {
    Derivation::Undecodable { reason: reason.to_owned() }
}

pub(super) fn too_large(limit: &'static str) -> Derivation {
    refused(limit);
    undecodable("too_large")
}

fn malformed(error: ImageError) -> Derivation {
    match error {
        ImageError::Limits(_) => too_large("image_memory_bytes"),
        _ => undecodable("malformed"),
    }
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, Derivation> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|_| undecodable("malformed"))?;
    let mut limits = Limits::default();
    // The decoders count what they take beside the pixels, and not these.
    limits.max_alloc = Some(ASIDE);
    reader.limits(limits);
    reader.into_decoder().map_err(malformed)
}

/// Bytes that decoding takes beside those of the file, from the headers
/// alone: a few hundred bytes can claim gigabytes.
fn needed(bytes: &[u8], allowed: Decoder) -> Result<u64, Derivation> {
    let layout = match sniff::media_type(bytes) {
        "image/jpeg" if !sniff::jpeg_is_complete(bytes) => return Err(undecodable("truncated")),
        "image/jpeg" => Some(layout::jpeg(bytes).ok_or_else(|| undecodable("malformed"))?),
        "image/webp" => Some(layout::webp(bytes).ok_or(Derivation::Opaque)?),
        "image/png" => None,
        _ => return Err(Derivation::Opaque),
    };
    let decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    if layout.is_some_and(|layout| (layout.width, layout.height) != (width, height)) {
        return Err(undecodable("malformed"));
    }
    let longest = width.max(height);
    if longest > allowed.side {
        return Err(too_large("image_side"));
    }
    if u64::from(width) * u64::from(height) > allowed.pixels {
        return Err(too_large("image_pixels"));
    }
    let kept = layout.map_or(0, |layout| layout.kept);
    // It is made small in one direction first.
    let between = u64::from(longest) * u64::from(THUMBNAIL_SIDE);
    let between = between * u64::from(decoder.color_type().bytes_per_pixel());
    let needed = decoder.total_bytes().saturating_add(kept).saturating_add(between);
    let file = of_file(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    if file.saturating_add(needed) > allowed.memory_bytes {
        return Err(too_large("image_memory_bytes"));
    }
    Ok(needed)
}

fn small(bytes: &[u8]) -> Result<Thumbnail, Derivation> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(malformed)?;
    let (width, height) = (image.width(), image.height());
    let small = resize(&image).ok_or_else(|| undecodable("malformed"))?;
    drop(image);
    let mut small = DynamicImage::ImageRgb8(small);
    small.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY).encode_image(&small).map_err(malformed)?;
    Ok(Thumbnail { width, height, jpeg })
}

/// Makes a picture small as it was decoded, and only then plain RGB: a second
/// picture of the full size would take as much again.
fn resize(image: &DynamicImage) -> Option<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let longest = width.max(height);
    if longest <= THUMBNAIL_SIDE {
        return RgbImage::from_raw(width, height, rgb(image.as_bytes(), image.color()));
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(THUMBNAIL_SIDE) / u64::from(longest);
        u32::try_from(side).unwrap_or(1).max(1)
    };
    let pixels = pixels(image.color())?;
    let source = ImageRef::new(width, height, image.as_bytes(), pixels).ok()?;
    let mut small = Image::new(scaled(width), scaled(height), pixels);
    // Transparency is left out at the end; to weigh by it takes a copy.
    let lanczos = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut small, &lanczos.use_alpha(false)).ok()?;
    RgbImage::from_raw(small.width(), small.height(), rgb(small.buffer(), image.color()))
}

fn pixels(color: ColorType) -> Option<PixelType> {
    match color {
        ColorType::L8 => Some(PixelType::U8),
        ColorType::La8 => Some(PixelType::U8x2),
        ColorType::Rgb8 => Some(PixelType::U8x3),
        ColorType::Rgba8 => Some(PixelType::U8x4),
        ColorType::L16 => Some(PixelType::U16),
        ColorType::La16 => Some(PixelType::U16x2),
        ColorType::Rgb16 => Some(PixelType::U16x3),
        ColorType::Rgba16 => Some(PixelType::U16x4),
        // No picture that is decoded here has others.
        _ => None,
    }
}

/// Red, green and blue in eight bits each, of pixels of a kind above.
fn rgb(bytes: &[u8], color: ColorType) -> Vec<u8> {
    let channels = usize::from(color.channel_count());
    let sample = usize::from(color.bytes_per_pixel()) / channels;
    let eight_bits = |sample: &[u8]| match sample {
        [first, second] => {
            let rounded = (u32::from(u16::from_ne_bytes([*first, *second])) + 128) / 257;
            u8::try_from(rounded).unwrap_or(u8::MAX)
        }
        _ => sample.first().copied().unwrap_or_default(),
    };
    let colors = |pixel: &[u8]| {
        let samples: Vec<u8> = pixel.chunks_exact(sample).map(eight_bits).collect();
        match samples[..] {
            [red, green, blue, ..] => [red, green, blue],
            _ => [samples.first().copied().unwrap_or_default(); 3],
        }
    };
    bytes.chunks_exact(channels * sample).flat_map(colors).collect()
}
