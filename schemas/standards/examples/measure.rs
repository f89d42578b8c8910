//! How long an assessment takes: `cargo run --release -p duxue-standards --example measure`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{JurisdictionCode, SchoolId};
use duxue_standards::assess::{Assessor, hash};
use duxue_standards::input::{InputSettings, SchoolInput, school_input};
use duxue_standards::{Standard, builtin};

const SCHOOLS: u32 = 70;
const COUNTIES: u32 = 3000;
const AS_OF: &str = "2026-09-01";

type Failure = Box<dyn std::error::Error>;

fn school(number: u32) -> Result<ConsolidatedSchool, Failure> {
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
    let figures: Result<BTreeMap<_, _>, Failure> =
        figures.into_iter().map(|(key, value)| Ok((key.parse()?, value.into()))).collect();
    Ok(ConsolidatedSchool {
        school: School {
            id: SchoolId::new(format!("{number:010}"))?,
            name: format!("学校{number}"),
            jurisdiction: JurisdictionCode::new("340207")?,
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
        declared: Declared { figures: figures?, ..Declared::default() },
        items: BTreeMap::new(),
        entries: BTreeMap::new(),
        complete: BTreeSet::new(),
        duplicates: Vec::new(),
        findings: Vec::new(),
    })
}

fn main() -> Result<(), Failure> {
    let text = builtin::text("cn-youzhi-2017").ok_or("the built-in standard is missing")?;
    let standard = Arc::new(Standard::load(&[text]).map_err(|errors| errors[0].clone())?);
    let schools: Vec<ConsolidatedSchool> = (0..SCHOOLS).map(school).collect::<Result<_, _>>()?;
    let started = Instant::now();
    let inputs: Vec<Arc<SchoolInput>> = schools
        .iter()
        .map(|school| Arc::new(school_input(&standard, school, &InputSettings::default())))
        .collect();
    println!("inputs of {SCHOOLS} schools      {:?}", started.elapsed());

    let whole = || {
        let mut assessor = Assessor::new(standard.clone(), AS_OF);
        inputs.iter().for_each(|input| assessor.set_school(input.clone()));
        let county = assessor.county();
        (assessor, county)
    };
    let started = Instant::now();
    let (mut assessor, county) = whole();
    println!("one county, first time      {:?} ({:?})", started.elapsed(), county.outcome);

    let rounds = 200;
    let started = Instant::now();
    for round in 0..rounds {
        assessor.set_school(inputs[round % inputs.len()].clone());
        std::hint::black_box(assessor.county());
    }
    println!("one changed entry           {:?}", started.elapsed() / u32::try_from(rounds)?);

    let started = Instant::now();
    let json = assessor.assessment().to_json();
    println!("JSON of {} bytes       {:?}", json.len(), started.elapsed());
    println!("SHA-256 of it               {}", hash(&assessor.assessment()));

    let started = Instant::now();
    for _ in 0..COUNTIES {
        std::hint::black_box(whole());
    }
    let all = started.elapsed();
    println!("{COUNTIES} counties × {SCHOOLS} schools   {all:?} ({:?} each)", all / COUNTIES);
    Ok(())
}
