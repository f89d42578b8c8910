//! Conditions, reliefs and the changes that overlays make to them.

use duxue_document::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use duxue_document::QuantityId;
use duxue_document::school::{RoomPurpose, SchoolKind, Stage};

use super::super::{
    ByStage, Compare, Condition, Effect, ItemRule, Lack, Level, Limit, LimitByKind, Named, Relief, RoomNeed,
    Rule, Standard, Who,
};
use super::{Fault, Table, by_stage, known_quantity, sum};

pub(super) fn item_rule<'f, 'a>(table: &Table<'f, 'a>, value: &'f Spanned<DeValue<'a>>) -> Option<ItemRule> {
    let rule = table.table_in("items", value)?;
    let from = rule.need_text("from");
    let grounds: Vec<String> = rule.words("kinds");
    let purpose: Option<RoomPurpose> = rule.word("purpose");
    rule.finish();
    let has = |kind: &str| grounds.iter().any(|g| g == kind);
    match (from.as_str(), purpose) {
        ("multimedia_rooms", None) => Some(ItemRule::MultimediaRooms),
        ("rooms", Some(purpose)) => Some(ItemRule::Rooms { purpose }),
        ("class_count", None) => Some(ItemRule::ClassCount),
        ("class_sizes", None) => Some(ItemRule::ClassSizes),
        ("class_pupils", None) => Some(ItemRule::ClassPupils),
        ("equipment_value", None) => Some(ItemRule::EquipmentValue),
        ("grounds", None) => Some(ItemRule::Grounds {
            outdoor: has("outdoor"),
            onsite: has("rooftop") || has("basement"),
            leased: has("leased"),
        }),
        _ => {
            table.file.report(&value.span(), Fault::BadValue, format!("items.from: {from}"));
            None
        }
    }
}

pub(super) fn condition(table: &Table, level: Level, standard: &Standard) -> Option<Condition> {
    let name = (table.has("zh") || table.has("en")).then(|| table.names());
    let rule = rule(table, level, standard);
    let who = table.table("who").map(|who| read_who(&who)).unwrap_or_default();
    let reliefs = table.tables("relief").iter().map(|relief| read_relief(relief, standard)).collect();
    let lack = table.table("lack").map(|lack| {
        let read = Lack { unit: lack.names(), decimals: lack.whole("decimals", 6).unwrap_or_default() };
        lack.finish();
        read
    });
    Some(Condition { name, rule: rule?, who, reliefs, lack })
}

fn rule(table: &Table, level: Level, standard: &Standard) -> Option<Rule> {
    let kind = table.need_text("type");
    let rule = match kind.as_str() {
        "per_pupil" | "per_hundred_pupils" => Rule::PerPupils {
            of: sum(table, "of", standard),
            per: if kind == "per_pupil" { 1 } else { 100 },
            at_least: by_stage(table, "at_least"),
        },
        "share" => Rule::Share {
            of: sum(table, "of", standard),
            over: sum(table, "over", standard),
            compare: compare(table),
            limit: need_limit(table, "limit"),
            over_schools: table.flag("over_schools"),
            printed_times: table.whole("printed_times", 100).unwrap_or(100),
        },
        "at_most" | "at_least" | "bound" => Rule::Bound {
            of: sum(table, "of", standard),
            compare: match kind.as_str() {
                "at_most" => Compare::AtMost,
                "at_least" => Compare::AtLeast,
                _ => compare(table),
            },
            limit: limit_by_kind(table, "limit"),
        },
        "against" | "year_on_year" => Rule::Against {
            of: sum(table, "of", standard),
            compare: compare(table),
            than: sum(table, "than", standard),
            year_on_year: kind == "year_on_year",
        },
        "rooms_per_classes" => rooms_per_classes(table, standard)?,
        "every_class_at_most" => {
            Rule::EveryClassAtMost { of: quantity(table, "of", standard)?, limit: by_stage(table, "limit") }
        }
        "yes_no" => {
            table.need("question");
            Rule::YesNo { question: table.word("question")?, expect: !table.flag("must_be_no") }
        }
        "funded_as" => Rule::FundedAs {
            funds: quantity(table, "funds", standard)?,
            norm: norms(table, standard),
            pupils: need_limit(table, "pupils").value,
        },
        _ => {
            table.file.report(&table.span_of("type"), Fault::BadValue, format!("type: {kind}"));
            return None;
        }
    };
    let fits = match rule {
        Rule::PerPupils { .. } => level == Level::Stage,
        Rule::RoomsPerClasses { .. } | Rule::EveryClassAtMost { .. } | Rule::FundedAs { .. } => {
            level == Level::School
        }
        _ => true,
    };
    if !fits {
        table.file.report(&table.span_of("type"), Fault::BadValue, format!("type {kind} at this level"));
    }
    Some(rule)
}

fn rooms_per_classes(table: &Table, standard: &Standard) -> Option<Rule> {
    let rooms = table
        .tables("rooms")
        .iter()
        .filter_map(|room| {
            let need = RoomNeed {
                rooms: quantity(room, "rooms", standard)?,
                area_m2: by_stage(room, "area_m2"),
                unit: room.names(),
            };
            room.finish();
            Some(need)
        })
        .collect();
    let classes = table.whole("classes", 1000).filter(|n| *n > 0).unwrap_or_else(|| {
        table.report(Fault::MissingKey, "classes");
        1
    });
    Some(Rule::RoomsPerClasses { classes, of: quantity(table, "of", standard)?, rooms })
}

fn norms(table: &Table, standard: &Standard) -> BTreeMap<Stage, Named> {
    let Some(norms) = table.table("norm") else {
        table.need("norm");
        return BTreeMap::new();
    };
    let mut read = BTreeMap::new();
    for (stage, value) in norms.entries::<Stage>(&[]) {
        if let Some(id) = norms.word_in::<QuantityId>("norm", value) {
            read.extend(known_quantity(table, "norm", &id, standard).map(|norm| (stage, norm)));
        }
    }
    read
}

fn quantity(table: &Table, key: &'static str, standard: &Standard) -> Option<Named> {
    table.need(key)?;
    let id: QuantityId = table.word(key)?;
    known_quantity(table, key, &id, standard)
}

fn compare(table: &Table) -> Compare {
    if !table.has("compare") {
        table.need("compare");
    }
    table.word("compare").unwrap_or(Compare::AtLeast)
}

fn need_limit(table: &Table, key: &'static str) -> Limit {
    if !table.has(key) {
        table.need(key);
    }
    table.limit(key).unwrap_or(Limit { value: crate::number::Amount::ZERO, decimals: 0 })
}

/// `"2000"` or `{ default = "2000", nine_year = "2500" }`.
fn limit_by_kind(table: &Table, key: &'static str) -> LimitByKind {
    let Some(value) = table.get(key).filter(|value| value.get_ref().is_table()) else {
        return LimitByKind { default: need_limit(table, key), kinds: BTreeMap::new() };
    };
    let nothing = LimitByKind {
        default: Limit { value: crate::number::Amount::ZERO, decimals: 0 },
        kinds: BTreeMap::new(),
    };
    let Some(kinds) = table.table_in(key, value) else { return nothing };
    let default = need_limit(&kinds, "default");
    let mut limits = BTreeMap::new();
    for (kind, value) in kinds.entries::<SchoolKind>(&["default"]) {
        if let Some(limit) = kinds.limit_in(key, value) {
            limits.insert(kind, limit);
        }
    }
    LimitByKind { default, kinds: limits }
}

fn read_who(table: &Table) -> Who {
    let who = Who {
        kinds: table.words("kinds").into_iter().collect(),
        settings: table.words("settings").into_iter().collect(),
        pupils_at_least: table.amount("pupils_at_least"),
        pupils_below: table.amount("pupils_below"),
        dense_centre: table.flag("dense_centre"),
        built_until: table.whole("built_until", 9999).and_then(|year| u16::try_from(year).ok()),
        every_class_below: table.amount("every_class_below"),
        migrant_share_above: table.amount("migrant_share_above"),
    };
    table.finish();
    who
}

fn read_relief(table: &Table, standard: &Standard) -> Relief {
    let who: Vec<Who> = table.tables("who").iter().map(read_who).collect();
    if who.is_empty() {
        table.report(Fault::MissingKey, "who");
    }
    let relief = Relief {
        id: table.need_text("id"),
        name: table.names(),
        clause: table.need_text("clause"),
        from: date(table, "from"),
        until: date(table, "until"),
        due_years: table
            .whole("due_years", 100)
            .and_then(|years| u16::try_from(years).ok())
            .unwrap_or_default(),
        who,
        effect: effect(table, standard),
    };
    table.finish();
    relief
}

fn effect(table: &Table, standard: &Standard) -> Effect {
    if table.has("also_count") {
        let ids: Vec<QuantityId> = table.words("also_count");
        let known = ids.iter().filter_map(|id| known_quantity(table, "also_count", id, standard));
        return Effect::AlsoCount(known.collect());
    }
    if let Some(areas) = table.table("areas") {
        let mut read = BTreeMap::new();
        for (id, value) in areas.entries::<QuantityId>(&[]) {
            known_quantity(table, "areas", &id, standard);
            let Some(stages) = areas.table_in("areas", value) else { continue };
            let mut limits = ByStage::new();
            for (stage, value) in stages.entries::<Stage>(&[]) {
                if let Some(limit) = stages.limit_in("areas", value) {
                    limits.insert(stage, limit);
                }
            }
            read.insert(id, limits);
        }
        return Effect::Areas(read);
    }
    Effect::Limit(limit_by_kind(table, "limit"))
}

/// `YYYY-MM-DD` as text: compared as text, so the form is checked here.
fn date(table: &Table, key: &'static str) -> String {
    let text = table.need_text(key);
    if table.has(key) && crate::date::parse(&text).is_none() {
        table.file.report(&table.span_of(key), Fault::BadValue, format!("{key}: YYYY-MM-DD"));
    }
    text
}

/// An overlay's `[[change]]`: another limit for a condition of the base.
pub(super) fn change(table: &Table, standard: &mut Standard, stricter_only: bool) {
    table.need_text("clause");
    let id = table.need_text("indicator");
    let number = table.whole("condition", 100).unwrap_or(1) as usize;
    let limit = table.limit("limit");
    let stages = (table.has("at_least") || table.has("at_most"))
        .then(|| by_stage(table, if table.has("at_least") { "at_least" } else { "at_most" }));
    if id == "CV" {
        return change_difference(table, standard, stages, stricter_only);
    }
    let condition = standard
        .indicators
        .iter_mut()
        .find(|indicator| indicator.id == id)
        .and_then(|indicator| indicator.conditions.get_mut(number.wrapping_sub(1)));
    let Some(condition) = condition else {
        table.file.report(
            &table.span_of("indicator"),
            Fault::UnknownReference,
            format!("{id}, condition {number}"),
        );
        return;
    };
    let (old, new, compare) = match (&mut condition.rule, limit, stages) {
        (Rule::Share { limit: old, compare, .. }, Some(new), None) => (pairs_one(old, new), None, *compare),
        (Rule::Bound { limit: old, compare, .. }, Some(new), None) if old.kinds.is_empty() => {
            (pairs_one(&mut old.default, new), None, *compare)
        }
        (Rule::PerPupils { at_least, .. }, None, Some(new)) => {
            (pairs(at_least, &new), Some(()), Compare::AtLeast)
        }
        (Rule::EveryClassAtMost { limit, .. }, None, Some(new)) => {
            (pairs(limit, &new), Some(()), Compare::AtMost)
        }
        _ => {
            table.report(Fault::BadValue, format!("{id}: this limit does not fit its type"));
            return;
        }
    };
    let _ = new;
    check_stricter(table, &id, &old, compare, stricter_only);
}

fn change_difference(table: &Table, standard: &mut Standard, stages: Option<ByStage>, stricter_only: bool) {
    match (&mut standard.difference, stages) {
        (Some(difference), Some(new)) => {
            let changed = pairs(&mut difference.at_most, &new);
            check_stricter(table, "CV", &changed, Compare::AtMost, stricter_only);
        }
        _ => table.report(Fault::BadValue, "CV: at_most"),
    }
}

fn pairs_one(old: &mut Limit, new: Limit) -> Vec<(Limit, Limit)> {
    vec![(std::mem::replace(old, new), new)]
}

fn pairs(old: &mut ByStage, new: &ByStage) -> Vec<(Limit, Limit)> {
    let changed = new.iter().filter_map(|(stage, new)| Some((*old.get(stage)?, *new))).collect();
    old.extend(new.iter().map(|(stage, limit)| (*stage, *limit)));
    changed
}

fn check_stricter(
    table: &Table,
    id: &str,
    changed: &[(Limit, Limit)],
    compare: Compare,
    stricter_only: bool,
) {
    let looser = changed.iter().any(|(old, new)| match compare {
        Compare::AtLeast | Compare::Above => new.value < old.value,
        Compare::AtMost | Compare::Below => new.value > old.value,
    });
    if stricter_only && looser {
        table.report(Fault::Looser, id);
    }
}

/// An overlay's `[[relief_period]]`: other dates for a relief of the base.
pub(super) fn relief_period(table: &Table, standard: &mut Standard, stricter_only: bool) {
    table.need_text("clause");
    let id = table.need_text("relief");
    let (from, until) = (date(table, "from"), date(table, "until"));
    let mut found = false;
    let reliefs = standard.indicators.iter_mut().flat_map(|i| &mut i.conditions).flat_map(|c| &mut c.reliefs);
    for relief in reliefs.filter(|relief| relief.id == id) {
        found = true;
        if stricter_only && (from < relief.from || until > relief.until) {
            table.report(Fault::Looser, &id);
        }
        relief.from.clone_from(&from);
        relief.until.clone_from(&until);
    }
    if !found {
        table.file.report(&table.span_of("relief"), Fault::UnknownReference, &id);
    }
}
