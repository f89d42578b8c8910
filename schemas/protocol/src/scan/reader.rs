//! Reads bytes front to back. Every number is in its shortest form, as
//! Automerge demands too.

use automerge::ChangeHash;

use super::{ScanError, within};

/// What is left to read, and what it is for the errors.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn malformed(&self) -> ScanError {
        ScanError::Malformed { what: self.what }
    }

    pub fn number_error(&self) -> ScanError {
        ScanError::Number { what: self.what }
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], ScanError> {
        let (taken, rest) =
            self.bytes.split_at_checked(length).ok_or(ScanError::Truncated { what: self.what })?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, ScanError> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 number.
    pub fn number(&mut self) -> Result<u64, ScanError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.number_error());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let shortest = shift == 0 || byte != 0;
                return if shortest { Ok(value) } else { Err(self.number_error()) };
            }
        }
        Err(self.number_error())
    }

    /// A signed LEB128 number.
    pub fn signed(&mut self) -> Result<i64, ScanError> {
        let mut value = 0_i64;
        let mut before = 0_u8;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = byte & 0x7f;
            let last = byte & 0x80 == 0;
            if shift == 63 && !(last && matches!(bits, 0 | 0x7f)) {
                return Err(self.number_error());
            }
            value |= i64::from(bits) << shift;
            if last {
                let padded =
                    shift > 0 && ((bits == 0 && before & 0x40 == 0) || (bits == 0x7f && before & 0x40 != 0));
                if padded {
                    return Err(self.number_error());
                }
                let negative = bits & 0x40 != 0;
                return Ok(if negative && shift < 57 { value | -1 << (shift + 7) } else { value });
            }
            before = byte;
        }
        Err(self.number_error())
    }

    /// A number that counts bytes or things which must still follow.
    pub fn length(&mut self) -> Result<usize, ScanError> {
        let length = self.number()?;
        usize::try_from(length).map_err(|_| self.number_error())
    }

    pub fn length_prefixed(&mut self) -> Result<&'a [u8], ScanError> {
        let length = self.length()?;
        self.take(length)
    }

    /// Text of at most `limit` bytes, after its length.
    pub fn text(&mut self, limit: u64) -> Result<&'a str, ScanError> {
        let length = self.length()?;
        within("text_bytes", length as u64, limit)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| self.malformed())
    }

    /// A list of hashes after its length. `limit` is the limit named `name`.
    pub fn hashes(&mut self, name: &'static str, limit: u64) -> Result<Vec<ChangeHash>, ScanError> {
        let count = self.length()?;
        within(name, count as u64, limit)?;
        let bytes = self.take(count.saturating_mul(32))?;
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(hashes.iter().map(|hash| ChangeHash(*hash)).collect())
    }
}

/// Appends an unsigned LEB128 number.
pub(super) fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
