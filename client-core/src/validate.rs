//! What a value must be, and what makes one look wrong.
//!
//! A wrong shape is refused. An unlikely value is kept with a warning: the
//! inspector was there and the program was not.

use duxue_document::consolidated::fields;
use duxue_document::path::ItemKind;
use duxue_document::school::{FigureKey, RoomPurpose};
use duxue_document::{Decimal, EntryPath, Scalar, Value};
use duxue_protocol::problem::Problem;

use crate::bounds;
use crate::command::{Statement, Subject, Unusual, Warning};
use crate::engine::Engine;
use crate::error::CommandError;

/// Checks what a person states: that the value fits its entry and that nothing
/// is too long. Shells that take many statements check all before the first.
///
/// # Errors
/// [`CommandError::BadValue`], or `capture.too_long`.
pub fn check_statement(path: &EntryPath, statement: &Statement) -> Result<(), CommandError> {
    check(path, &statement.value).map_err(CommandError::BadValue)?;
    bounds::check(path, statement)
}

/// Checks that a value fits its entry. Types by field name are checked when
/// the claim is written.
///
/// # Errors
/// What is wrong, for people: the field and what it should be.
pub fn check(path: &EntryPath, value: &Value) -> Result<(), String> {
    for (field, scalar) in value {
        if let Scalar::Number(number) = scalar
            && number.is_negative()
        {
            return Err(format!("{path}/{field}: {number} < 0"));
        }
    }
    match path {
        EntryPath::Item { kind, field, .. } => match (kind, field.as_str()) {
            (ItemKind::Rooms | ItemKind::Grounds, fields::SIZE) => check_size(path, value),
            (ItemKind::Rooms, fields::IDENTITY) => {
                let purpose = need(path, value, "purpose")?;
                let known = serde_json::from_value::<RoomPurpose>(text(purpose).into()).is_ok();
                need(path, value, "number")?;
                if known {
                    Ok(())
                } else {
                    let known = "classroom, music, art, laboratory, computer, library, indoor_sports, counselling, other";
                    Err(format!("{path}/purpose: {} ({known})", text(purpose)))
                }
            }
            (ItemKind::Classes, fields::IDENTITY) => {
                let stage = text(need(path, value, "stage")?);
                need(path, value, "grade")?;
                need(path, value, "number")?;
                let known = matches!(stage.as_str(), "primary" | "junior");
                if known { Ok(()) } else { Err(format!("{path}/stage: {stage} (primary, junior)")) }
            }
            (ItemKind::Grounds, fields::IDENTITY) => {
                let kind = text(need(path, value, "kind")?);
                let known = matches!(kind.as_str(), "outdoor" | "rooftop" | "basement" | "leased");
                need(path, value, "name")?;
                if known {
                    Ok(())
                } else {
                    Err(format!("{path}/kind: {kind} (outdoor, rooftop, basement, leased)"))
                }
            }
            (ItemKind::Equipment, fields::IDENTITY) => {
                need(path, value, "code").map(|_| ())?;
                need(path, value, "name").map(|_| ())
            }
            (ItemKind::Equipment, fields::UNIT_VALUE) => need(path, value, "value_yuan").map(|_| ()),
            (_, fields::PUPILS | fields::COUNT) => whole(path, value),
            (_, fields::MULTIMEDIA) => need(path, value, "value").map(|_| ()),
            _ => Err(format!("{path}: 没有这种条目 / there is no such entry")),
        },
        EntryPath::Quantity(_) | EntryPath::Answer(_) => need(path, value, "value").map(|_| ()),
        EntryPath::Section(_) => need(path, value, "complete").map(|_| ()),
        EntryPath::Evidence(_) => need(path, value, "entries").map(|_| ()),
    }
}

fn need<'a>(path: &EntryPath, value: &'a Value, name: &str) -> Result<&'a Scalar, String> {
    value
        .iter()
        .find(|(field, _)| field.as_str() == name)
        .map(|(_, scalar)| scalar)
        .ok_or_else(|| format!("{path}/{name}: 缺 / missing"))
}

fn number(value: &Value, name: &str) -> Option<Decimal> {
    value.iter().find(|(field, _)| field.as_str() == name).and_then(|(_, scalar)| match scalar {
        Scalar::Number(number) => Some(*number),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    })
}

fn text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Bool(bool) => bool.to_string(),
    }
}

fn check_size(path: &EntryPath, value: &Value) -> Result<(), String> {
    let (length, width, area) =
        (number(value, "length_m"), number(value, "width_m"), number(value, "area_m2"));
    let sides = length.is_some() && width.is_some();
    if (sides && area.is_none()) || (area.is_some() && length.is_none() && width.is_none()) {
        return Ok(());
    }
    Err(format!("{path}: length_m + width_m | area_m2"))
}

fn whole(path: &EntryPath, value: &Value) -> Result<(), String> {
    let count = number(value, "value").ok_or_else(|| format!("{path}/value: 缺 / missing"))?;
    if count.to_rational().is_integer() {
        Ok(())
    } else {
        Err(format!("{path}/value: {count}: 应为整数 / must be a whole number"))
    }
}

/// Limits beyond which a measurement is asked about again. Chosen wide: an
/// ordinary classroom is 6 to 10 m long (GB 50099), a class has 20 to 70 pupils.
mod likely {
    /// Metres, side of a room.
    pub const ROOM_SIDE: (i32, i32) = (2, 40);
    /// Metres, side of a ground.
    pub const GROUND_SIDE: (i32, i32) = (3, 400);
    /// Pupils in a class.
    pub const CLASS: (i32, i32) = (5, 75);
    /// Square metres of a room or ground of which only the area is known: that
    /// of one whose sides are likely.
    pub const ROOM_AREA: (i32, i32) = (4, 1_600);
    /// The same of a ground.
    pub const GROUND_AREA: (i32, i32) = (9, 160_000);
    /// Yuan, one piece of equipment.
    pub const PIECE: (i32, i32) = (1, 500_000);
    /// Observed over declared, in percent.
    pub const SHARE: (i32, i32) = (70, 130);
}

fn unlikely(path: &EntryPath, name: &str, found: Decimal, (low, high): (i32, i32)) -> Option<Warning> {
    let (low, high) = (Decimal::from(low), Decimal::from(high));
    if (low..=high).contains(&found) {
        return None;
    }
    let problem = Problem::new(
        "capture.unlikely",
        "这个值不太寻常，请再核对一次；已照填写保存",
        "this value is unusual: check it again; it is saved as entered",
    );
    let problem = problem.with_detail(format!("{name} = {found} ({low}–{high})"));
    let unusual = Some(Unusual { field: name.to_owned(), found, low, high });
    Some(Warning { path: path.clone(), problem, unusual })
}

impl Engine {
    /// What would look wrong about claims that are being typed; those that do
    /// not fit yet are left out. The same warnings come when they are saved.
    #[must_use]
    pub fn unlikely_claims(&self, subject: &Subject, claims: &[(EntryPath, Statement)]) -> Vec<Warning> {
        let fitting = claims.iter().filter(|(path, statement)| check(path, &statement.value).is_ok());
        fitting.flat_map(|(path, statement)| self.implausible(subject, path, &statement.value)).collect()
    }

    /// What looks wrong about a value.
    pub(crate) fn implausible(&self, subject: &Subject, path: &EntryPath, value: &Value) -> Vec<Warning> {
        let check =
            |name: &str, range| number(value, name).and_then(|found| unlikely(path, name, found, range));
        match path {
            EntryPath::Item { kind, field, .. } => {
                let (side, area) = match kind {
                    ItemKind::Grounds => (likely::GROUND_SIDE, likely::GROUND_AREA),
                    _ => (likely::ROOM_SIDE, likely::ROOM_AREA),
                };
                match field.as_str() {
                    fields::SIZE => [("length_m", side), ("width_m", side), ("area_m2", area)]
                        .into_iter()
                        .filter_map(|(name, range)| check(name, range))
                        .collect(),
                    fields::PUPILS => check("value", likely::CLASS).into_iter().collect(),
                    fields::UNIT_VALUE => check("value_yuan", likely::PIECE).into_iter().collect(),
                    _ => Vec::new(),
                }
            }
            EntryPath::Quantity(key) => {
                let unfit = self.not_taken(subject, path, key, value);
                unfit.or_else(|| self.far_from_declared(subject, path, key, value)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the round's standard will not count, such as 3.5 teachers.
    fn not_taken(
        &self,
        subject: &Subject,
        path: &EntryPath,
        key: &FigureKey,
        value: &Value,
    ) -> Option<Warning> {
        let found = number(value, "value")?;
        let standard = self.packets.get(&subject.round)?.standard.as_ref().ok()?;
        let quantity = standard.quantities.get(&key.quantity)?;
        let problem = if !quantity.takes(found) {
            Problem::new(
                "capture.not_taken",
                "按本轮标准，这项不能是这样的数（小数位数过多或超出可能的范围），评估时不会计入；请再核对一次，已照填写保存",
                "by this round's standard this cannot be such a number (too many decimals, or more than is possible), and it does not count: check it again; it is saved as entered",
            )
        } else if quantity.is_implausible(found) {
            Problem::new(
                "capture.implausible",
                "这个值超出合理上限，请再核对一次；已照填写保存",
                "above what is plausible: check it again; it is saved as entered",
            )
        } else {
            return None;
        };
        let problem = problem.with_detail(format!("{key} = {found}"));
        Some(Warning { path: path.clone(), problem, unusual: None })
    }

    fn far_from_declared(
        &self,
        subject: &Subject,
        path: &EntryPath,
        key: &FigureKey,
        value: &Value,
    ) -> Option<Warning> {
        let found = number(value, "value")?;
        let (_, school) = self.packet_school(subject).ok()?;
        let declared = *school.declared.figures.get(key)?;
        let hundred = num(100);
        let (low, high) = likely::SHARE;
        let exact = found.to_rational() * hundred;
        let range = declared.to_rational() * num(low)..=declared.to_rational() * num(high);
        if range.contains(&exact) {
            return None;
        }
        let problem = Problem::new(
            "capture.far_from_declared",
            "与学校上报数相差较大，请再核对一次；已照填写保存",
            "far from the declared figure: check it again; it is saved as entered",
        );
        let detail = format!("{key} = {found}, 上报 / declared {declared}");
        Some(Warning { path: path.clone(), problem: problem.with_detail(detail), unusual: None })
    }
}

fn num(value: i32) -> num_rational::BigRational {
    Decimal::from(value).to_rational()
}
