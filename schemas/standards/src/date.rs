//! Dates as `YYYY-MM-DD`. In this form the order of texts is the order of days.

/// Year, month and day of a valid date.
#[must_use]
pub fn parse(text: &str) -> Option<(u16, u8, u8)> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() });
    if !shape {
        return None;
    }
    let (year, month, day) = (text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?);
    ((1..=12).contains(&month) && (1..=days(year, month)).contains(&day)).then_some((year, month, day))
}

fn days(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The same day so many years later; 29 February becomes the 28th where needed.
#[must_use]
pub fn years_later(text: &str, years: u16) -> Option<String> {
    let (year, month, day) = parse(text)?;
    let year = year.checked_add(years)?;
    Some(format!("{year:04}-{month:02}-{:02}", day.min(days(year, month))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_checked() {
        for (text, valid) in [
            ("2026-02-28", true),
            ("2026-02-29", false),
            ("2024-02-29", true),
            ("2026-13-01", false),
            ("2026-1-01", false),
            ("２０２６-01-01", false),
        ] {
            assert_eq!(parse(text).is_some(), valid, "{text}");
        }
        assert_eq!(years_later("2024-02-29", 3).as_deref(), Some("2027-02-28"));
    }
}
