//! Reliefs, exclusions, gaps and thresholds, as tables.

mod support;

use std::collections::BTreeSet;

use duxue_document::school::{
    DeclaredClass, DeclaredRoom, Part, RoomPurpose, School, SchoolKind, Setting, Stage,
};
use duxue_standards::Standard;
use duxue_standards::assess::{Outcome, SchoolAssessment, school as assess};
use duxue_standards::input::{InputSettings, school_input};
use support::{consolidated, decimal, declared, input, key, school, youzhi};

const NOW: &str = "2026-09-01";
const IN_RELIEF: &str = "2021-09-01";

/// A primary school of 1000 pupils that is exactly at every threshold.
const AT_THRESHOLD: [(&str, &str); 10] = [
    ("pupils:primary", "1000"),
    ("teachers_above_required_degree:primary", "42"),
    ("teachers_backbone:primary", "10"),
    ("teachers_pe_art:primary", "9"),
    ("teaching_area_m2", "4700"),
    ("indoor_sports_area_m2", "200"),
    ("outdoor_sports_area_m2", "7300"),
    ("equipment_value_yuan", "2000000"),
    ("multimedia_rooms", "23"),
    ("classes:primary", "24"),
];

fn with<'a>(base: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut figures = base.to_vec();
    for (key, value) in changes {
        figures.retain(|(k, _)| k != key);
        if *value != "-" {
            figures.push((key, value));
        }
    }
    figures
}

fn of(standard: &Standard, school: School, figures: &[(&str, &str)], as_of: &str) -> SchoolAssessment {
    assess(standard, &input(standard, school, figures), as_of)
}

fn rule(assessment: &SchoolAssessment, stage: Stage) -> Outcome {
    assessment.stage(stage).unwrap().rule.as_ref().unwrap().outcome
}

#[test]
fn six_of_seven_and_the_rest_at_85_percent() {
    use Outcome::{Met, NotMet, Undetermined};
    let cases: [(&[(&str, &str)], Outcome); 9] = [
        (&[], Met),
        // One item exactly at 85 %, just below, and two below.
        (&[("multimedia_rooms", "20")], Met),
        (&[("equipment_value_yuan", "1700000")], Met),
        (&[("equipment_value_yuan", "1699999.999999")], NotMet),
        (&[("equipment_value_yuan", "1999999"), ("multimedia_rooms", "22")], NotMet),
        // One missing: whether it reaches 85 % is not known.
        (&[("multimedia_rooms", "-")], Undetermined),
        // One missing and two below: certain.
        (
            &[
                ("multimedia_rooms", "-"),
                ("teachers_backbone:primary", "9"),
                ("teachers_pe_art:primary", "8"),
            ],
            NotMet,
        ),
        // Missing pupils leave everything open, except what is nothing.
        (&[("pupils:primary", "-")], Undetermined),
        (&[("teaching_area_m2", "0"), ("indoor_sports_area_m2", "0")], NotMet),
    ];
    let standard = youzhi();
    for (changes, expected) in cases {
        let assessment = of(&standard, school(1, SchoolKind::Primary), &with(&AT_THRESHOLD, changes), NOW);
        assert_eq!(rule(&assessment, Stage::Primary), expected, "{changes:?}");
    }
}

#[test]
fn gaps_are_what_someone_has_to_add() {
    let cases = [
        ("L1", "teachers_above_required_degree:primary", "40", "差2名高于规定学历教师", None),
        ("L3", "teachers_pe_art:primary", "7", "差2名体育艺术教师", Some("差1名体育艺术教师")),
        ("L4", "teaching_area_m2", "4642.75", "差57.3平方米教学及辅助用房", None),
        ("L6", "equipment_value_yuan", "1999999.5", "差1元教学仪器设备", None),
        ("L7", "multimedia_rooms", "19", "差4间网络多媒体教室", Some("差1间网络多媒体教室")),
    ];
    let standard = youzhi();
    for (id, quantity, value, text, floor_text) in cases {
        let figures = with(&AT_THRESHOLD, &[(quantity, value)]);
        let assessment = of(&standard, school(1, SchoolKind::Primary), &figures, NOW);
        let result = assessment.indicator(id, Some(Stage::Primary)).unwrap();
        assert_eq!(result.outcome, Outcome::NotMet);
        assert_eq!(result.conditions[0].lacking[0].text.zh, text);
        let floor = &result.conditions[0].lacking_to_floor;
        let to_floor = floor.first().map(|lacking| lacking.text.zh.as_str());
        assert_eq!(to_floor, floor_text, "{id}");
    }
}

/// In a combined school the gap is what the whole school lacks for the stage.
#[test]
fn the_gap_of_a_combined_school_is_in_the_whole_schools_resource() {
    let standard = youzhi();
    let figures = [("pupils:primary", "100"), ("pupils:junior", "100"), ("equipment_value_yuan", "399000")];
    let before = of(&standard, school(1, SchoolKind::NineYear), &figures, NOW);
    let lacking = |assessment: &SchoolAssessment, stage| {
        let result = assessment.indicator("L6", Some(stage)).unwrap();
        result.conditions[0].lacking.first().map(|lacking| lacking.least.clone())
    };
    // Primary needs 2000·(100 + 110), junior 2500·(100/1.1 + 100) = 477 272.73.
    assert_eq!(lacking(&before, Stage::Primary).as_deref(), Some("21000"));
    assert_eq!(lacking(&before, Stage::Junior).as_deref(), Some("78273"));
    let enough = with(&figures, &[("equipment_value_yuan", "477273")]);
    let after = of(&standard, school(1, SchoolKind::NineYear), &enough, NOW);
    assert_eq!(lacking(&after, Stage::Junior), None);
}

#[test]
fn each_relief_gives_a_conditional_pass_with_a_due_date() {
    struct Case {
        id: &'static str,
        school: School,
        figures: Vec<(&'static str, &'static str)>,
        expected: Outcome,
    }
    let base = || school(1, SchoolKind::Primary);
    let rural = || School { setting: Setting::Rural, ..base() };
    let small = |pupils, own, shared| {
        vec![
            ("pupils:primary", pupils),
            ("teachers_pe_art:primary", own),
            ("teachers_pe_art_shared:primary", shared),
        ]
    };
    let sports = |onsite| {
        vec![
            ("pupils:primary", "100"),
            ("outdoor_sports_area_m2", "500"),
            ("indoor_sports_area_m2", "0"),
            ("relief_onsite_sports_area_m2", onsite),
            ("relief_leased_sports_area_m2", "100"),
        ]
    };
    let dense = || School { dense_centre: true, ..base() };
    let built = |year| School { built_year: Some(year), ..base() };
    let unknown_year = School { built_year: None, ..base() };
    let size = |pupils, migrants| vec![("pupils:primary", pupils), ("migrant_pupils", migrants)];
    let nine = |year, primary, junior| {
        (
            School { kind: SchoolKind::NineYear, ..built(year) },
            vec![("pupils:primary", primary), ("pupils:junior", junior), ("migrant_pupils", "0")],
        )
    };
    let (nine_2010, nine_3000) = nine(2010, "1500", "1500");
    let (_, nine_3001) = nine(2010, "1501", "1500");
    let mut twelve = nine_2010.clone();
    twelve.kind = SchoolKind::TwelveYear;
    use Outcome::{Conditional, Met, NotMet, Undetermined};
    let cases = [
        Case { id: "L3", school: rural(), figures: small("99", "0", "1"), expected: Conditional },
        Case { id: "L3", school: rural(), figures: small("50", "0", "0"), expected: NotMet },
        Case { id: "L3", school: rural(), figures: small("100", "0", "1"), expected: NotMet },
        Case { id: "L3", school: base(), figures: small("99", "0", "1"), expected: NotMet },
        Case { id: "L3", school: rural(), figures: small("99", "1", "0"), expected: Met },
        Case {
            id: "L3",
            school: rural(),
            figures: small("99", "0", "1")[..2].to_vec(),
            expected: Undetermined,
        },
        Case { id: "L5", school: dense(), figures: sports("150"), expected: Conditional },
        Case { id: "L5", school: dense(), figures: sports("149"), expected: NotMet },
        Case { id: "L5", school: base(), figures: sports("150"), expected: NotMet },
        Case { id: "A2-4", school: built(2010), figures: size("2400", "0"), expected: Conditional },
        Case { id: "A2-4", school: built(2010), figures: size("2401", "0"), expected: NotMet },
        Case { id: "A2-4", school: built(2011), figures: size("2400", "0"), expected: NotMet },
        Case { id: "A2-4", school: built(2011), figures: size("2400", "1201"), expected: Conditional },
        Case { id: "A2-4", school: built(2011), figures: size("2400", "1200"), expected: NotMet },
        Case { id: "A2-4", school: unknown_year, figures: size("2400", "0"), expected: Undetermined },
        Case { id: "A2-4", school: built(2011), figures: size("2000", "0"), expected: Met },
        Case { id: "A2-4", school: nine_2010.clone(), figures: nine_3000.clone(), expected: Conditional },
        Case { id: "A2-4", school: nine_2010, figures: nine_3001, expected: NotMet },
        Case { id: "A2-4", school: twelve, figures: nine_3000, expected: NotMet },
    ];
    let standard = youzhi();
    for (number, case) in cases.iter().enumerate() {
        let result = |as_of| {
            let assessment = of(&standard, case.school.clone(), &case.figures, as_of);
            let stage = case.id.starts_with('L').then_some(Stage::Primary);
            assessment.indicator(case.id, stage).unwrap().clone()
        };
        let in_relief = result(IN_RELIEF);
        assert_eq!(in_relief.outcome, case.expected, "case {number}: {} {:?}", case.id, case.figures);
        if case.expected == Conditional {
            assert_eq!(in_relief.conditions[0].reliefs[0].due, "2024-09-01");
        }
        // Outside its dates no relief helps.
        let later = if case.expected == Met { Met } else { NotMet };
        assert_eq!(result(NOW).outcome, later, "case {number}, after the relief's dates");
    }
}

fn rooms(
    areas: &[(RoomPurpose, &str)],
    class_sizes: &[u32],
    stage: Stage,
) -> duxue_document::school::Declared {
    let mut reported = declared(&[]);
    reported.rooms = Some(
        areas
            .iter()
            .map(|(purpose, area)| DeclaredRoom {
                name: String::new(),
                purpose: *purpose,
                area_m2: decimal(area),
            })
            .collect(),
    );
    reported.classes =
        Some(class_sizes.iter().map(|pupils| DeclaredClass { stage, pupils: *pupils }).collect());
    reported
}

#[test]
fn music_and_art_rooms_are_counted_apart_room_by_room() {
    use Outcome::{Conditional, Met, NotMet};
    use RoomPurpose::{Art, Music};
    let urban = School { built_year: Some(2016), ..school(1, SchoolKind::Primary) };
    let new = school(1, SchoolKind::Primary);
    let rural = School { setting: Setting::Rural, ..new.clone() };
    let rural_junior = School { kind: SchoolKind::Junior, ..rural.clone() };
    let large = [40; 13];
    let small = [29; 6];
    type Case<'a> = (&'a School, &'a [(RoomPurpose, &'a str)], &'a [u32], Outcome);
    let cases: [Case; 10] = [
        // 13 classes need two of each; a third music room is no art room.
        (&new, &[(Music, "96"), (Music, "96"), (Art, "90"), (Art, "90")], &large, Met),
        (&new, &[(Music, "96"), (Music, "96"), (Music, "96"), (Art, "90")], &large, NotMet),
        (&new, &[(Music, "96"), (Music, "95.99"), (Art, "90"), (Art, "90")], &large, NotMet),
        (&new, &[(Music, "96"), (Art, "90")], &[40; 12], Met),
        (&urban, &[(Music, "73"), (Art, "67")], &[40; 12], Conditional),
        (&urban, &[(Music, "72.9"), (Art, "67")], &[40; 12], NotMet),
        (&rural, &[(Music, "54"), (Art, "54")], &small, Conditional),
        (&rural, &[(Music, "54"), (Art, "54")], &[29, 30], NotMet),
        (&rural_junior, &[(Music, "61"), (Art, "61")], &small, Conditional),
        (&rural_junior, &[(Music, "60.9"), (Art, "61")], &small, NotMet),
    ];
    let standard = youzhi();
    for (number, (school, areas, classes, expected)) in cases.iter().enumerate() {
        let stage = if school.kind == SchoolKind::Junior { Stage::Junior } else { Stage::Primary };
        let school = consolidated((*school).clone(), rooms(areas, classes, stage));
        let input = school_input(&standard, &school, &InputSettings::default());
        let result = assess(&standard, &input, IN_RELIEF).indicator("A2-3", None).unwrap().clone();
        assert_eq!(result.outcome, *expected, "case {number}");
    }
}

#[test]
fn a_number_of_rooms_alone_can_fail_but_not_pass() {
    let standard = youzhi();
    for (number, expected) in [("0", Outcome::NotMet), ("1", Outcome::Undetermined)] {
        let figures = [("classes:primary", "12"), ("music_rooms", number), ("art_rooms", "5")];
        let assessment = of(&standard, school(1, SchoolKind::Primary), &figures, NOW);
        assert_eq!(assessment.indicator("A2-3", None).unwrap().outcome, expected);
    }
}

#[test]
fn classes_have_their_own_limits_in_each_stage() {
    let standard = youzhi();
    for (stage, kind, size, expected) in [
        (Stage::Primary, SchoolKind::Primary, 45, Outcome::Met),
        (Stage::Primary, SchoolKind::Primary, 46, Outcome::NotMet),
        (Stage::Junior, SchoolKind::Junior, 50, Outcome::Met),
        (Stage::Junior, SchoolKind::Junior, 51, Outcome::NotMet),
    ] {
        let school = consolidated(school(1, kind), rooms(&[], &[30, size], stage));
        let input = school_input(&standard, &school, &InputSettings::default());
        let assessment = assess(&standard, &input, NOW);
        let result = assessment.indicator("A2-5", None).unwrap();
        assert_eq!(result.outcome, expected, "{size}");
    }
}

#[test]
fn who_counts() {
    let counts = |kind, sponsor, attached: &[Part], figures: &[(&str, &str)], standard: &Standard| {
        let school = School {
            sponsor,
            attached: attached.iter().copied().collect::<BTreeSet<_>>(),
            ..school(1, kind)
        };
        let assessment = of(standard, school, figures, NOW);
        assessment.stages.iter().map(|row| (row.stage, row.counts)).collect::<Vec<_>>()
    };
    use Stage::{Junior, Primary};
    let new = youzhi();
    let old = support::jiben();
    let both = [("pupils:primary", "300"), ("pupils:junior", "300"), ("pupils:senior", "300")];
    let pupils = |n| [("pupils:primary", n)];
    let cases = [
        (counts(SchoolKind::Primary, 7, &[], &both, &new), vec![(Primary, Some(true))]),
        (
            counts(SchoolKind::NineYear, 7, &[], &both, &new),
            vec![(Primary, Some(true)), (Junior, Some(true))],
        ),
        (
            counts(SchoolKind::TwelveYear, 7, &[], &both, &new),
            vec![(Primary, Some(true)), (Junior, Some(true))],
        ),
        (counts(SchoolKind::CompleteSecondary, 7, &[], &both, &new), vec![(Junior, Some(true))]),
        (counts(SchoolKind::Senior, 7, &[], &both, &new), vec![]),
        (counts(SchoolKind::Senior, 7, &[Part::Junior], &both, &new), vec![(Junior, Some(true))]),
        (
            counts(SchoolKind::Junior, 7, &[Part::Primary], &both, &new),
            vec![(Primary, Some(true)), (Junior, Some(true))],
        ),
        (counts(SchoolKind::Vocational, 7, &[Part::Junior], &both, &new), vec![(Junior, Some(false))]),
        (counts(SchoolKind::Special, 7, &[], &both, &new), vec![]),
        (counts(SchoolKind::TeachingPoint, 7, &[], &pupils("49"), &new), vec![(Primary, Some(false))]),
        (counts(SchoolKind::TeachingPoint, 7, &[], &pupils("50"), &new), vec![(Primary, Some(true))]),
        (counts(SchoolKind::TeachingPoint, 7, &[], &[], &new), vec![(Primary, None)]),
        (counts(SchoolKind::Primary, 7, &[], &pupils("0"), &new), vec![(Primary, Some(false))]),
        // Private schools count in the new measurement, not in the old one.
        (counts(SchoolKind::Primary, 10, &[], &both, &new), vec![(Primary, Some(true))]),
        (counts(SchoolKind::Primary, 10, &[], &both, &old), vec![(Primary, Some(false))]),
    ];
    for (number, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, expected, "case {number}");
    }
}

#[test]
fn resources_of_combined_schools_are_split_by_weight() {
    let standard = youzhi();
    let figures = [
        ("pupils:primary", "100"),
        ("pupils:junior", "200"),
        ("pupils:senior", "300"),
        ("equipment_value_yuan", "716000"),
    ];
    let value = |kind, stage| {
        let assessment = of(&standard, school(1, kind), &figures, NOW);
        assessment.indicator("L6", Some(stage)).unwrap().value().unwrap().printed.clone()
    };
    // 716 000 ÷ (100 + 220), ×1.1; with 300 seniors ÷ (100 + 220 + 396) = 1000 and 1100;
    // 完全中学: ÷ (200 + 1.2·300) = 1278.571…
    for (kind, stage, printed) in [
        (SchoolKind::NineYear, Stage::Primary, "2237.50"),
        (SchoolKind::NineYear, Stage::Junior, "2461.25"),
        (SchoolKind::TwelveYear, Stage::Primary, "1000.00"),
        (SchoolKind::TwelveYear, Stage::Junior, "1100.00"),
        (SchoolKind::CompleteSecondary, Stage::Junior, "1278.57"),
    ] {
        assert_eq!(value(kind, stage), printed, "{kind:?}");
    }
}

#[test]
fn figures_of_parts_that_a_school_does_not_have_are_named() {
    let standard = youzhi();
    let input =
        input(&standard, school(1, SchoolKind::Primary), &[("pupils:primary", "10"), ("pupils:senior", "5")]);
    let alarms: Vec<_> = input.alarms.iter().map(|alarm| (alarm.code, alarm.key.clone())).collect();
    assert_eq!(alarms, [("part.unknown", key("pupils:senior"))]);
}

/// The largest class is shown, not a number of classes beside a limit for
/// pupils; how many are too large is the gap.
#[test]
fn class_sizes_show_the_largest_class_and_how_many_are_too_large() {
    let standard = youzhi();
    let listed = |sizes: &[(Stage, u32)]| {
        let mut reported = declared(&[]);
        let class = |(stage, pupils): &(Stage, u32)| DeclaredClass { stage: *stage, pupils: *pupils };
        reported.classes = Some(sizes.iter().map(class).collect());
        reported
    };
    let one = |size| declared(&[("max_class_size:primary", size)]);
    use Stage::{Junior, Primary};
    let (alone, combined) = (SchoolKind::Primary, SchoolKind::NineYear);
    let cases = [
        (alone, listed(&[(Primary, 44), (Primary, 45)]), "45", "45", None),
        (alone, listed(&[(Primary, 46), (Primary, 45), (Primary, 51)]), "51", "45", Some("超出2个班级")),
        // Of the largest class alone it is not known how many others there are.
        (alone, one("51"), "51", "45", Some("超出≥1个班级")),
        (alone, one("45"), "45", "45", None),
        (alone, declared(&[]), "≥0", "45", Some("超出≥0个班级")),
        (combined, listed(&[(Primary, 44), (Junior, 52)]), "44/52", "45/50", Some("超出1个班级")),
        (combined, listed(&[(Junior, 50)]), "—/50", "45/50", None),
    ];
    for (number, (kind, reported, value, threshold, lacking)) in cases.into_iter().enumerate() {
        let school = consolidated(school(1, kind), reported);
        let input = school_input(&standard, &school, &InputSettings::default());
        let result = assess(&standard, &input, NOW).indicator("A2-5", None).unwrap().conditions[0].clone();
        let printed = result.value.as_ref().unwrap().printed.as_str();
        let gap = result.lacking.first().map(|lacking| lacking.text.zh.as_str());
        let found = (printed, result.threshold.as_deref().unwrap(), gap);
        assert_eq!(found, (value, threshold, lacking), "case {number}");
    }
}
