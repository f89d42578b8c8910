//! What each choice and each change would do.

mod support;

use duxue_document::conflict::{Choice, ConflictSubject};
use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::path::Section;
use duxue_document::school::RoomPurpose;
use duxue_document::school::{SchoolKind, Stage};
use duxue_standards::assess::{Assessor, Outcome};
use duxue_standards::effects::effects;
use duxue_standards::figure::Subject;
use duxue_standards::input::{InputSettings, school_input};
use duxue_standards::what_if::{Change, Shown, what_if};
use proptest::prelude::*;
use support::{consolidated, decimal, declared, key, observe, school, school_id, youzhi};

const FULL: [(&str, &str); 9] = [
    ("pupils:primary", "1000"),
    ("teachers_above_required_degree:primary", "42"),
    ("teachers_backbone:primary", "10"),
    ("teachers_pe_art:primary", "9"),
    ("teaching_area_m2", "4700"),
    ("indoor_sports_area_m2", "200"),
    ("outdoor_sports_area_m2", "7300"),
    ("equipment_value_yuan", "2000000"),
    ("multimedia_rooms", "23"),
];

fn assessor(schools: &[&[(&str, &[&str])]]) -> Assessor {
    let mut assessor = Assessor::new(youzhi(), "2026-09-01");
    for (conflicts, n) in schools.iter().zip(1..) {
        let mut school = consolidated(school(n, SchoolKind::Primary), declared(&FULL));
        for (quantity, values) in *conflicts {
            observe(&mut school, quantity, values);
        }
        let input = school_input(assessor.standard(), &school, &InputSettings::default());
        assessor.set_school(input);
    }
    assessor
}

#[test]
fn conflicts_that_flip_come_first_and_harmless_ones_are_folded() {
    let assessor = assessor(&[
        // Harmless: enough either way.
        &[("multimedia_rooms", &["23", "24"])],
        // Flips L4 and, as the second item below, nothing else.
        &[("teaching_area_m2", &["4700", "4600"])],
        // Below 85 % with one candidate: flips the school.
        &[("teachers_backbone:primary", &["10", "8"]), ("books", &["1", "2"])],
    ]);
    let effects = effects(&assessor);
    assert_eq!(effects.len(), 3, "a quantity that the standard does not have opens nothing");
    let seen: Vec<_> = effects.iter().map(|e| (e.school.clone(), e.flips, e.folded, e.pupils)).collect();
    assert_eq!(
        seen,
        [
            (school_id(2), true, false, 1000),
            (school_id(3), true, false, 1000),
            (school_id(1), false, true, 1000)
        ]
    );
    let third = &effects[1];
    let results: Vec<_> = third.choices.iter().map(|choice| choice.results["rule/primary"].outcome).collect();
    assert_eq!(results, [Some(Outcome::Met), Some(Outcome::NotMet)]);
    assert_eq!(third.choices[1].choice.ops.first().unwrap().to_string(), "2@aa");
}

#[test]
fn effects_leave_the_assessor_as_it_was_and_agree_with_a_ruling() {
    let open = assessor(&[&[("teachers_backbone:primary", &["10", "8"])], &[]]);
    let before = open.assessment().to_json();
    let effects = effects(&open);
    assert_eq!(open.assessment().to_json(), before);
    for (choice, value) in effects[0].choices.iter().zip(["10", "8"]) {
        let settled = assessor(&[&[("teachers_backbone:primary", &[value])], &[]]);
        let school = settled.school(&school_id(1)).unwrap();
        let rule = school.stage(Stage::Primary).unwrap().rule.as_ref().unwrap();
        assert_eq!(choice.results["rule/primary"].outcome, Some(rule.outcome));
        let coefficient = settled.county().coefficient(Stage::Primary, "L2").unwrap().printed.clone();
        let shown = &choice.results["CV/L2/primary"].value;
        assert_eq!(shown.as_deref(), Some(coefficient.as_str()));
    }
}

/// The effects of a conflict over a section's mark are what a ruling on it
/// would bring about, with the next source missing and not.
#[test]
fn a_conflict_over_a_mark_shows_what_each_choice_does() {
    for (reported, without) in [(&FULL[..], Outcome::Met), (&FULL[..7], Outcome::Undetermined)] {
        let mut school = consolidated(school(1, SchoolKind::Primary), declared(reported));
        support::mark(&mut school, Section::Equipment, &[true, false]);
        let assessed = |school: &ConsolidatedSchool| {
            let mut assessor = Assessor::new(youzhi(), "2026-09-01");
            let input = school_input(assessor.standard(), school, &InputSettings::default());
            assessor.set_school(input);
            assessor
        };
        let effects = effects(&assessed(&school));
        let conflicts = school.conflicts();
        let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
        let [effect] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!((effect.flips, effect.folded, effect.pupils), (true, false, 1000));
        for (op, expected) in [(1, Outcome::NotMet), (2, without)] {
            let choice = effect.choices.iter().find(|choice| choice.choice.ops.contains(&support::op(op)));
            let shown = choice.unwrap().results["L6/primary"].outcome;
            let settled = school.with_choice(conflict, &Choice::Candidate(support::op(op)));
            assert_eq!(settled.complete.contains(&Section::Equipment), op == 1);
            let ruled = assessed(&settled);
            let ruled = ruled.school(&school_id(1)).unwrap();
            let ruled = ruled.indicator("L6", Some(Stage::Primary)).unwrap().outcome;
            assert_eq!((shown, ruled), (Some(expected), expected));
        }
    }
}

#[test]
fn what_if_is_the_same_assessment_on_changed_inputs() {
    let assessor = assessor(&[&[("multimedia_rooms", &["19"])], &[]]);
    let before = assessor.assessment().to_json();
    let (one, two) = (school_id(1), school_id(2));
    let room = Change::AddRoom {
        school: one.clone(),
        purpose: RoomPurpose::Classroom,
        net_area_m2: decimal("63"),
        gross_area_m2: decimal("80"),
        multimedia: true,
    };
    let rooms = what_if(&assessor, &vec![room; 4]).unwrap();
    let flipped = rooms.differences.iter().find(|d| d.result == "L7/primary").unwrap();
    let (old, new) = (&flipped.before, &flipped.after);
    assert_eq!((old.outcome, new.outcome), (Some(Outcome::NotMet), Some(Outcome::Met)));
    assert_eq!((old.value.as_deref(), new.value.as_deref()), (Some("1.90"), Some("2.30")));

    let pupils =
        Change::MovePupils { from: one.clone(), to: two.clone(), stage: Stage::Primary, pupils: 174 };
    let moved = what_if(&assessor, &[pupils]).unwrap();
    // 19 rooms for 826 pupils are 2.300; the other school is now short of seven items.
    let result = |school: &_, name: &str| {
        let found = moved.differences.iter().find(|d| d.school.as_ref() == Some(school) && d.result == name);
        found.and_then(|d| d.after.outcome)
    };
    assert_eq!(
        (result(&one, "L7/primary"), result(&two, "rule/primary")),
        (Some(Outcome::Met), Some(Outcome::NotMet))
    );
    assert_eq!(assessor.assessment().to_json(), before);
}

#[test]
fn changes_that_cannot_be_made_are_refused_by_code() {
    let assessor = assessor(&[&[("multimedia_rooms", &["19", "20"])]]);
    let one = school_id(1);
    let add = |figure: &str, value: &str| Change::AddQuantity {
        school: one.clone(),
        figure: key(figure),
        value: decimal(value),
    };
    for (change, code) in [
        (Change::BuyEquipment { school: school_id(9), value_yuan: decimal("1") }, "what_if.school"),
        (add("no_such_thing", "1"), "what_if.figure"),
        (add("multimedia_rooms", "1"), "what_if.open"),
        (add("pupils:primary", "-1001"), "what_if.negative"),
    ] {
        assert_eq!(what_if(&assessor, &[change]).unwrap_err().code, code);
    }
}

fn assessed(schools: &[ConsolidatedSchool]) -> Assessor {
    let mut assessor = Assessor::new(youzhi(), "2026-09-01");
    for school in schools {
        let input = school_input(assessor.standard(), school, &InputSettings::default());
        assessor.set_school(input);
    }
    assessor
}

/// What an assessor says of a place of a school or of the county.
fn said(assessor: &Assessor, school: u32, place: &str) -> Option<Shown> {
    let county = assessor.county();
    let shown = |outcome, value: Option<&str>| Shown { outcome, value: value.map(str::to_owned) };
    let own = assessor.school(&school_id(school))?;
    match place.split('/').collect::<Vec<_>>().as_slice() {
        ["county"] => Some(shown(Some(county.outcome), None)),
        ["CV", item, "primary"] => {
            let found = county.coefficient(Stage::Primary, item)?;
            Some(shown(found.outcome, Some(&found.printed)))
        }
        ["rule", "primary"] => Some(shown(Some(own.stage(Stage::Primary)?.rule.as_ref()?.outcome), None)),
        [item, "primary"] => {
            let found = own.indicator(item, Some(Stage::Primary))?;
            Some(shown(Some(found.outcome), found.value().map(|value| value.printed.as_str())))
        }
        [item] => match (own.indicator(item, None), county.dimension(item)) {
            (Some(found), _) => {
                Some(shown(Some(found.outcome), found.value().map(|value| value.printed.as_str())))
            }
            (None, dimension) => Some(shown(Some(dimension?.outcome), None)),
        },
        _ => None,
    }
}

fn with_conflicts(number: u32, values: &[(u32, u32); 3]) -> ConsolidatedSchool {
    let mut school = consolidated(school(number, SchoolKind::Primary), declared(&FULL));
    let quantities = ["teachers_backbone:primary", "teaching_area_m2", "pupils:primary"];
    for (quantity, (a, b)) in quantities.iter().zip(values) {
        let values = if a == b { vec![a.to_string()] } else { vec![a.to_string(), b.to_string()] };
        observe(&mut school, quantity, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    school
}

fn conflicting() -> impl Strategy<Value = [(u32, u32); 3]> {
    let pair = |from: u32, to: u32| (from..to, from..to);
    (pair(7, 12), pair(3900, 5200), pair(850, 1100)).prop_map(|(a, b, c)| [a, b, c])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The effect of a candidate is the assessment of the consolidated school
    /// with that candidate fixed and all else open.
    #[test]
    fn an_effect_is_the_assessment_with_that_candidate_fixed(one in conflicting(), two in conflicting()) {
        let schools = [with_conflicts(1, &one), with_conflicts(2, &two)];
        for effect in effects(&assessed(&schools)) {
            let position = usize::from(effect.school == school_id(2));
            let conflicts = schools[position].conflicts();
            let conflict = conflicts.iter().find(|conflict| match (&conflict.subject, &effect.subject) {
                (ConflictSubject::Entry { path, .. }, Subject::Entry { path: wanted }) => path == wanted,
                _ => false,
            });
            for choice in &effect.choices {
                let op = choice.choice.ops.first().unwrap().clone();
                let mut ruled = schools.clone();
                ruled[position] = schools[position].with_choice(conflict.unwrap(), &Choice::Candidate(op));
                let ruled = assessed(&ruled);
                for (place, shown) in &choice.results {
                    let number = u32::try_from(position + 1).unwrap();
                    let said = said(&ruled, number, place);
                    prop_assert_eq!(Some(shown), said.as_ref(), "{}", place);
                }
            }
        }
    }

    /// A change that changes nothing leaves every byte as it is.
    #[test]
    fn a_change_of_nothing_is_the_assessment_itself(one in conflicting(), two in conflicting()) {
        let assessor = assessed(&[with_conflicts(1, &one), with_conflicts(2, &two)]);
        let nothing = what_if(&assessor, &[]).unwrap();
        prop_assert_eq!(nothing.after.to_json(), assessor.assessment().to_json());
        let moved = Change::MovePupils { from: school_id(1), to: school_id(2), stage: Stage::Primary, pupils: 0 };
        let added = Change::AddQuantity { school: school_id(1), figure: key("multimedia_rooms"), value: decimal("0") };
        for change in [moved, added] {
            // Open pupils cannot be moved, not even none of them.
            let Ok(tried) = what_if(&assessor, &[change]) else { continue };
            prop_assert_eq!(tried.differences, vec![]);
            prop_assert_eq!(tried.after.county, assessor.county());
        }
    }
}
