//! Faults that searches found in the engine, each by name.

mod support;

use duxue_document::EntryPath;
use duxue_document::Scalar;
use duxue_document::consolidated::{ConsolidatedSchool, Entry, ReviewState};
use duxue_document::school::{DeclaredRoom, RoomPurpose, School, SchoolKind, Stage};
use duxue_standards::assess::{Assessor, Outcome};
use duxue_standards::effects::effects;
use duxue_standards::input::{InputSettings, school_input};
use duxue_standards::what_if::{Change, what_if};
use duxue_standards::{Standard, builtin};
use support::{consolidated, decimal, declared, entry, key, observe, school, school_id, value, youzhi};

const NOW: &str = "2026-09-01";

fn assessed(standard: Standard, as_of: &str, schools: &[ConsolidatedSchool]) -> Assessor {
    let mut assessor = Assessor::new(standard, as_of);
    for school in schools {
        let input = school_input(assessor.standard(), school, &InputSettings::default());
        assessor.set_school(input);
    }
    assessor
}

fn outcome(assessor: &Assessor, id: &str) -> Outcome {
    assessor.school(&school_id(1)).unwrap().indicator(id, None).unwrap().outcome
}

fn returned(entry: Entry) -> Entry {
    let verdict = duxue_document::DecisionId::new("v1").unwrap();
    let review =
        ReviewState::Returned { verdicts: [verdict].into(), reason: String::new(), overruled: false };
    Entry { review, ..entry }
}

/// Only a branch site that nobody asked goes with its school.
#[test]
fn an_answer_in_conflict_at_a_branch_site_leaves_the_school_open() {
    let mut root = consolidated(school(1, SchoolKind::Primary), declared(&[]));
    root.declared.answers.insert("A3-3".parse().unwrap(), true);
    let branch = School { parent: Some(school_id(1)), ..school(2, SchoolKind::Primary) };
    for (answers, expected) in [
        (&[][..], Outcome::Met),
        (&[true][..], Outcome::Met),
        (&[true, false][..], Outcome::Undetermined),
        (&[false][..], Outcome::NotMet),
    ] {
        let mut branch = consolidated(branch.clone(), declared(&[]));
        let says: Vec<_> = answers.iter().map(|yes| value(&[("value", Scalar::Bool(*yes))])).collect();
        if !says.is_empty() {
            branch.entries.insert(EntryPath::Answer("A3-3".parse().unwrap()), entry(says));
        }
        let assessor = assessed(youzhi(), NOW, &[root.clone(), branch]);
        assert_eq!(outcome(&assessor, "A3-3"), expected, "{answers:?}");
    }
}

/// A school of 24 classes with the two art rooms that it needs.
fn with_art_rooms() -> ConsolidatedSchool {
    let mut school = consolidated(school(1, SchoolKind::Primary), declared(&[("classes:primary", "24")]));
    let large = |name: &str| DeclaredRoom {
        name: name.to_owned(),
        purpose: RoomPurpose::Art,
        area_m2: decimal("100"),
    };
    school.declared.rooms = Some(vec![large("1"), large("2")]);
    school
}

/// A number of rooms that was sent back is any number, not at most one room.
#[test]
fn a_number_of_rooms_that_does_not_count_may_be_any_number() {
    let sent_back = |values: &[&str]| {
        let mut school = with_art_rooms();
        observe(&mut school, "music_rooms", values);
        let entry = school.entries.get_mut(&EntryPath::Quantity(key("music_rooms"))).unwrap();
        *entry = returned(entry.clone());
        school
    };
    let not_a_number = {
        let mut school = with_art_rooms();
        observe(&mut school, "music_rooms", &["0.5", "1.5"]);
        school
    };
    for school in [sent_back(&["1"]), sent_back(&["1", "2"]), not_a_number] {
        assert_eq!(outcome(&assessed(youzhi(), NOW, &[school]), "A2-3"), Outcome::Undetermined);
    }
}

/// A number of rooms beyond belief is not known, and not one room of so many
/// square metres.
#[test]
fn twenty_thousand_rooms_are_not_one_large_room() {
    let mut school = with_art_rooms();
    observe(&mut school, "music_rooms", &["20000"]);
    school.declared.figures.insert(key("classes:primary"), decimal("12"));
    let assessor = assessed(youzhi(), NOW, &[school]);
    assert_eq!(outcome(&assessor, "A2-3"), Outcome::Undetermined);
    let result = assessor.school(&school_id(1)).unwrap().indicator("A2-3", None).unwrap().clone();
    assert_eq!(result.missing.len(), 1, "{:?}", result.missing);
}

/// Two reliefs that are in force help together where neither does alone.
#[test]
fn reliefs_in_force_help_together() {
    let relief = |id: &str, quantity: &str| {
        format!(
            "[[indicator.condition.relief]]\nid = \"{id}\"\nzh = \"放宽\"\nen = \"relief\"\nclause = \"x\"\n\
             from = \"2020-01-01\"\nuntil = \"2020-12-31\"\ndue_years = 3\n\
             who = [{{ settings = [\"urban\"] }}]\nalso_count = [\"{quantity}\"]\n"
        )
    };
    let overlay = format!(
        "id = \"two-reliefs\"\nversion = \"1\"\noverlay_of = \"cn-youzhi-2017\"\nzh = \"例\"\nen = \"example\"\n\
         source = \"x\"\n[[indicator]]\nid = \"LOCAL-9\"\ndimension = \"A1\"\nlevel = \"stage\"\nzh = \"例\"\n\
         en = \"example\"\ndecimals = 2\nclause = \"x\"\n[[indicator.condition]]\ntype = \"per_pupil\"\n\
         of = \"outdoor_sports_area_m2\"\nat_least = {{ primary = \"3\", junior = \"3\" }}\n{}{}",
        relief("roof", "relief_onsite_sports_area_m2"),
        relief("leased", "relief_leased_sports_area_m2"),
    );
    let figures = [
        ("pupils:primary", "100"),
        ("outdoor_sports_area_m2", "100"),
        ("relief_onsite_sports_area_m2", "100"),
        ("relief_leased_sports_area_m2", "100"),
    ];
    for (as_of, expected) in [("2020-12-31", Outcome::Conditional), ("2021-01-01", Outcome::NotMet)] {
        let base = builtin::text("cn-youzhi-2017").unwrap();
        let standard = Standard::load(&[base, &overlay]).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let school = consolidated(school(1, SchoolKind::Primary), declared(&figures));
        let assessor = assessed(standard, as_of, &[school]);
        let found =
            assessor.school(&school_id(1)).unwrap().indicator("LOCAL-9", Some(Stage::Primary)).cloned();
        assert_eq!(found.unwrap().outcome, expected, "{as_of}");
    }
}

/// Each of two conflicts leaves the coefficient open whichever way it is
/// settled, and both together decide it: neither may be folded away.
#[test]
fn conflicts_that_decide_a_coefficient_only_together_are_not_folded() {
    let schools: Vec<_> = (1..=2)
        .map(|number| {
            let figures = [("pupils:primary", "100"), ("teachers_backbone:primary", "1")];
            let mut school = consolidated(school(number, SchoolKind::Primary), declared(&figures));
            // Every candidate meets the item itself; 1 and 1 or 4 and 4 meet
            // the limit of the coefficient, 1 and 4 do not.
            observe(&mut school, "teachers_backbone:primary", &["1", "4"]);
            school
        })
        .collect();
    let assessor = assessed(youzhi(), NOW, &schools);
    let coefficient = assessor.county().coefficient(Stage::Primary, "L2").unwrap().clone();
    assert_eq!(coefficient.outcome, Some(Outcome::Undetermined));
    let effects = effects(&assessor);
    assert_eq!(effects.len(), 2);
    assert!(effects.iter().all(|effect| !effect.folded), "{effects:#?}");
}

/// What leaves a sum over schools open is named, and not folded away.
#[test]
fn a_sum_over_schools_names_what_leaves_it_open() {
    let schools: Vec<_> = (1..=3)
        .map(|number| {
            let figures = [("teachers:primary", "10"), ("teachers_certified:primary", "9")];
            let known = if number == 3 { &figures[1..] } else { &figures[..] };
            let mut school = consolidated(school(number, SchoolKind::Primary), declared(known));
            if number == 1 {
                observe(&mut school, "teachers_certified:primary", &["9", "40"]);
            }
            school
        })
        .collect();
    let assessor = assessed(youzhi(), NOW, &schools);
    let county = assessor.county();
    let result = county.indicators.iter().find(|result| result.id == "A2-12").unwrap();
    assert_eq!(result.outcome, Outcome::Undetermined);
    let missing: Vec<_> = result.missing.iter().map(|missing| missing.figure.school.to_string()).collect();
    assert_eq!(missing, [school_id(3).to_string()]);
    let open: Vec<_> = result.open.iter().map(|open| open.school.clone()).collect();
    assert_eq!(open, [school_id(1).to_string()]);
    assert!(effects(&assessor).iter().all(|effect| !effect.folded));
}

/// A what-if that sets a number of rooms sets no square metres.
#[test]
fn a_number_of_rooms_in_a_what_if_is_no_area() {
    let school = with_art_rooms();
    let assessor = assessed(youzhi(), NOW, &[school]);
    let set = |value: &str| Change::SetQuantity {
        school: school_id(1),
        figure: key("music_rooms"),
        value: decimal(value),
    };
    for (number, expected) in
        [("1", Outcome::NotMet), ("2", Outcome::Undetermined), ("96", Outcome::Undetermined)]
    {
        let after = what_if(&assessor, &[set(number)]).unwrap().after;
        let result = after.schools[0].indicator("A2-3", None).unwrap();
        assert_eq!(result.outcome, expected, "{number} rooms");
    }
    let add = Change::AddQuantity { school: school_id(1), figure: key("art_rooms"), value: decimal("1") };
    assert_eq!(what_if(&assessor, &[add]).unwrap_err().code, "what_if.list");
}
