//! What a photo says of itself: time, orientation and place. Claims only.

use std::io::Cursor;

use duxue_document::Decimal;
use exif::{Exif as Fields, In, Rational, Reader, Tag, Value};

use super::rows::Exif;

/// Reads EXIF as far as it can be read: phones write slightly malformed
/// blocks, and a strict reader would refuse them whole.
pub(super) fn claims(bytes: &[u8]) -> Exif {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let read = reader
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|error| error.distill_partial_result(|_| {}));
    let Ok(exif) = read else { return Exif::default() };
    let (latitude, longitude) = place(&exif).unzip();
    Exif {
        taken: taken(&exif),
        orientation: exif
            .get_field(Tag::Orientation, In::PRIMARY)
            .and_then(|field| field.value.get_uint(0))
            .filter(|n| (1..=8).contains(n)),
        latitude,
        longitude,
    }
}

fn ascii(exif: &Fields, tag: Tag) -> Option<String> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(parts) => String::from_utf8(parts.first()?.clone()).ok(),
        _ => None,
    }
}

/// `2026:09:01 08:30:00` as `2026-09-01 08:30:00`.
fn taken(exif: &Fields) -> Option<String> {
    let text = ascii(exif, Tag::DateTimeOriginal).or_else(|| ascii(exif, Tag::DateTime))?;
    let parsed = exif::DateTime::from_ascii(text.as_bytes()).ok()?;
    let plausible = (1..=12).contains(&parsed.month)
        && (1..=31).contains(&parsed.day)
        && parsed.hour < 24
        && parsed.minute < 60;
    plausible.then(|| {
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            parsed.year, parsed.month, parsed.day, parsed.hour, parsed.minute, parsed.second
        )
    })
}

fn place(exif: &Fields) -> Option<(Decimal, Decimal)> {
    let latitude = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90)?;
    let longitude = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180)?;
    Some((latitude, longitude))
}

/// Degrees, minutes and seconds as degrees with six decimals (about 10 cm).
fn degrees(exif: &Fields, tag: Tag, reference: Tag, negative: &str, limit: i128) -> Option<Decimal> {
    let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let mut millionths: i128 = 0;
    for (part, per_degree) in parts.iter().zip([1, 60, 3_600]) {
        let Rational { num, denom } = part;
        millionths += i128::from(*num) * 1_000_000
            / (i128::from(*denom).checked_mul(per_degree).filter(|d| *d != 0)?);
    }
    if parts.is_empty() || millionths > limit * 1_000_000 {
        return None;
    }
    let sign = if ascii(exif, reference)?.trim() == negative { "-" } else { "" };
    format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000).parse().ok()
}
