//! What decoders keep beside the pixels that they give, read from a picture's
//! headers: a few bytes can ask for more memory than the pixels themselves.

/// Whole-picture memory of a JPEG's decoder in bytes, and its size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub width: u32,
    pub height: u32,
    /// Beside the pixels that are given.
    pub kept: u64,
}

/// Bytes of one coefficient.
const COEFFICIENT: u64 = 2;

/// A JPEG's layout; `None` where its headers are not plain. A picture that
/// comes in one scan is decoded row by row; of one in several scans all
/// coefficients of all components are kept to the end.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Layout> {
    let mut frame = None;
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else { return None };
        if marker == 0xff {
            // Fill bytes before a marker.
            at += 1;
            continue;
        }
        let length = usize::from(u16_at(bytes, at + 2)?);
        let segment = bytes.get(at + 4..at + 2 + length)?;
        match marker {
            // Of two the decoder might take the other one.
            0xc0..=0xc2 if frame.is_some() => return None,
            0xc0..=0xc2 => frame = Some((marker == 0xc2, Frame::read(segment)?)),
            0xda => {
                let (progressive, frame) = frame?;
                let in_one_scan = !progressive && usize::from(*segment.first()?) == frame.factors.len();
                let kept = if in_one_scan { 0 } else { frame.coefficients() };
                return Some(Layout { width: frame.width, height: frame.height, kept });
            }
            // These have no length, and stand in no header.
            0x01 | 0xd0..=0xd9 => return None,
            _ => {}
        }
        at += 2 + length;
    }
}

/// The frame header of a JPEG.
struct Frame {
    width: u32,
    height: u32,
    /// Of each component, across and down.
    factors: Vec<(u64, u64)>,
}

impl Frame {
    /// Reads what follows the length: precision, height, width, components.
    fn read(segment: &[u8]) -> Option<Self> {
        let height = u16_at(segment, 1)?;
        let width = u16_at(segment, 3)?;
        let components = usize::from(*segment.get(5)?);
        let factors = segment.get(6..6 + 3 * components)?.chunks_exact(3);
        let factors = factors.map(|component| {
            let (across, down) = (component.get(1)? >> 4, component.get(1)? & 15);
            let plain = (1..=4).contains(&across) && (1..=4).contains(&down);
            plain.then(|| (u64::from(across), u64::from(down)))
        });
        let factors = factors.collect::<Option<Vec<_>>>()?;
        Some(Self { width: width.into(), height: height.into(), factors })
    }

    fn coefficients(&self) -> u64 {
        let most = |of: fn(&(u64, u64)) -> u64| self.factors.iter().map(of).max().unwrap_or(1);
        let units_across = u64::from(self.width).div_ceil(8 * most(|factor| factor.0));
        let units_down = u64::from(self.height).div_ceil(8 * most(|factor| factor.1));
        let blocks = |(across, down): &(u64, u64)| units_across * across * units_down * down;
        self.factors.iter().map(blocks).sum::<u64>() * 64 * COEFFICIENT
    }
}

/// The layout of a WebP photo as cameras make it; `None` for the other kinds,
/// lossless, with transparency or moving, whose decoder makes tables of any
/// size that the file asks for.
pub(super) fn webp(bytes: &[u8]) -> Option<Layout> {
    const MOVING: u8 = 0x02;
    const TRANSPARENT: u8 = 0x10;
    let (mut at, mut frame) = (12, None);
    while let Some(kind) = bytes.get(at..at + 4) {
        let Some(length) = bytes.get(at + 4..at + 8) else { break };
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let data = bytes.get(at + 8..)?;
        match kind {
            b"VP8X" if data.first()? & (MOVING | TRANSPARENT) != 0 => return None,
            b"VP8L" | b"ALPH" | b"ANMF" => return None,
            b"VP8 " if frame.is_none() => frame = Some(vp8(data)?),
            _ => {}
        }
        // An odd length is filled up.
        at = at.checked_add(8 + usize::try_from(length).ok()?)?.checked_add(usize::from(length % 2 == 1))?;
    }
    frame
}

/// The frame header of a WebP photo. Its planes are kept, of which two have
/// half the size across and down.
fn vp8(data: &[u8]) -> Option<Layout> {
    let side =
        |at: usize| Some(u32::from(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?) & 0x3fff));
    let (width, height) = (side(6)?, side(8)?);
    let padded = |side: u32| u64::from(side).next_multiple_of(16);
    Some(Layout { width, height, kept: padded(width) * padded(height) / 2 * 3 })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
