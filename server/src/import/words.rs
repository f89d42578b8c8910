//! Texts as people write them, brought to one form.

use duxue_document::Decimal;
use duxue_document::school::Part;

/// Full-width letters, digits and punctuation as ASCII; `㎡` as `m2`.
pub(super) fn half_width(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{3000}' | '\u{a0}' => plain.push(' '),
            '㎡' => plain.push_str("m2"),
            '²' => plain.push('2'),
            '\u{ff01}'..='\u{ff5e}' => {
                plain.push(char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c));
            }
            '−' | '–' => plain.push('-'),
            '。' if text.chars().all(|d| d.is_ascii_digit() || d == '。' || ('０'..='９').contains(&d)) =>
            {
                plain.push('.');
            }
            other => plain.push(other),
        }
    }
    plain
}

/// A unit that a column's name may state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    SquareMetre,
    Yuan,
    TenThousandYuan,
    Percent,
    TenThousandPeople,
}

fn unit(text: &str) -> Option<Unit> {
    match text {
        "人" | "名" | "个" | "间" | "所" | "台" | "册" | "班" | "年" | "套" | "级" | "份" => {
            Some(Unit::Count)
        }
        "m2" | "平方米" | "平米" => Some(Unit::SquareMetre),
        "元" => Some(Unit::Yuan),
        "万元" | "万" => Some(Unit::TenThousandYuan),
        "%" => Some(Unit::Percent),
        "万人" => Some(Unit::TenThousandPeople),
        _ => None,
    }
}

const PARTS: [(&str, Part); 12] = [
    ("小学部", Part::Primary),
    ("小学", Part::Primary),
    ("初中部", Part::Junior),
    ("初中", Part::Junior),
    ("高中部", Part::Senior),
    ("高中", Part::Senior),
    ("附设幼儿班", Part::Kindergarten),
    ("幼儿园", Part::Kindergarten),
    ("幼儿", Part::Kindergarten),
    ("附设特教班", Part::Special),
    ("特教班", Part::Special),
    ("特教", Part::Special),
];

/// The part that a text names as a whole: `小学` or `初中部`.
pub(super) fn part(text: &str) -> Option<Part> {
    PARTS.iter().find(|(name, _)| *name == text).map(|(_, part)| *part)
}

/// One header cell: what it names, and the unit and part that it states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Title {
    pub key: String,
    pub unit: Option<Unit>,
    pub part: Option<Part>,
}

/// Reads a header cell: `小学专任教师数（人）` is 专任教师数 of the primary
/// part, counted.
pub(super) fn title(text: &str) -> Title {
    let text: String = half_width(text).chars().filter(|c| !c.is_whitespace()).collect();
    let mut title = Title { key: String::new(), unit: None, part: None };
    let mut rest = text.as_str();
    while let Some((before, inside, after)) = bracketed(rest) {
        title.key.push_str(before);
        if let Some(found) = unit(inside) {
            title.unit = Some(found);
        } else if let Some(found) = part(inside) {
            title.part = Some(found);
        } else {
            title.key.push_str(inside);
        }
        rest = after;
    }
    title.key.push_str(rest);
    title.key = key(&title.key);
    let bare = title.key.strip_prefix("其中").unwrap_or(&title.key).to_owned();
    title.key = bare;
    if title.part.is_none()
        && let Some((name, found)) = PARTS.iter().find(|(name, _)| title.key.starts_with(name))
    {
        title.part = Some(*found);
        title.key = title.key[name.len()..].to_owned();
    }
    title
}

fn bracketed(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(['(', '[', '【'])?;
    let (inside, after) = rest.split_once([')', ']', '】'])?;
    Some((before, inside, after))
}

/// Text without punctuation, for comparing names.
pub(super) fn key(text: &str) -> String {
    half_width(text).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A cell that people fill in to say that there is nothing to say.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '-' | '—' | '－' | '–' | '/' | '\\' | '…' | ' '))
}

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    NotNumber,
    OutOfRange,
}

/// A number with whether digits were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub value: Decimal,
    pub rounded: bool,
}

/// Reads a number that stands in units of ten to the power of `shift`, exactly:
/// `12.34` with shift 4 is 123 400. What remains beyond six decimals is rounded
/// half away from zero, as the forms do, and said so.
pub(super) fn number(text: &str, shift: u32) -> Result<Number, NumberError> {
    let text = half_width(text);
    let text = ungroup(text.trim()).ok_or(NumberError::NotNumber)?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || whole.len() + fraction.len() == 0 {
        return Err(NumberError::NotNumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u32::try_from(fraction.len()).map_err(|_| NumberError::OutOfRange)?;
    if whole.len() + fraction.len() > 30 {
        return Err(NumberError::OutOfRange);
    }
    let mantissa: u128 = format!("0{whole}{fraction}").parse().map_err(|_| NumberError::OutOfRange)?;
    // In millionths: `mantissa · 10^(shift + 6 − scale)`.
    let (millionths, rounded) = if scale <= shift + 6 {
        let factor = 10_u128.checked_pow(shift + 6 - scale).ok_or(NumberError::OutOfRange)?;
        (mantissa.checked_mul(factor).ok_or(NumberError::OutOfRange)?, false)
    } else {
        let divisor = 10_u128.checked_pow(scale - shift - 6).ok_or(NumberError::OutOfRange)?;
        ((mantissa + divisor / 2) / divisor, !mantissa.is_multiple_of(divisor))
    };
    let sign = if negative { "-" } else { "" };
    let value = format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
        .parse()
        .map_err(|_| NumberError::OutOfRange)?;
    Ok(Number { value, rounded })
}

/// Takes out commas that stand between groups of three digits.
fn ungroup(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.to_owned());
    }
    let whole = text.split('.').next().unwrap_or(text);
    if text[whole.len()..].contains(',') {
        return None;
    }
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next()?;
    let regular = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    regular.then(|| text.replace(',', ""))
}

/// 是 or 否 in the ways that people write them.
pub(super) fn yes_no(text: &str) -> Option<bool> {
    match half_width(text).trim().to_lowercase().as_str() {
        "是" | "有" | "yes" | "y" | "true" | "1" | "√" | "✓" => Some(true),
        "否" | "无" | "不是" | "no" | "n" | "false" | "0" | "×" | "✗" => Some(false),
        _ => None,
    }
}

/// The items of a list such as `96;73.5`; an empty list for 无. A comma
/// separates only where it cannot belong to a number.
pub(super) fn list(text: &str) -> Vec<String> {
    let text = half_width(text);
    if matches!(text.trim(), "无" | "none") {
        return Vec::new();
    }
    text.split(|c: char| matches!(c, ';' | '、' | '\n' | '|' | ',') || c.is_whitespace())
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, shift, value, rounded) in [
            ("12.34", 4, "123400", false),
            ("０．０００１", 4, "1", false),
            ("0.12345678", 4, "1234.5678", false),
            ("1,234,567.5", 0, "1234567.5", false),
            ("-3", 0, "-3", false),
            ("+7", 0, "7", false),
            ("0.12345678949", 4, "1234.567895", true),
            ("0.0000005", 0, "0.000001", true),
            ("-0.0000005", 0, "-0.000001", true),
            ("2.50", 0, "2.5", false),
            (".5", 0, "0.5", false),
        ] {
            let number = number(text, shift).unwrap();
            assert_eq!((number.value.to_string().as_str(), number.rounded), (value, rounded), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "约45", "1,23", "1,2345", "1.2.3", "1e5", "45人", "--1", "0x1", "1,234.5,6", "."] {
            assert_eq!(number(text, 0), Err(NumberError::NotNumber), "{text:?}");
        }
        for text in ["9999999999999999", "1234567890123456789012345678901"] {
            assert_eq!(number(text, 0), Err(NumberError::OutOfRange), "{text:?}");
        }
    }

    #[test]
    fn titles_give_name_unit_and_part() {
        for (text, key, unit, part) in [
            ("小学专任教师数（人）", "专任教师数", Some(Unit::Count), Some(Part::Primary)),
            ("本科学历教师人数(初中)", "本科学历教师人数", None, Some(Part::Junior)),
            (
                "教学仪器设备资产值（账面原值）（万元）",
                "教学仪器设备资产值账面原值",
                Some(Unit::TenThousandYuan),
                None,
            ),
            ("教学及辅\n 助用房面积（ ㎡）", "教学及辅助用房面积", Some(Unit::SquareMetre), None),
            ("小学", "", None, Some(Part::Primary)),
            ("其中：专任教师", "专任教师", None, None),
            ("体育、艺术（美术、音乐）专任教师数", "体育艺术美术音乐专任教师数", None, None),
        ] {
            assert_eq!(title(text), Title { key: key.to_owned(), unit, part }, "{text}");
        }
    }
}
