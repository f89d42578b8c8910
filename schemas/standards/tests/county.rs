//! The county: every item of A2, A3, A4, the vetoes and the entry conditions
//! at its limit, one step over, and missing.

mod support;

use duxue_document::school::{DeclaredClass, DeclaredRoom, RoomPurpose, School, SchoolKind, Stage};
use duxue_document::{DocumentId, DocumentKind, RoundId};
use duxue_standards::assess::{Assessor, Outcome, Provenance, hash};
use duxue_standards::forms::forms;
use duxue_standards::input::{CountyInput, InputSettings, SchoolInput, school_input};
use duxue_standards::{Standard, number::Amount};
use support::{consolidated, county, decimal, declared, school, school_id, standard, youzhi};

const NOW: &str = "2026-09-01";

const COUNTY: [(&str, &str); 37] = [
    ("public_funds_norm_primary_yuan", "935"),
    ("public_funds_norm_junior_yuan", "1155"),
    ("special_funds_yuan", "800000"),
    ("special_pupils", "100"),
    ("teacher_salary_yuan", "90000"),
    ("civil_servant_salary_yuan", "90000"),
    ("rotation_eligible_teachers", "100"),
    ("rotated_teachers", "10"),
    ("rotated_backbone_teachers", "2"),
    ("nearby_enrolment_primary_percent", "100"),
    ("nearby_enrolment_junior_percent", "95"),
    ("senior_places", "1000"),
    ("senior_places_assigned", "500"),
    ("migrant_children", "100"),
    ("migrant_children_public", "80"),
    ("migrant_children_purchased", "5"),
    ("junior_graduates", "930"),
    ("junior_entrants_three_years_ago", "1001"),
    ("junior_transferred_in", "10"),
    ("junior_transferred_out", "30"),
    ("junior_deaths", "1"),
    ("disabled_children", "100"),
    ("disabled_children_enrolled", "95"),
    ("monitoring_chinese_level", "3"),
    ("monitoring_chinese_difference", "0.149999"),
    ("monitoring_mathematics_level", "3"),
    ("monitoring_mathematics_difference", "0.14"),
    ("monitoring_science_level", "3"),
    ("monitoring_science_difference", "0.14"),
    ("monitoring_pe_level", "3"),
    ("monitoring_pe_difference", "0.14"),
    ("monitoring_arts_level", "3"),
    ("monitoring_arts_difference", "0.14"),
    ("monitoring_moral_level", "3"),
    ("monitoring_moral_difference", "0.14"),
    ("survey_satisfaction_percent", "85"),
    ("population_10k", "52.345"),
];

const YES: [&str; 11] = [
    "A2-1",
    "A2-2-building",
    "A2-2-staff",
    "A2-2-funds",
    "A2-2-equipment",
    "A2-8-performance",
    "A2-10",
    "A2-14-rural",
    "A2-15-left-behind",
    "E-1",
    "E-2",
];
const NO: [&str; 6] = ["V-1", "V-2", "V-3", "V-4", "V-5", "V-6"];

/// Two schools with the same per pupil, everything at its threshold.
fn sound(standard: &Standard, number: u32, pupils: u32) -> SchoolInput {
    let tens = pupils / 1000;
    let figures: Vec<(String, u32)> = [
        ("pupils:primary", pupils),
        ("teachers:primary", 60 * tens),
        ("teachers_certified:primary", 60 * tens),
        ("teachers_trained_360h:primary", 60 * tens),
        ("teachers_above_required_degree:primary", 42 * tens),
        ("teachers_backbone:primary", 10 * tens),
        ("teachers_pe_art:primary", 9 * tens),
        ("teaching_area_m2", 4700 * tens),
        ("indoor_sports_area_m2", 200 * tens),
        ("outdoor_sports_area_m2", 7300 * tens),
        ("equipment_value_yuan", 2_000_000 * tens),
        ("multimedia_rooms", 23 * tens),
        ("public_funds_yuan", 1_000_000),
        ("training_funds_yuan", 50_000),
        ("grades:primary", 6),
    ]
    .into_iter()
    .map(|(quantity, value)| (quantity.to_owned(), value))
    .collect();
    let texts: Vec<(String, String)> = figures.into_iter().map(|(k, v)| (k, v.to_string())).collect();
    let figures: Vec<(&str, &str)> = texts.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut reported = declared(&figures);
    let room = |purpose, area| DeclaredRoom { name: String::new(), purpose, area_m2: decimal(area) };
    let (music, art) = (room(RoomPurpose::Music, "96"), room(RoomPurpose::Art, "90"));
    reported.rooms = Some([vec![music; 4], vec![art; 4]].concat());
    reported.classes = Some(vec![DeclaredClass { stage: Stage::Primary, pupils: 45 }; 45]);
    for question in ["A3-3", "A3-5", "A3-6", "A3-7", "A3-8"] {
        reported.answers.insert(question.parse().unwrap(), true);
    }
    let school = consolidated(school(number, SchoolKind::Primary), reported);
    school_input(standard, &school, &InputSettings::default())
}

fn sound_county(standard: Standard) -> Assessor {
    let mut assessor = Assessor::new(standard, NOW);
    for (number, pupils) in [(1, 1000), (2, 2000)] {
        let input = sound(assessor.standard(), number, pupils);
        assessor.set_school(input);
    }
    let input = county(assessor.standard(), &COUNTY, &YES, &NO);
    assessor.set_county(input);
    assessor
}

#[test]
fn a_county_exactly_at_every_limit_passes() {
    let assessor = sound_county(youzhi());
    let county = assessor.county();
    for dimension in &county.dimensions {
        assert_eq!((dimension.outcome, &dimension.because), (Outcome::Met, &vec![]), "{}", dimension.id);
    }
    assert_eq!(county.outcome, Outcome::Met);
}

#[test]
fn every_county_item_fails_one_step_over_and_is_open_when_missing() {
    let steps = [
        ("A2-7", "special_funds_yuan", "799999"),
        ("A2-8", "teacher_salary_yuan", "89999.99"),
        ("A2-11", "rotated_teachers", "9"),
        ("A2-11", "rotated_backbone_teachers", "1"),
        ("A2-13", "nearby_enrolment_primary_percent", "99.99"),
        ("A2-13", "nearby_enrolment_junior_percent", "94.99"),
        ("A2-14", "senior_places_assigned", "499"),
        ("A2-15", "migrant_children_purchased", "4"),
        ("A3-1", "junior_graduates", "929"),
        ("A3-2", "disabled_children_enrolled", "94"),
        ("A3-9", "monitoring_chinese_level", "2"),
        ("A3-9", "monitoring_chinese_difference", "0.15"),
        ("A4-1", "survey_satisfaction_percent", "84.99"),
    ];
    let mut assessor = sound_county(youzhi());
    let mut check = |figures: &[(&str, &str)], yes: &[&str], no: &[&str], id: &str, expected| {
        let input = county(assessor.standard(), figures, yes, no);
        assessor.set_county(input);
        let county = assessor.county();
        assert_eq!(county.outcome_of(id), Some(expected), "{id}");
        assert_eq!(county.outcome, expected, "{id}");
        let dimension = id.split('-').next().unwrap();
        assert_eq!(county.dimension(dimension).unwrap().because, [id]);
    };
    for (id, figure, over) in steps {
        let without: Vec<_> = COUNTY.iter().copied().filter(|(key, _)| *key != figure).collect();
        check(&without, &YES, &NO, id, Outcome::Undetermined);
        check(&[without.as_slice(), &[(figure, over)]].concat(), &YES, &NO, id, Outcome::NotMet);
    }
    for question in YES {
        let id = question.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
        let others: Vec<_> = YES.into_iter().filter(|other| *other != question).collect();
        check(&COUNTY, &others, &NO, &id, Outcome::Undetermined);
        check(&COUNTY, &others, &[NO.as_slice(), &[question]].concat(), &id, Outcome::NotMet);
    }
    for veto in NO {
        let others: Vec<_> = NO.into_iter().filter(|other| *other != veto).collect();
        check(&COUNTY, &YES, &others, veto, Outcome::Undetermined);
        check(&COUNTY, &[YES.as_slice(), &[veto]].concat(), &others, veto, Outcome::NotMet);
    }
}

/// One school that certainly fails settles the county, whatever is missing.
#[test]
fn one_certain_failure_settles_the_county() {
    let standard = youzhi();
    let poor = [("pupils:primary", "100"), ("teaching_area_m2", "0"), ("equipment_value_yuan", "0")];
    let mut assessor = Assessor::new(standard, NOW);
    for number in 1..20 {
        let input = support::input(assessor.standard(), school(number, SchoolKind::Primary), &[]);
        assessor.set_school(input);
    }
    assert_eq!(assessor.county().outcome, Outcome::Undetermined);
    let failing = support::input(assessor.standard(), school(20, SchoolKind::Primary), &poor);
    assessor.set_school(failing);
    let county = assessor.county();
    assert_eq!(county.outcome, Outcome::NotMet);
    assert!(county.dimension("A1").unwrap().because.contains(&"rule/primary".to_owned()));
}

/// "All schools meet it" says nothing where no school counts: neither of an
/// empty register nor of one whose schools are all excluded.
#[test]
fn a_county_in_which_no_school_counts_is_open() {
    let special = school(1, SchoolKind::Special);
    let senior = school(1, SchoolKind::Senior);
    let point = school(1, SchoolKind::TeachingPoint);
    let small = [("pupils:primary", "10")];
    for (register, missing) in [
        (None, true),
        (Some((special, &[][..])), true),
        (Some((senior, &[])), true),
        (Some((point.clone(), &small)), true),
        // Whether it counts is open: then its pupils are what is missing.
        (Some((point, &[])), false),
    ] {
        let mut assessor = Assessor::new(youzhi(), NOW);
        assessor.set_county(county(&youzhi(), &COUNTY, &YES, &NO));
        let kind = register.as_ref().map(|(school, _)| school.kind);
        if let Some((school, figures)) = register {
            assessor.set_school(support::input(&youzhi(), school, figures));
        }
        let county = assessor.county();
        assert_eq!(county.outcome, Outcome::Undetermined, "{kind:?}");
        assert!(county.school_indicators.iter().all(|t| t.outcome == Outcome::Undetermined), "{kind:?}");
        let items = county.stages.iter().flat_map(|stage| &stage.items);
        assert!(items.into_iter().all(|tally| tally.outcome == Outcome::Undetermined), "{kind:?}");
        for (id, speaks_of_schools) in
            [("A1", true), ("A2", true), ("A3", true), ("A4", false), ("V", false), ("E", false)]
        {
            let dimension = county.dimension(id).unwrap();
            let expected = if speaks_of_schools { Outcome::Undetermined } else { Outcome::Met };
            assert_eq!(dimension.outcome, expected, "{kind:?} {id}");
            let named = dimension.because.contains(&"register".to_owned());
            assert_eq!(named, speaks_of_schools && missing, "{kind:?} {id}");
        }
        assert_eq!(!county.missing.is_empty(), missing, "{kind:?}");
    }
    // Sums over no school are not zero: they are not known.
    let mut empty = Assessor::new(youzhi(), NOW);
    empty.set_county(county(&youzhi(), &COUNTY, &YES, &NO));
    for id in ["A2-9", "A2-12"] {
        assert_eq!(empty.county().outcome_of(id), Some(Outcome::Undetermined), "{id}");
    }
    // A stage without rows is not tested where the other stage has some.
    let county = sound_county(youzhi()).county();
    assert_eq!((county.stages[1].rows, county.outcome), (0, Outcome::Met));
}

#[test]
fn schools_below_a_hundred_pupils_are_funded_as_if_they_had_a_hundred() {
    let mut assessor = Assessor::new(youzhi(), NOW);
    for (pupils, funds, norm, expected) in [
        ("99", "93500", "935", Outcome::Met),
        ("99", "93499.99", "935", Outcome::NotMet),
        ("100", "1", "935", Outcome::Met),
        ("20", "93500", "-", Outcome::Undetermined),
    ] {
        let figures = [("pupils:primary", pupils), ("public_funds_yuan", funds)];
        let input = support::input(assessor.standard(), school(1, SchoolKind::Primary), &figures);
        assessor.set_school(input);
        let norm = [("public_funds_norm_primary_yuan", norm)];
        let input = county(assessor.standard(), if norm[0].1 == "-" { &[] } else { &norm }, &[], &[]);
        assessor.set_county(input);
        assert_eq!(assessor.county().outcome_of("A2-6"), Some(expected), "{pupils} {funds}");
    }
}

/// A change of the county's input reaches the schools that it bears on, and
/// leaves alone those that it does not.
#[test]
fn schools_are_computed_again_only_for_county_figures_that_they_are_held_against() {
    let mut assessor = sound_county(youzhi());
    let school = |assessor: &Assessor| assessor.school(&school_id(1)).unwrap().clone();
    let other = |quantity: &str, value: &'static str| {
        COUNTY.map(|(key, before)| (key, if key == quantity { value } else { before }))
    };
    for (figures, yes, reached) in [
        (other("population_10k", "60"), &YES[..], false),
        (COUNTY, &YES[1..], false),
        (other("public_funds_norm_primary_yuan", "1001"), &YES, true),
        (COUNTY, &YES, true),
    ] {
        let before = school(&assessor);
        assessor.set_county(county(&youzhi(), &figures, yes, &NO));
        let mut fresh = sound_county(youzhi());
        fresh.set_county(CountyInput::default());
        fresh.set_county(county(&youzhi(), &figures, yes, &NO));
        assert_eq!(assessor.assessment().to_json(), fresh.assessment().to_json());
        assert_eq!(!std::sync::Arc::ptr_eq(&before, &school(&assessor)), reached, "{figures:?}");
    }
    assert_eq!(assessor.made_from(), assessor.assessment().made_from);
}

/// A branch site is merged into its parent: its pupils and resources count
/// there, its own single stage is not split.
#[test]
fn branch_sites_are_merged_into_their_parent() {
    let mut assessor = Assessor::new(youzhi(), NOW);
    let main = [("pupils:primary", "100"), ("pupils:junior", "100"), ("equipment_value_yuan", "420000")];
    let input = support::input(assessor.standard(), school(1, SchoolKind::NineYear), &main);
    assessor.set_school(input);
    let branch = School { parent: Some(school_id(1)), ..school(2, SchoolKind::Primary) };
    let input = support::input(
        assessor.standard(),
        branch,
        &[("pupils:primary", "100"), ("equipment_value_yuan", "100000")],
    );
    assessor.set_school(input);
    assert_eq!(assessor.assessment().schools.len(), 1);
    let school = assessor.school(&school_id(2)).unwrap();
    let value = |stage| school.indicator("L6", Some(stage)).unwrap().value().unwrap().printed.clone();
    // Primary: (420 000 · 100/210 + 100 000) ÷ 200; junior: 420 000 · 110/210 ÷ 100.
    assert_eq!((value(Stage::Primary), value(Stage::Junior)), ("1500.00".into(), "2200.00".into()));
    assert_eq!(school.stage(Stage::Primary).unwrap().pupils, "200");
}

#[test]
fn an_overlay_adds_and_tightens_without_code() {
    let base = sound_county(youzhi()).county();
    assert_eq!(base.outcome_of("A2-15"), Some(Outcome::Met));
    let assessor = sound_county(standard(&["cn-youzhi-2017", "example-overlay"]));
    let county = assessor.county();
    // 85 % of migrant children was enough for the nation.
    assert_eq!(county.outcome_of("A2-15"), Some(Outcome::NotMet));
    for id in ["LOCAL-1", "LOCAL-2", "LOCAL-3"] {
        assert_eq!(county.outcome_of(id), Some(Outcome::Undetermined), "{id}");
    }
    // An overlay only tightens: nothing that failed the base passes it.
    for indicator in &assessor.standard().indicators {
        if let (Some(before), Some(after)) =
            (base.outcome_of(&indicator.id), county.outcome_of(&indicator.id))
        {
            assert!(after <= before, "{}", indicator.id);
        }
    }
    assert_eq!(assessor.assessment().made_from.standard.len(), 2);
}

#[test]
fn an_assessment_names_what_it_was_made_from_and_repeats_byte_for_byte() {
    let provenance = Provenance {
        round: "2026-a".into(),
        documents: [(
            DocumentId::derive(&RoundId::new("2026-a").unwrap(), "0000000001", DocumentKind::Survey),
            ["ab".repeat(32)].into(),
        )]
        .into(),
        declared: hash(&"declared"),
        register: hash(&"register"),
        actor_bindings: hash(&"actors"),
        settings: hash(&InputSettings::default()),
        synthetic: true,
    };
    let make = || {
        let mut assessor = sound_county(youzhi());
        assessor.set_provenance(provenance.clone());
        assessor.assessment()
    };
    let first = make();
    assert_eq!(first.to_json(), make().to_json());
    assert_eq!(first.made_from.inputs, provenance);
    assert_eq!(first.made_from.as_of, NOW);
    assert_eq!(first.made_from.standard[0].id, "cn-youzhi-2017");
    assert_eq!(first.made_from.standard[0].sha256.len(), 64);
}

#[test]
fn forms_are_rounded_as_they_ask() {
    let assessor = sound_county(youzhi());
    let forms = forms(&assessor);
    let ids: Vec<_> = forms.iter().map(|form| form.id).collect();
    assert_eq!(ids, ["I", "II-1", "II-2", "III", "IV", "V", "VI"]);
    let cells = |id: &str, row: usize| -> Vec<&str> {
        let form = forms.iter().find(|form| form.id == id).unwrap();
        form.rows[row].iter().map(|cell| cell.printed.as_str()).collect()
    };
    assert_eq!(cells("I", 0)[0], "52.35");
    assert_eq!(cells("II-1", 0)[2..], ["2", "2", "2", "2", "2", "2", "2", "2"]);
    assert_eq!(cells("II-1", 1)[2..], ["100.0"; 8]);
    assert_eq!(
        cells("II-2", 0)[3..13],
        ["1000", "6", "45", "4.20", "1.00", "0.90", "4.50", "7.50", "2000.00", "2.30"]
    );
    assert_eq!(cells("III", 0)[2..], ["4.20", "1.00", "0.90", "4.50", "7.50", "2000.00", "2.30", "——"]);
    assert_eq!(cells("III", 1)[2..], ["0.000"; 8]);
    assert_eq!(
        cells("IV", 10)[1],
        "全县符合交流轮岗条件教师总数100名,上一年度交流轮岗教师10名,交流轮岗教师占符合交流轮岗条件教师总数的比例10.0%;\
         交流轮岗的骨干教师2名,占交流轮岗教师总数的比例20.0%"
    );
    assert_eq!(
        cells("V", 0)[1..],
        [
            "全县初中毕业班学生数为930人,三年前该年级入学学生数为1001人,毕业年级三年转入学生数为10人,死亡学生数为1人,\
             转出学生数为30人,全县初中三年巩固率为95.0%",
            "达标"
        ]
    );
    assert_eq!(cells("VI", 0)[4], "85.0");
}

/// The figures of the tests are those of the standard: nothing is misspelt.
#[test]
fn the_county_figures_are_known_to_the_standard() {
    let standard = youzhi();
    for (quantity, value) in COUNTY {
        assert!(standard.quantities.get(&quantity.parse().unwrap()).is_some_and(|q| q.county), "{quantity}");
        assert!(value.parse::<Amount>().is_ok());
    }
}
