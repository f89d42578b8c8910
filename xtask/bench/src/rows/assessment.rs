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

use super::Sizes;
use crate::Outcome;
use crate::process::own_usage;
use crate::sheet::Sheet;

const SCHOOLS: u32 = 70;
/// What is measured, as the processes name it to each other.
const FIGURES: [&str; 5] = ["county_ms", "entry_ms", "counties_s", "counties_wall_s", "peak_mb"];
const AS_OF: &str = "2026-09-01";

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
    for metric in FIGURES {
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
    // As the server does when a round is first asked for: figures to inputs to
    // the county's result. Schools' reasons are worked out when they are read.
    let whole = || {
        let mut assessor = Assessor::new(Arc::clone(&standard), AS_OF);
        for school in &schools {
            assessor.set_school(input(&standard, school));
        }
        std::hint::black_box(assessor.county());
        assessor
    };
    // So often that the clock's ticks do not show.
    let (few, many) = ((counties / 6).max(1), counties.max(1));
    let county_s = cpu_s(few, |_| drop(whole()));
    let mut assessor = whole();
    let entry_s = cpu_s(many, |index| {
        assessor.set_school(input(&standard, &schools[index as usize % schools.len()]));
        std::hint::black_box(assessor.county());
    });
    let begin = Instant::now();
    let counties_s = cpu_s(counties, |_| drop(whole()));
    let wall_s = begin.elapsed().as_secs_f64();
    let county_ms = county_s * 1e3 / f64::from(few);
    let entry_ms = entry_s * 1e3 / f64::from(many);
    let peak_mb = own_usage().peak_kb / 1024.0;
    let values = [county_ms, entry_ms, counties_s, wall_s, peak_mb];
    Ok(FIGURES
        .iter()
        .zip(values)
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect::<Map<_, _>>()
        .into())
}

/// Processor seconds of so many times. This process has one thread, so they
/// are seconds of one core, whatever else the machine does.
fn cpu_s(times: u32, mut once: impl FnMut(u32)) -> f64 {
    let before = own_usage().cpu_s;
    (0..times).for_each(&mut once);
    own_usage().cpu_s - before
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
        let measured = |name: &str| figures[name].as_f64().is_some_and(|value| value >= 0.0);
        assert!(FIGURES.into_iter().all(measured), "{figures}");
    }
}
