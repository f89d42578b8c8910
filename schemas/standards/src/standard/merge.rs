//! Files into one standard: the base, then overlays that add or tighten.

mod rules;

use duxue_document::collections::{BTreeMap, BTreeSet};

use sha2::Digest;

use duxue_document::QuantityId;
use duxue_document::school::{Part, SchoolKind, Stage};

use super::read::{Fault, File, Table};
use super::{
    ByStage, Difference, Dimension, FileHash, Indicator, Level, Named, Quantity, SchoolRule, Scope, Special,
    Standard, StandardError, Sum,
};
use crate::number::Amount;

pub(super) fn load(texts: &[&str]) -> Result<Standard, Vec<StandardError>> {
    let mut errors = Vec::new();
    let mut standard: Option<Standard> = None;
    for (index, text) in texts.iter().enumerate() {
        let file = File::new(index + 1, text);
        if let Some(root) = file.parse() {
            let table = Table::new(&file, 0..0, root.get_ref());
            match &mut standard {
                None => standard = Some(base(&table)),
                Some(standard) => overlay(&table, standard),
            }
            table.finish();
        }
        errors.extend(file.into_errors());
        if standard.is_none() {
            // Without a base there is nothing to overlay.
            break;
        }
    }
    if let Some(mut standard) = standard.filter(|_| errors.is_empty()) {
        standard.special = special(&standard);
        return Ok(standard);
    }
    if errors.is_empty() {
        let file = File::new(1, "");
        file.report(&(0..0), Fault::NoBase, "");
        errors = file.into_errors();
    }
    Err(errors)
}

fn special(standard: &Standard) -> Special {
    let named = |id| standard.named(&QuantityId::new(id).ok()?);
    let mut over_schools: Vec<Named> = Vec::new();
    for quantity in standard.indicators.iter().flat_map(crate::assess::summed) {
        if !over_schools.contains(quantity) {
            over_schools.push(quantity.clone());
        }
    }
    Special {
        over_schools,
        pupils: named("pupils"),
        max_class_size: named("max_class_size"),
        migrant_pupils: named("migrant_pupils"),
    }
}

fn base(root: &Table) -> Standard {
    if root.has("overlay_of") {
        root.get("overlay_of");
        root.get("stricter_only");
        root.report(Fault::NoBase, "overlay_of");
    }
    let mut standard = Standard {
        id: root.need_text("id"),
        name: root.names(),
        source: root.need_text("source"),
        files: Vec::new(),
        quantities: BTreeMap::new(),
        dimensions: Vec::new(),
        indicators: Vec::new(),
        school_rule: None,
        difference: None,
        scope: Scope::default(),
        split: BTreeMap::new(),
        weights: BTreeMap::new(),
        special: Special::default(),
        county_facts: Vec::new(),
    };
    name_file(root, &standard.id.clone(), &mut standard);
    add(root, &mut standard);
    if let Some(table) = root.table("scope") {
        standard.scope = scope(&table);
    } else {
        root.need("scope");
    }
    if let Some(table) = root.table("split") {
        standard.split = split(&table);
        standard.weights = in_proportion(&standard.split);
    }
    standard.school_rule = root.table("school_rule").map(|table| school_rule(&table, &standard));
    standard.difference = root.table("difference").map(|table| difference(&table, &standard));
    standard.county_facts = root.words("county_facts");
    for id in &standard.county_facts {
        known_quantity(root, "county_facts", id, &standard);
    }
    standard
}

fn name_file(root: &Table, id: &str, standard: &mut Standard) {
    let sha256 = sha2::Sha256::digest(root.file.text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    standard.files.push(FileHash { id: id.to_owned(), version: root.need_text("version"), sha256 });
}

fn overlay(root: &Table, standard: &mut Standard) {
    if root.text("overlay_of").as_deref() != Some(&standard.id) {
        root.report(Fault::NoBase, "overlay_of");
    }
    let id = root.need_text("id");
    root.names();
    root.need_text("source");
    name_file(root, &id, standard);
    let stricter_only = root.flag("stricter_only");
    add(root, standard);
    for change in root.tables("change") {
        rules::change(&change, standard, stricter_only);
        change.finish();
    }
    for period in root.tables("relief_period") {
        rules::relief_period(&period, standard, stricter_only);
        period.finish();
    }
}

/// What base and overlays add alike: quantities, dimensions, indicators.
fn add(root: &Table, standard: &mut Standard) {
    for table in root.tables("quantity") {
        if let Some(quantity) = quantity(&table)
            && standard.quantities.contains_key(&quantity.id)
        {
            table.report(Fault::Duplicate, quantity.id.as_str());
        } else if let Some(mut quantity) = quantity(&table) {
            quantity.number = standard.quantities.len();
            standard.quantities.insert(quantity.id.clone(), quantity);
        }
        table.finish();
    }
    for table in root.tables("dimension") {
        let dimension =
            Dimension { id: table.need_text("id"), name: table.names(), clause: table.need_text("clause") };
        if standard.dimensions.iter().any(|other| other.id == dimension.id) {
            table.report(Fault::Duplicate, &dimension.id);
        }
        standard.dimensions.push(dimension);
        table.finish();
    }
    for table in root.tables("indicator") {
        let indicator = indicator(&table, standard);
        if standard.indicator(&indicator.id).is_some() {
            table.report(Fault::Duplicate, &indicator.id);
        }
        known_dimension(&table, &indicator.dimension, standard);
        standard.indicators.push(indicator);
        table.finish();
    }
}

fn quantity(table: &Table) -> Option<Quantity> {
    let unit = table.named("unit");
    if unit.is_none() {
        table.need("unit");
    }
    let items = table.get("items").and_then(|value| rules::item_rule(table, value));
    let sources = table.words("sources");
    if sources.contains(&super::SourceKind::Items) && items.is_none() {
        table.report(Fault::MissingKey, "items");
    }
    if sources.is_empty() {
        table.report(Fault::MissingKey, "sources");
    }
    let county = table.flag("county");
    let parts: BTreeSet<Part> = table.words("parts").into_iter().collect();
    if parts.is_empty() {
        table.report(Fault::MissingKey, "parts");
    }
    let id: Option<QuantityId> = table.word("id");
    if !table.has("id") {
        table.need("id");
    }
    Some(Quantity {
        id: id?,
        number: 0,
        name: table.names(),
        unit: unit.unwrap_or_default(),
        county,
        parts,
        sources,
        items,
        basis: table.word("basis"),
        decimals: table.whole("decimals", 6).unwrap_or_default(),
        bound: table.amount("bound"),
        plausible_max: table.amount("plausible_max"),
        tolerance: table.amount("tolerance").unwrap_or_default(),
        clause: table.need_text("clause"),
    })
}

fn indicator(table: &Table, standard: &Standard) -> Indicator {
    let level = table.word("level").unwrap_or(Level::County);
    if !table.has("level") {
        table.need("level");
    }
    let conditions: Vec<_> = table
        .tables("condition")
        .iter()
        .filter_map(|condition| {
            let read = rules::condition(condition, level, standard);
            condition.finish();
            read
        })
        .collect();
    if !table.has("condition") {
        table.report(Fault::MissingKey, "condition");
    }
    Indicator {
        id: table.need_text("id"),
        dimension: table.need_text("dimension"),
        name: table.names(),
        level,
        decimals: table.whole("decimals", 6).unwrap_or_default(),
        clause: table.need_text("clause"),
        conditions,
    }
}

fn scope(table: &Table) -> Scope {
    let mut scope = Scope { clause: table.need_text("clause"), ..Scope::default() };
    if let Some(stages) = table.table("stages") {
        for (kind, value) in stages.entries::<SchoolKind>(&[]) {
            let list =
                value.get_ref().as_array().map(|list| list.iter().collect::<Vec<_>>()).unwrap_or_default();
            let stages =
                list.into_iter().filter_map(|value| stages.word_in::<Stage>("stages", value)).collect();
            scope.stages.insert(kind, stages);
        }
    } else {
        table.need("stages");
    }
    if let Some(least) = table.table("min_pupils") {
        for (kind, value) in least.entries::<SchoolKind>(&[]) {
            if let Some(limit) = least.limit_in("min_pupils", value) {
                scope.min_pupils.insert(kind, limit.value);
            }
        }
    }
    for value in table.list("without_sponsors") {
        match value.get_ref().as_integer().and_then(|n| n.as_str().parse().ok()) {
            Some(code @ 1..=10) => _ = scope.without_sponsors.insert(code),
            _ => table.file.report(&value.span(), Fault::BadValue, "without_sponsors: 1 … 10"),
        }
    }
    table.finish();
    scope
}

fn split(table: &Table) -> BTreeMap<Part, Amount> {
    table.need_text("clause");
    let mut weights = BTreeMap::new();
    for (part, value) in table.entries::<Part>(&["clause"]) {
        match table.limit_in("split", value) {
            Some(limit) if limit.value > Amount::ZERO => _ = weights.insert(part, limit.value),
            _ => table.file.report(&value.span(), Fault::BadValue, "split: above 0"),
        }
    }
    weights
}

fn in_proportion(weights: &BTreeMap<Part, Amount>) -> BTreeMap<Part, i128> {
    let divisor =
        weights.values().fold(0, |divisor, weight| num_integer::gcd(divisor, weight.parts())).max(1);
    weights.iter().map(|(part, weight)| (*part, weight.parts() / divisor)).collect()
}

fn school_rule(table: &Table, standard: &Standard) -> SchoolRule {
    let rule = SchoolRule {
        items: stage_items(table, standard),
        met_at_least: table.whole("met_at_least", 100).unwrap_or_default() as usize,
        floor: table.amount("floor").unwrap_or(Amount::ONE),
        clause: table.need_text("clause"),
        dimension: table.need_text("dimension"),
    };
    if rule.floor > Amount::ONE || rule.met_at_least > rule.items.len() {
        table.report(Fault::BadValue, "met_at_least, floor");
    }
    known_dimension(table, &rule.dimension, standard);
    table.finish();
    rule
}

fn difference(table: &Table, standard: &Standard) -> Difference {
    let difference = Difference {
        items: stage_items(table, standard),
        test: table.word("test").unwrap_or(super::DifferenceTest::Each),
        at_most: by_stage(table, "at_most"),
        mean_decimals: table.whole("mean_decimals", 6).unwrap_or(2),
        decimals: table.whole("decimals", 6).unwrap_or(3),
        clause: table.need_text("clause"),
        dimension: table.need_text("dimension"),
    };
    known_dimension(table, &difference.dimension, standard);
    table.finish();
    difference
}

/// Ids of indicators with one value for each stage of a school.
fn stage_items(table: &Table, standard: &Standard) -> Vec<String> {
    let items: Vec<String> = table.words("items");
    for id in &items {
        let one_value = standard.indicator(id).is_some_and(|indicator| {
            indicator.level == Level::Stage
                && matches!(indicator.conditions.as_slice(), [c] if matches!(c.rule, super::Rule::PerPupils { .. }))
        });
        if !one_value {
            table.file.report(&table.span_of("items"), Fault::UnknownReference, id);
        }
    }
    if items.is_empty() {
        table.report(Fault::MissingKey, "items");
    }
    items
}

/// `{ primary = "4.2", junior = "5.3" }`, both needed.
fn by_stage(table: &Table, key: &'static str) -> ByStage {
    let mut limits = ByStage::new();
    match table.table(key) {
        None => _ = table.need(key),
        Some(stages) => {
            for (stage, value) in stages.entries::<Stage>(&[]) {
                if let Some(limit) = stages.limit_in(key, value) {
                    limits.insert(stage, limit);
                }
            }
            if limits.is_empty() {
                stages.report(Fault::MissingKey, format!("{key}: primary, junior"));
            }
        }
    }
    limits
}

/// The quantity of an id; reports one that the standard does not have.
fn known_quantity(table: &Table, key: &'static str, id: &QuantityId, standard: &Standard) -> Option<Named> {
    let known = standard.named(id);
    if known.is_none() {
        table.file.report(&table.span_of(key), Fault::UnknownReference, id.as_str());
    }
    known
}

fn known_dimension(table: &Table, id: &str, standard: &Standard) {
    if !standard.dimensions.iter().any(|dimension| dimension.id == id) {
        table.file.report(&table.span_of("dimension"), Fault::UnknownReference, id);
    }
}

/// `"a"`, `["a", "b"]` or `{ plus = [...], minus = [...], part = "junior" }`.
fn sum(table: &Table, key: &'static str, standard: &Standard) -> Sum {
    let (mut plus, mut minus, mut part) = (Vec::new(), Vec::new(), None);
    let Some(value) = table.need(key) else { return Sum::default() };
    if value.get_ref().is_str() {
        plus.extend(table.word_in(key, value));
    } else if value.get_ref().is_array() {
        plus = table.words(key);
    } else if let Some(parts) = table.table_in(key, value) {
        plus = parts.words("plus");
        minus = parts.words("minus");
        part = parts.word("part");
        parts.finish();
    }
    let known = |ids: &[QuantityId]| {
        ids.iter().filter_map(|id| known_quantity(table, key, id, standard)).collect::<Vec<Named>>()
    };
    let sum = Sum { plus: known(&plus), minus: known(&minus), part };
    if plus.is_empty() {
        table.file.report(&table.span_of(key), Fault::BadValue, format!("{key}: names no quantity"));
    }
    sum
}
