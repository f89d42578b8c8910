//! The eleven traps found in real implementations, each by number.

mod support;

use duxue_document::school::{SchoolKind, Stage};
use duxue_standards::assess::{Assessor, Outcome};
use duxue_standards::what_if::what_if;
use support::{county, input, jiben, school, school_id, youzhi};

fn books(schools: &[(&str, Option<&str>)]) -> Assessor {
    let mut assessor = Assessor::new(jiben(), "2012-09-01");
    for ((pupils, books), n) in schools.iter().zip(1..) {
        let mut figures = vec![("pupils:primary", *pupils)];
        figures.extend(books.map(|books| ("books", books)));
        assessor.set_school(input(assessor.standard(), school(n, SchoolKind::Primary), &figures));
    }
    assessor
}

fn printed(assessor: &Assessor) -> String {
    assessor.county().coefficient(Stage::Primary, "B5").unwrap().printed.clone()
}

const FIVE: [(&str, Option<&str>); 5] =
    [("45", Some("279")), ("37", Some("137")), ("89", Some("935")), ("76", Some("160")), ("55", Some("402"))];

#[test]
fn trap_1_the_coefficient_is_weighted_by_pupils() {
    // Unweighted it would be 0.489, as a sample 0.546.
    assert_eq!(printed(&books(&FIVE)), "0.515");
}

#[test]
fn trap_2_blank_is_not_zero() {
    let mut with_blank = FIVE.to_vec();
    with_blank.push(("60", None));
    let mut with_zero = FIVE.to_vec();
    with_zero.push(("60", Some("0")));
    assert_eq!(printed(&books(&with_zero)), "0.719");
    // Whatever the sixth school has, the coefficient is at least 0.461; no
    // number is claimed, and the school is not dropped either.
    let blank = books(&with_blank);
    assert_eq!(printed(&blank), "≥0.461");
    let coefficient = blank.county().coefficient(Stage::Primary, "mean").unwrap().clone();
    assert_eq!(coefficient.outcome, Some(Outcome::Undetermined));
    let result = blank.school(&school_id(6)).unwrap().indicator("B5", Some(Stage::Primary)).unwrap().clone();
    assert_eq!(result.missing[0].text.zh, "图书册数");
    // A school that is in the register and handed in nothing leaves the county open.
    let standard = youzhi();
    let mut assessor = Assessor::new(standard, "2026-09-01");
    assessor.set_school(input(assessor.standard(), school(1, SchoolKind::Primary), &[]));
    assert_eq!(assessor.county().outcome, Outcome::Undetermined);
}

#[test]
fn trap_3_the_floor_is_held_against_the_raw_value() {
    // 4.5041 per hundred junior pupils is below 4.505 and prints as 4.50; of
    // L1 at 85 % the two-decimal value of 4.5049 would be 4.50 as well.
    let standard = youzhi();
    for (teachers, above_floor) in [("45049", false), ("45050", true)] {
        let figures = [("pupils:junior", "1000000"), ("teachers_above_required_degree:junior", teachers)];
        let assessment = duxue_standards::assess::school(
            &standard,
            &input(&standard, school(1, SchoolKind::Junior), &figures),
            "2026-09-01",
        );
        let result = assessment.indicator("L1", Some(Stage::Junior)).unwrap();
        assert_eq!(result.conditions[0].lacking_to_floor.is_empty(), above_floor, "{teachers}");
    }
}

#[test]
fn trap_4_shares_are_never_rounded_before_the_coefficient() {
    // A nine-year school and a primary school with exactly as much per pupil:
    // any rounding of the share would leave a difference above zero.
    let mut assessor = Assessor::new(jiben(), "2015-09-01");
    let split = [("pupils:primary", "166"), ("pupils:junior", "210"), ("books", "3970")];
    assessor.set_school(input(assessor.standard(), school(1, SchoolKind::NineYear), &split));
    // 3970 ÷ (166 + 231) = 10 per primary pupil.
    let alone = [("pupils:primary", "77"), ("books", "770")];
    assessor.set_school(input(assessor.standard(), school(2, SchoolKind::Primary), &alone));
    let county = assessor.county();
    assert_eq!(county.coefficient(Stage::Primary, "B5").unwrap().six_decimals, "0.000000");
}

#[test]
fn trap_5_a_zero_is_a_value_and_stays_in_the_sheet() {
    let mut assessor = Assessor::new(youzhi(), "2026-09-01");
    for (n, teachers) in [(1, "0"), (2, "10")] {
        let figures = [("pupils:primary", "100"), ("teachers_pe_art:primary", teachers)];
        assessor.set_school(input(assessor.standard(), school(n, SchoolKind::Primary), &figures));
    }
    let county = assessor.county();
    // 0 and 10 per hundred: mean 5, coefficient exactly 1.
    let coefficient = county.coefficient(Stage::Primary, "L3").unwrap();
    assert_eq!((coefficient.printed.as_str(), coefficient.outcome), ("1.000", Some(Outcome::NotMet)));
    let zero = assessor.school(&school_id(1)).unwrap().indicator("L3", Some(Stage::Primary)).unwrap().clone();
    assert_eq!((zero.outcome, zero.value().unwrap().printed.as_str()), (Outcome::NotMet, "0.00"));
}

#[test]
fn trap_6_music_and_art_rooms_are_not_added_together() {
    let standard = youzhi();
    let figures = [("classes:primary", "12"), ("music_rooms", "2"), ("art_rooms", "0")];
    let input = input(&standard, school(1, SchoolKind::Primary), &figures);
    let assessment = duxue_standards::assess::school(&standard, &input, "2026-09-01");
    assert_eq!(assessment.indicator("A2-3", None).unwrap().outcome, Outcome::NotMet);
}

#[test]
fn trap_7_per_hundred_means_times_a_hundred_and_at_least_includes_the_number() {
    let standard = youzhi();
    let figures = [("pupils:primary", "1000"), ("teachers_pe_art:primary", "9")];
    let assessment = duxue_standards::assess::school(
        &standard,
        &input(&standard, school(1, SchoolKind::Primary), &figures),
        "2026-09-01",
    );
    let result = assessment.indicator("L3", Some(Stage::Primary)).unwrap();
    assert_eq!((result.value().unwrap().printed.as_str(), result.outcome), ("0.90", Outcome::Met));

    let mut assessor = Assessor::new(standard, "2026-09-01");
    for (rotated, backbone, expected) in [
        ("10", "2", Outcome::Met),
        ("9", "2", Outcome::NotMet),
        ("10", "1", Outcome::NotMet),
        // 20 % is of the rotated, not of the eligible teachers.
        ("20", "4", Outcome::Met),
    ] {
        let figures = [
            ("rotation_eligible_teachers", "100"),
            ("rotated_teachers", rotated),
            ("rotated_backbone_teachers", backbone),
        ];
        let input = county(assessor.standard(), &figures, &[], &[]);
        assessor.set_county(input);
        assert_eq!(assessor.county().outcome_of("A2-11"), Some(expected), "{rotated} {backbone}");
    }
}

#[test]
fn trap_8_money_is_in_yuan_by_name() {
    let standard = youzhi();
    let id =
        |id: &str| standard.quantities.get(&id.parse().unwrap()).map(|quantity| quantity.unit.zh.clone());
    assert_eq!(id("equipment_value_yuan").as_deref(), Some("元"));
    assert_eq!(id("gdp_per_person_yuan").as_deref(), Some("元"));
    for quantity in standard.quantities.values() {
        let money = quantity.id.as_str().ends_with("_yuan");
        assert_eq!(quantity.unit.zh == "元", money, "{}", quantity.id);
        let area = quantity.id.as_str().ends_with("_m2");
        assert_eq!(quantity.unit.zh == "平方米", area, "{}", quantity.id);
    }
}

#[test]
fn trap_9_the_split_is_computed_not_typed() {
    let standard = jiben();
    let figures = [("pupils:primary", "166"), ("pupils:junior", "210"), ("books", "23226")];
    let assessment = duxue_standards::assess::school(
        &standard,
        &input(&standard, school(1, SchoolKind::NineYear), &figures),
        "2015-09-01",
    );
    let value = assessment.indicator("B5", Some(Stage::Primary)).unwrap().value().unwrap();
    assert_eq!(value.value().unwrap().printed(5), "58.50378");
}

#[test]
fn trap_10_indoor_sports_count_once() {
    let standard = youzhi();
    let figures = [
        ("pupils:primary", "100"),
        ("teaching_area_m2", "500"),
        ("indoor_sports_area_m2", "100"),
        ("outdoor_sports_area_m2", "650"),
    ];
    let assessment = duxue_standards::assess::school(
        &standard,
        &input(&standard, school(1, SchoolKind::Primary), &figures),
        "2026-09-01",
    );
    let value = |id| assessment.indicator(id, Some(Stage::Primary)).unwrap().value().unwrap().printed.clone();
    assert_eq!((value("L4"), value("L5")), ("4.00".into(), "7.50".into()));
}

#[test]
fn trap_11_the_coefficient_is_compared_raw_and_printed_with_three_decimals() {
    // Two schools of a million pupils with 1 ± c each have the coefficient c.
    let mut assessor = Assessor::new(youzhi(), "2026-09-01");
    for (c, printed, outcome, flagged) in [
        ("500000", "0.500", Outcome::Met, 0),
        ("500001", "0.500", Outcome::NotMet, 2),
        ("500049", "0.500", Outcome::NotMet, 2),
        ("500501", "0.501", Outcome::NotMet, 1),
    ] {
        let c: i64 = c.parse().unwrap();
        for (n, backbone) in [(1, 1_000_000 + c), (2, 1_000_000 - c)] {
            let backbone = backbone.to_string();
            let figures = [("pupils:primary", "1000000"), ("teachers_backbone:primary", backbone.as_str())];
            assessor.set_school(input(assessor.standard(), school(n, SchoolKind::Primary), &figures));
        }
        let county = assessor.county();
        let coefficient = county.coefficient(Stage::Primary, "L2").unwrap();
        assert_eq!((coefficient.printed.as_str(), coefficient.outcome), (printed, Some(outcome)));
        assert_eq!(coefficient.rounding.len(), flagged, "{c}");
    }
    assert_eq!(what_if(&assessor, &[]).unwrap().differences, []);
}
