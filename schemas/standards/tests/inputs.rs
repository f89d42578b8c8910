//! From consolidated data to figures: sources, gaps, conflicts, alarms, and
//! what rooms and equipment on site amount to.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::consolidated::{ConsolidatedSchool, Duplicate, Item, Removal, ReviewState};
use duxue_document::path::{ItemKey, ItemKind, Section};
use duxue_document::school::{DeclaredClass, DeclaredRoom, RoomPurpose, SchoolKind, Stage};
use duxue_document::{DecisionId, EntryPath, ItemId, Value};
use duxue_standards::Standard;
use duxue_standards::assess::{Outcome, school as assess};
use duxue_standards::figure::{Figure, Gap, Source, Subject};
use duxue_standards::input::{InputSettings, school_input};
use proptest::prelude::*;
use support::{consolidated, decimal, declared, entry, key, number, observe, school, text, value, youzhi};

const NOW: &str = "2026-09-01";

fn primary(figures: &[(&str, &str)]) -> ConsolidatedSchool {
    consolidated(school(1, SchoolKind::Primary), declared(figures))
}

fn figure(standard: &Standard, school: &ConsolidatedSchool, quantity: &str) -> Figure {
    let input = school_input(standard, school, &InputSettings::default());
    Figure::clone(&input.figures[&key(quantity)])
}

/// An item with its fields, each with one or several candidates.
fn item(kind: ItemKind, id: &str, fields: &[(&str, Vec<Value>)]) -> (ItemKey, Item) {
    let item = ItemId::new(id).unwrap();
    let fields: BTreeMap<_, _> =
        fields.iter().map(|(field, values)| (field.parse().unwrap(), entry(values.clone()))).collect();
    let members = BTreeSet::from([item.clone()]);
    (ItemKey { kind, item }, Item { kind, members, fields, removal: Removal::Present })
}

fn room(id: &str, purpose: &str, sizes: &[(&str, &str)], multimedia: bool) -> (ItemKey, Item) {
    let identity = value(&[("building", text("教学楼")), ("number", text(id)), ("purpose", text(purpose))]);
    let sizes =
        sizes.iter().map(|(l, w)| value(&[("length_m", number(l)), ("width_m", number(w))])).collect();
    let multimedia = value(&[("value", duxue_document::Scalar::Bool(multimedia))]);
    item(
        ItemKind::Rooms,
        id,
        &[("identity", vec![identity]), ("size", sizes), ("multimedia", vec![multimedia])],
    )
}

#[test]
fn observed_beats_declared_and_the_difference_is_an_alarm() {
    let standard = youzhi();
    let mut school = primary(&[("multimedia_rooms", "23"), ("teaching_area_m2", "5000")]);
    assert_eq!(figure(&standard, &school, "multimedia_rooms").source, Source::Declared);
    observe(&mut school, "multimedia_rooms", &["20"]);
    observe(&mut school, "teaching_area_m2", &["5000.4"]);
    let input = school_input(&standard, &school, &InputSettings::default());
    let rooms = &input.figures[&key("multimedia_rooms")];
    assert_eq!(
        (rooms.source, rooms.total(&[]).value().unwrap().to_string()),
        (Source::ObservedRegister, "20".into())
    );
    // The declared figure stands beside; half a square metre is no alarm.
    assert_eq!(rooms.beside[0].source, Source::Declared);
    let alarms: Vec<_> = input.alarms.iter().map(|alarm| (alarm.code, alarm.key.to_string())).collect();
    assert_eq!(alarms, [("declared.differs", "multimedia_rooms:whole".to_owned())]);
}

#[test]
fn items_count_only_once_their_section_is_complete() {
    let standard = youzhi();
    let mut school = primary(&[("multimedia_rooms", "23")]);
    school.items.extend([
        room("101", "classroom", &[("9", "7")], true),
        room("102", "classroom", &[("9", "7")], false),
    ]);
    let open = figure(&standard, &school, "multimedia_rooms");
    assert_eq!((open.source, open.beside[0].source), (Source::Declared, Source::ObservedItems));
    assert_eq!(open.beside[0].value.value().unwrap().to_string(), "1");
    school.complete.insert(Section::Rooms);
    let complete = figure(&standard, &school, "multimedia_rooms");
    assert_eq!(complete.source, Source::ObservedItems);
    assert_eq!(complete.total(&[]).value().unwrap().to_string(), "1");
    assert_eq!(complete.entries[0].path.to_string(), "rooms/101/multimedia");
}

/// Each class is held against what is plausible of a class, not their sum.
#[test]
fn class_sizes_are_implausible_one_by_one() {
    let standard = youzhi();
    let declared_list = |sizes: &[u32]| {
        let mut school = primary(&[]);
        let class = |pupils: &u32| DeclaredClass { stage: Stage::Primary, pupils: *pupils };
        school.declared.classes = Some(sizes.iter().map(class).collect());
        school
    };
    let on_site = |sizes: &[&str]| {
        let mut school = primary(&[]);
        for (pupils, id) in sizes.iter().zip(["a", "b", "c"]) {
            let identity = value(&[("stage", text("primary")), ("grade", number("1")), ("number", text(id))]);
            let pupils = vec![value(&[("value", number(pupils))])];
            school.items.extend([item(
                ItemKind::Classes,
                id,
                &[("identity", vec![identity]), ("pupils", pupils)],
            )]);
        }
        support::mark(&mut school, Section::Classes, &[true]);
        school
    };
    for (school, expected) in [
        (declared_list(&[40, 45, 44]), None),
        (declared_list(&[40, 101, 45]), Some("班额为101,大于合理上限100")),
        (on_site(&["44", "45", "43"]), None),
        (on_site(&["44", "45", "130"]), Some("班额为130,大于合理上限100")),
        (primary(&[("max_class_size:primary", "101")]), Some("班额为101,大于合理上限100")),
    ] {
        let input = school_input(&standard, &school, &InputSettings::default());
        let sizes = key("max_class_size:primary");
        let alarm = input.alarms.iter().find(|alarm| alarm.key == sizes).map(|alarm| alarm.text.zh.as_str());
        assert_eq!(alarm, expected);
    }
    // Seen in a section that nobody marked complete, they stand beside as the largest.
    let mut school = on_site(&["44", "45", "43"]);
    school.entries.clear();
    school.complete.clear();
    let input = school_input(&standard, &school, &InputSettings::default());
    let [beside] = input.figures[&key("max_class_size:primary")].beside.as_slice() else {
        panic!("{input:?}")
    };
    assert_eq!((beside.value.value(), beside.items), (Some("45".parse().unwrap()), 3));
}

fn of_equipment(yuan: &str) -> (ItemKey, Item) {
    let fields = [
        ("count", vec![value(&[("value", number("1"))])]),
        ("unit_value", vec![value(&[("value_yuan", number(yuan))])]),
    ];
    item(ItemKind::Equipment, "a", &fields)
}

/// Whether the items or the declared figure count is open while the section's
/// mark is; 200 000 yuan are enough.
#[test]
fn an_open_mark_leaves_open_whether_the_items_count() {
    let standard = youzhi();
    let verdict = DecisionId::new("v1").unwrap();
    let returned = |overruled| ReviewState::Returned {
        verdicts: [verdict.clone()].into(),
        reason: "还有".into(),
        overruled,
    };
    let two = BTreeSet::from([verdict.clone(), DecisionId::new("v2").unwrap()]);
    let awaiting = ReviewState::Awaiting { verdicts: BTreeSet::new() };
    let contradicted = ReviewState::Awaiting { verdicts: two.clone() };
    let disputed = ReviewState::Disputed { verdicts: two };
    let (seen, open) = (ReviewState::Unreviewed, Outcome::Undetermined);
    let (both, yes, no): (&[bool], &[bool], &[bool]) = (&[true, false], &[true], &[false]);
    for (marks, review, items, declared, expected) in [
        (both, &seen, "10", Some("200000"), open),
        (both, &seen, "200000", Some("10"), open),
        (both, &seen, "200000", None, open),
        // Alike either way: the conflict decides nothing.
        (both, &seen, "200000", Some("300000"), Outcome::Met),
        (both, &seen, "10", Some("20"), Outcome::NotMet),
        (&[true, true], &seen, "10", Some("200000"), Outcome::NotMet),
        (&[false, false], &seen, "10", Some("200000"), Outcome::Met),
        (yes, &seen, "10", Some("200000"), Outcome::NotMet),
        (no, &seen, "10", Some("200000"), Outcome::Met),
        // A mark needs no acceptance, also where the round requires it.
        (yes, &awaiting, "10", Some("200000"), Outcome::NotMet),
        (both, &awaiting, "10", Some("200000"), open),
        (yes, &contradicted, "10", Some("200000"), open),
        (yes, &disputed, "10", Some("200000"), open),
        (both, &disputed, "10", Some("200000"), open),
        (yes, &disputed, "200000", Some("300000"), Outcome::Met),
        (no, &awaiting, "10", Some("200000"), Outcome::Met),
        (yes, &returned(true), "10", Some("200000"), Outcome::NotMet),
        (both, &returned(true), "10", Some("200000"), open),
        (both, &returned(false), "10", Some("200000"), Outcome::Met),
    ] {
        let case = format!("{marks:?} {review:?} {items} {declared:?}");
        let mut school = primary(&[("pupils:primary", "100")]);
        if let Some(declared) = declared {
            school.declared.figures.insert(key("equipment_value_yuan"), decimal(declared));
        }
        school.items.extend([of_equipment(items)]);
        support::mark(&mut school, Section::Equipment, marks);
        let path = EntryPath::Section(Section::Equipment);
        school.entries.get_mut(&path).unwrap().review = review.clone();
        let input = school_input(&standard, &school, &InputSettings::default());
        let result = assess(&standard, &input, NOW).indicator("L6", Some(Stage::Primary)).unwrap().clone();
        assert_eq!(result.outcome, expected, "{case}");
        let named = result.open.iter().any(|open| open.subject == Subject::Entry { path: path.clone() });
        assert!(named || expected != open, "{case}: {:?}", result.open);
    }
}

/// Where neither items nor anything declared is sure, so is no number of rooms.
#[test]
fn an_open_mark_without_another_source_bounds_no_number_of_rooms() {
    let standard = youzhi();
    for (marks, expected) in [(&[true, false][..], Outcome::Undetermined), (&[true], Outcome::NotMet)] {
        let mut school = primary(&[("classes:primary", "48"), ("pupils:primary", "100")]);
        support::mark(&mut school, Section::Rooms, marks);
        let input = school_input(&standard, &school, &InputSettings::default());
        let result = assess(&standard, &input, NOW).indicator("A2-3", None).unwrap().clone();
        assert_eq!(result.outcome, expected, "{marks:?}");
    }
}

/// Net areas measured by tape never stand in for the gross area of L4.
#[test]
fn one_area_basis_never_fills_the_other() {
    let standard = youzhi();
    let mut school = primary(&[("pupils:primary", "10")]);
    school.items.extend([room("101", "classroom", &[("100", "100")], true)]);
    school.complete.insert(Section::Rooms);
    assert_eq!(figure(&standard, &school, "teaching_area_m2").source, Source::Missing);
    let input = school_input(&standard, &school, &InputSettings::default());
    let result = assess(&standard, &input, NOW).indicator("L4", Some(Stage::Primary)).unwrap().clone();
    assert_eq!(result.outcome, Outcome::Undetermined);
}

#[test]
fn what_was_returned_or_awaits_acceptance_is_missing_even_beside_a_declared_figure() {
    let standard = youzhi();
    let verdict = DecisionId::new("v1").unwrap();
    let returned = |overruled| ReviewState::Returned {
        verdicts: [verdict.clone()].into(),
        reason: "照片".into(),
        overruled,
    };
    let accepted = ReviewState::Accepted { verdicts: [verdict.clone()].into() };
    let two = BTreeSet::from([verdict.clone(), DecisionId::new("v2").unwrap()]);
    for (review, gap) in [
        (ReviewState::Unreviewed, None),
        (accepted, None),
        (returned(true), None),
        (returned(false), Some(Gap::Returned)),
        (ReviewState::Awaiting { verdicts: BTreeSet::new() }, Some(Gap::AwaitsAcceptance)),
        (ReviewState::Awaiting { verdicts: two.clone() }, Some(Gap::Disputed)),
    ] {
        let mut school = primary(&[("pupils:primary", "100"), ("multimedia_rooms", "23")]);
        observe(&mut school, "multimedia_rooms", &["3"]);
        let path = EntryPath::Quantity(key("multimedia_rooms"));
        school.entries.get_mut(&path).unwrap().review = review.clone();
        let input = school_input(&standard, &school, &InputSettings::default());
        let result = assess(&standard, &input, NOW).indicator("L7", Some(Stage::Primary)).unwrap().clone();
        let expected = if gap.is_some() { Outcome::Undetermined } else { Outcome::Met };
        assert_eq!(result.outcome, expected, "{review:?}");
        assert_eq!(
            result.missing.first().and_then(|missing| missing.gaps.first().copied()),
            gap,
            "{review:?}"
        );
        let open = matches!(review, ReviewState::Unreviewed | ReviewState::Awaiting { .. });
        assert_eq!(input.review.unreviewed, usize::from(open), "{review:?}");
    }
}

#[test]
fn impossible_values_are_not_figures() {
    let standard = youzhi();
    for wrong in ["-1", "2.5"] {
        let school = primary(&[("pupils:primary", "100"), ("multimedia_rooms", wrong)]);
        assert_eq!(figure(&standard, &school, "multimedia_rooms").gaps, BTreeSet::from([Gap::NotAValue]));
        let mut seen = primary(&[("pupils:primary", "100"), ("multimedia_rooms", "9")]);
        observe(&mut seen, "multimedia_rooms", &[wrong]);
        let input = school_input(&standard, &seen, &InputSettings::default());
        let result = assess(&standard, &input, NOW).indicator("L7", Some(Stage::Primary)).unwrap().clone();
        assert_eq!(result.outcome, Outcome::Undetermined);
    }
}

#[test]
fn equipment_is_pieces_times_unit_value_exactly() {
    let standard = youzhi();
    let mut school = primary(&[]);
    for (id, count, price) in [("a", "3", "0.333333"), ("b", "12", "1999.99"), ("c", "0", "5")] {
        let fields = [
            ("count", vec![value(&[("value", number(count))])]),
            ("unit_value", vec![value(&[("value_yuan", number(price))])]),
        ];
        school.items.extend([item(ItemKind::Equipment, id, &fields)]);
    }
    school.complete.insert(Section::Equipment);
    let total = figure(&standard, &school, "equipment_value_yuan").total(&[]);
    assert_eq!(total.value().unwrap().to_string(), "24000.879999");
}

#[test]
fn a_conflict_opens_only_the_results_it_bears_on() {
    let standard = youzhi();
    let mut school = primary(&[("pupils:primary", "100"), ("equipment_value_yuan", "200000")]);
    observe(&mut school, "multimedia_rooms", &["2", "3"]);
    let input = school_input(&standard, &school, &InputSettings::default());
    let assessment = assess(&standard, &input, NOW);
    let of = |id| assessment.indicator(id, Some(Stage::Primary)).unwrap();
    assert_eq!((of("L7").outcome, of("L6").outcome), (Outcome::Undetermined, Outcome::Met));
    assert_eq!(of("L7").value().unwrap().printed, "2.00–3.00");
    assert_eq!((of("L7").open.len(), of("L6").open.len()), (1, 0));
    // Both candidates meet it: settled, though the conflict is still open.
    observe(&mut school, "multimedia_rooms", &["3", "4"]);
    let input = school_input(&standard, &school, &InputSettings::default());
    assert_eq!(
        assess(&standard, &input, NOW).indicator("L7", Some(Stage::Primary)).unwrap().outcome,
        Outcome::Met
    );
}

#[test]
fn a_declared_list_of_rooms_is_read_room_by_room() {
    let standard = youzhi();
    let mut school = primary(&[("classes:primary", "12"), ("art_rooms", "1")]);
    let declared_room = |purpose, area| DeclaredRoom { name: "101".into(), purpose, area_m2: decimal(area) };
    school.declared.rooms =
        Some(vec![declared_room(RoomPurpose::Music, "96"), declared_room(RoomPurpose::Art, "89.99")]);
    let input = school_input(&standard, &school, &InputSettings::default());
    let result = assess(&standard, &input, NOW).indicator("A2-3", None).unwrap().clone();
    assert_eq!(result.outcome, Outcome::NotMet);
    let lacking: Vec<_> =
        result.conditions[0].lacking.iter().map(|lacking| lacking.text.zh.as_str()).collect();
    assert_eq!(lacking, ["差1间达标美术教室"]);
}

/// A room as an inspector may have captured it.
#[derive(Debug, Clone)]
struct Sketch {
    areas: Vec<u8>,
    multimedia: Vec<bool>,
    removed_but_edited: bool,
    twin_of_next: bool,
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let areas = prop::collection::vec(prop_oneof![Just(95_u8), Just(96), Just(97)], 1..3);
    let multimedia = prop::collection::vec(any::<bool>(), 1..3);
    let one = (areas, multimedia, prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
        |(areas, multimedia, removed_but_edited, twin_of_next)| Sketch {
            areas,
            multimedia,
            removed_but_edited,
            twin_of_next,
        },
    );
    prop::collection::vec(one, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Counts of rooms lie within the figure's bounds for every way to settle
    /// candidates, removals and duplicates, and claims hold for them.
    #[test]
    fn rooms_stay_within_bounds(sketches in sketches(), picks in prop::collection::vec(any::<u32>(), 24)) {
        let standard = youzhi();
        let mut school = primary(&[("classes:primary", "12"), ("pupils:primary", "100")]);
        for (sketch, number) in sketches.iter().zip(0..) {
            let sizes: Vec<String> = sketch.areas.iter().map(u8::to_string).collect();
            let sizes: Vec<(&str, &str)> = sizes.iter().map(|size| (size.as_str(), "1")).collect();
            let (key, mut item) = room(&format!("r{number}"), "music", &sizes, true);
            let flags = sketch.multimedia.iter().map(|m| value(&[("value", duxue_document::Scalar::Bool(*m))]));
            item.fields.insert("multimedia".parse().unwrap(), entry(distinct(flags.collect())));
            if sketch.removed_but_edited {
                item.removal = Removal::EditedAfterRemoval { unseen: BTreeSet::from([support::op(9)]) };
            }
            school.items.insert(key, item);
        }
        let last = sketches.len() - 1;
        for (number, _) in sketches.iter().enumerate().filter(|(n, sketch)| sketch.twin_of_next && *n < last) {
            let items = [number, number + 1].map(|n| ItemId::new(format!("r{n}")).unwrap());
            school.duplicates.push(Duplicate {
                kind: ItemKind::Rooms,
                key: String::new(),
                items: items.into_iter().collect(),
                possible: false,
            });
        }
        school.complete.insert(Section::Rooms);
        school.declared.rooms = None;
        let input = school_input(&standard, &school, &InputSettings::default());
        let rooms = input.figures[&key("multimedia_rooms")].total(&[]);
        let music = &input.figures[&key("music_rooms")];
        let limit = duxue_standards::number::Amount::whole(96);
        let large = music.count(&[], |size| size.low >= limit, |size| size.high.is_none_or(|high| high >= limit));
        let claim = assess(&standard, &input, NOW).indicator("L7", Some(Stage::Primary)).unwrap().outcome;

        // One way to settle everything, by hand: groups of merged twins, each
        // with one member's candidate for each field.
        let mut next = picks.iter().cycle();
        let mut pick = |n: usize| *next.next().unwrap() as usize % n;
        let mut groups: Vec<Vec<&Sketch>> = Vec::new();
        let mut join = false;
        for sketch in &sketches {
            let gone = sketch.removed_but_edited && pick(2) == 0;
            if !gone {
                match groups.last_mut().filter(|_| join) {
                    Some(group) => group.push(sketch),
                    None => groups.push(vec![sketch]),
                }
            }
            join = sketch.twin_of_next && !gone && pick(2) == 0;
        }
        let (mut with_multimedia, mut large_rooms) = (0_u32, 0_usize);
        for group in groups {
            let area = { let g = group[pick(group.len())]; g.areas[pick(g.areas.len())] };
            let multimedia = { let g = group[pick(group.len())]; g.multimedia[pick(g.multimedia.len())] };
            with_multimedia += u32::from(multimedia);
            large_rooms += usize::from(area >= 96);
        }
        let counted = duxue_standards::number::Amount::whole(with_multimedia);
        prop_assert!(rooms.low <= counted && rooms.high.is_none_or(|high| counted <= high), "{counted} not in {rooms:?}");
        prop_assert!(large.least <= large_rooms && large.most.is_none_or(|most| large_rooms <= most));
        let met = with_multimedia * 10 >= 23;
        prop_assert!(claim == Outcome::Undetermined || (claim == Outcome::Met) == met, "{claim:?} for {with_multimedia}");
    }
}

fn distinct(values: Vec<Value>) -> Vec<Value> {
    let mut distinct: Vec<Value> = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
