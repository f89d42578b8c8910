//! Moments for people, in the time zone of this machine.

use chrono::{DateTime, Local, TimeZone};
use duxue_document::Captured;

use super::out::Out;

/// Below this difference to the server a device's clock is taken as right, in
/// milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// `2026-11-21 22:59`; the bare number where it is no moment of this calendar.
pub fn moment(ms: i64) -> String {
    moment_in(&Local, ms)
}

/// When a claim was stated by its device's clock, which decides nothing, and
/// how far that clock was off.
pub fn captured(out: &Out, captured: &Captured) -> String {
    format!("{}{}", moment(captured.device_time_ms), clock(out, captured.clock_offset_ms))
}

fn moment_in<Z: TimeZone<Offset: std::fmt::Display>>(zone: &Z, ms: i64) -> String {
    let Some(utc) = DateTime::from_timestamp_millis(ms) else { return ms.to_string() };
    utc.with_timezone(zone).format("%Y-%m-%d %H:%M").to_string()
}

fn clock(out: &Out, offset_ms: Option<i64>) -> String {
    let Some(offset) = offset_ms else {
        return out.say("（时钟未核对）", " (clock unchecked)").to_owned();
    };
    if offset.unsigned_abs() < CLOCK_TOLERANCE_MS {
        return String::new();
    }
    let minutes = offset.unsigned_abs() / 60_000;
    // The offset is the server's clock minus the device's.
    if offset > 0 {
        format!("{}{minutes}{}", out.say("（时钟慢", " (clock "), out.say("分钟）", " min slow)"))
    } else {
        format!("{}{minutes}{}", out.say("（时钟快", " (clock "), out.say("分钟）", " min fast)"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::super::args::Lang;
    use super::*;

    #[test]
    fn a_moment_is_said_in_the_zone_and_what_is_none_as_it_is() {
        let china = FixedOffset::east_opt(8 * 3600).expect("a zone");
        for (ms, said) in [
            (0, "1970-01-01 08:00".to_owned()),
            (1_795_300_358_174, "2026-11-22 06:32".to_owned()),
            (i64::MAX, i64::MAX.to_string()),
        ] {
            assert_eq!(moment_in(&china, ms), said);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_named_in_the_direction_in_which_it_is_off() {
        for (offset, zh, en) in [
            (None, "（时钟未核对）", " (clock unchecked)"),
            (Some(0), "", ""),
            (Some(-59_999), "", ""),
            (Some(120_000), "（时钟慢2分钟）", " (clock 2 min slow)"),
            (Some(-180_500), "（时钟快3分钟）", " (clock 3 min fast)"),
        ] {
            assert_eq!(clock(&Out::new(false, Lang::Zh), offset), zh);
            assert_eq!(clock(&Out::new(false, Lang::En), offset), en);
        }
    }
}
