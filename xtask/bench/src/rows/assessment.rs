//! Assessment from consolidated figures without open conflicts, on one core
//! and in a process of its own, so that its peak memory is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{JurisdictionCode, SchoolId};
use duxue_standards::assess::Assessor;
use duxue_standards::input::{InputSettings, SchoolInput, school_input};
use duxue_standards::{Standard, builtin};
use serde_json::{Map, Value, json};

use super::{Sizes, number};
use crate::Outcome;
use crate::process::own_usage;
use crate::sheet::{Sheet, median};

const SCHOOLS: u32 = 70;
const AS_OF: &str = "2026-09-01";
/// Times that one county and one entry are computed; the middle one counts.
const TIMES: usize = 200;

/// Measures the row in another process.
///
/// # Errors
/// What that process says.
pub fn run(sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(own);
    child.args(["assess", &sizes.counties.to_string()]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = child.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("the assessment's process: {error}"))?;
    for metric in ["county_ms", "entry_ms", "counties_s", "peak_mb"] {
        sheet.note(metric, figures.get(metric).and_then(Value::as_f64).ok_or("a figure is missing")?);
    }
    Ok(())
}

/// The figures of this process as JSON.
///
/// # Errors
/// If the standard or the synthetic schools do not fit the engine.
pub fn measure(counties: u32) -> Outcome<Value> {
    let text = builtin::text("cn-youzhi-2017").ok_or("the built-in standard is missing")?;
    let standard = Standard::load(&[text]).map_err(|errors| format!("{:?}", errors.first()))?;
    let standard = Arc::new(standard);
    let schools: Vec<ConsolidatedSchool> = (0..SCHOOLS).map(school).collect::<Outcome<_>>()?;
    // As the server does on a start: figures to inputs to results.
    let whole = || {
        let mut assessor = Assessor::new(Arc::clone(&standard), AS_OF);
        for school in &schools {
            assessor.set_school(input(&standard, school));
        }
        std::hint::black_box(assessor.county());
        assessor
    };
    let county_ms = middle(|_| drop(whole()));
    let mut assessor = whole();
    let entry_ms = middle(|index| {
        assessor.set_school(input(&standard, &schools[index % schools.len()]));
        std::hint::black_box(assessor.county());
    });
    let begin = Instant::now();
    for _ in 0..counties {
        drop(whole());
    }
    let counties_s = begin.elapsed().as_secs_f64();
    let peak_mb = own_usage().peak_kb / 1024.0;
    Ok(json!({ "county_ms": county_ms, "entry_ms": entry_ms, "counties_s": counties_s, "peak_mb": peak_mb }))
}

fn middle(mut once: impl FnMut(usize)) -> f64 {
    let mut took: Vec<f64> = (0..TIMES)
        .map(|index| {
            let begin = Instant::now();
            once(index);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    median(&took).unwrap_or_else(|| number(0))
}

fn input(standard: &Standard, school: &ConsolidatedSchool) -> Arc<SchoolInput> {
    Arc::new(school_input(standard, school, &InputSettings::default()))
}

fn school(number: u32) -> Outcome<ConsolidatedSchool> {
    let kind = [SchoolKind::Primary, SchoolKind::Junior, SchoolKind::NineYear][number as usize % 3];
    let pupils = 300 + number * 7;
    let figures = [
        ("pupils:primary", pupils),
        ("pupils:junior", pupils),
        ("teachers_above_required_degree:primary", pupils / 20),
        ("teachers_above_required_degree:junior", pupils / 18),
        ("teachers_backbone:primary", pupils / 90 + number % 5),
        ("teachers_backbone:junior", pupils / 80),
        ("teachers_pe_art:primary", pupils / 100),
        ("teachers_pe_art:junior", pupils / 100),
        ("teachers:primary", pupils / 15),
        ("teachers:junior", pupils / 13),
        ("classes:primary", pupils / 40),
        ("classes:junior", pupils / 45),
        ("max_class_size:primary", 44),
        ("max_class_size:junior", 49),
        ("teaching_area_m2:whole", pupils * 9),
        ("indoor_sports_area_m2:whole", pupils / 2),
        ("outdoor_sports_area_m2:whole", pupils * 16),
        ("equipment_value_yuan:whole", pupils * 4321),
        ("multimedia_rooms:whole", pupils / 20),
        ("music_rooms:whole", 2),
        ("art_rooms:whole", 2),
        ("public_funds_yuan:whole", pupils * 1500),
        ("training_funds_yuan:whole", pupils * 80),
    ];
    let mut declared = BTreeMap::new();
    for (key, value) in figures {
        declared.insert(key.parse().map_err(|_| format!("no figure {key}"))?, value.into());
    }
    Ok(ConsolidatedSchool {
        school: School {
            id: SchoolId::new(format!("{number:010}")).map_err(|error| error.to_string())?,
            name: format!("学校{number}"),
            jurisdiction: JurisdictionCode::new("340207").map_err(|error| error.to_string())?,
            kind,
            parent: None,
            attached: BTreeSet::new(),
            setting: Setting::Town,
            sponsor: 7,
            built_year: Some(2005),
            boarding: false,
            dense_centre: false,
            place: None,
        },
        declared: Declared { figures: declared, ..Declared::default() },
        items: BTreeMap::new(),
        entries: BTreeMap::new(),
        complete: BTreeSet::new(),
        duplicates: Vec::new(),
        findings: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_measured() {
        let figures = measure(1).expect("measured");
        let value = |name: &str| figures[name].as_f64().unwrap_or_default();
        assert!(["county_ms", "entry_ms", "counties_s", "peak_mb"].into_iter().all(|name| value(name) > 0.0));
    }
}
