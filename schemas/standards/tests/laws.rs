//! Laws that hold for every county, checked against a reference that knows
//! nothing of the engine: plain rationals on complete data.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::consolidated::{ConsolidatedSchool, Item, Removal, ReviewState};
use duxue_document::path::{ItemKey, ItemKind, Section};
use duxue_document::school::{School, SchoolKind, Setting, Stage};
use duxue_document::{DecisionId, EntryPath, ItemId, Scalar, Value};
use duxue_standards::Standard;
use duxue_standards::assess::{Assessor, CountyAssessment, Outcome, Tally};
use duxue_standards::input::{InputSettings, SchoolInput, school_input};
use num_rational::Ratio;
use num_traits::Zero;
use proptest::prelude::*;
use support::{consolidated, declared, observe, school, value as value_of, youzhi};

type R = num_rational::BigRational;

const QUANTITIES: [(&str, u32); 18] = [
    ("pupils:primary", 130),
    ("pupils:junior", 130),
    ("pupils:senior", 130),
    ("teachers_above_required_degree:primary", 9),
    ("teachers_above_required_degree:junior", 9),
    ("teachers_backbone:primary", 3),
    ("teachers_backbone:junior", 3),
    ("teachers_pe_art:primary", 3),
    ("teachers_pe_art:junior", 3),
    ("teachers_pe_art_shared:primary", 2),
    ("teachers_pe_art_shared:junior", 2),
    ("teaching_area_m2", 1100),
    ("indoor_sports_area_m2", 60),
    ("outdoor_sports_area_m2", 1700),
    ("equipment_value_yuan", 400_000),
    ("multimedia_rooms", 6),
    ("classes:primary", 9),
    ("classes:junior", 9),
];

const KINDS: [SchoolKind; 6] = [
    SchoolKind::Primary,
    SchoolKind::Junior,
    SchoolKind::NineYear,
    SchoolKind::TwelveYear,
    SchoolKind::CompleteSecondary,
    SchoolKind::TeachingPoint,
];

/// What is known of a figure.
#[derive(Debug, Clone)]
enum Known {
    Declared(u32),
    Missing,
    Conflict(Vec<u32>, bool),
    /// Items that are so much, a mark that is not settled, and what is declared.
    Marked(u32, Doubt, Option<u32>),
}

/// Why a mark is not settled.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    Differ,
    Awaiting,
    Disputed,
}

#[derive(Debug, Clone)]
struct Sketch {
    kind: usize,
    rural: bool,
    figures: Vec<Known>,
}

/// Values from nothing to plenty, most of them about the threshold.
fn value(most: u32) -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 6 => most / 2..=most, 2 => 0..=most]
}

fn known(most: u32, open: u32) -> impl Strategy<Value = Known> {
    prop_oneof![
        (100 - open) => value(most).prop_map(Known::Declared),
        open / 2 => Just(Known::Missing),
        open / 2 + 1 => (prop::collection::vec(value(most), 2..4), any::<bool>())
            .prop_map(|(values, near)| Known::Conflict(values, near)),
    ]
}

/// Quantities that items may make are sometimes in a section with an open mark.
fn known_of(quantity: &str, most: u32, open: u32) -> BoxedStrategy<Known> {
    if open == 0 || !["equipment_value_yuan", "multimedia_rooms"].contains(&quantity) {
        return known(most, open).boxed();
    }
    let doubt = prop_oneof![2 => Just(Doubt::Differ), 1 => Just(Doubt::Awaiting), 1 => Just(Doubt::Disputed)];
    let marked = (value(most), doubt, prop::option::weighted(0.8, value(most)));
    let marked = marked.prop_map(|(items, doubt, declared)| Known::Marked(items, doubt, declared));
    prop_oneof![3 => known(most, open), 1 => marked].boxed()
}

fn sketch(open: u32) -> impl Strategy<Value = Sketch> {
    let figures: Vec<_> = QUANTITIES.iter().map(|(quantity, most)| known_of(quantity, *most, open)).collect();
    (0..KINDS.len(), any::<bool>(), figures).prop_map(|(kind, rural, figures)| Sketch {
        kind,
        rural,
        figures,
    })
}

fn county_of(open: u32, schools: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Sketch>> {
    prop::collection::vec(sketch(open), schools)
}

impl Sketch {
    fn school(&self, number: u32) -> School {
        let setting = if self.rural { Setting::Rural } else { Setting::Urban };
        School { setting, ..school(number, KINDS[self.kind]) }
    }

    fn input(&self, standard: &Standard, number: u32) -> SchoolInput {
        let mut school = consolidated(self.school(number), declared(&[]));
        for ((quantity, _), known) in QUANTITIES.iter().zip(&self.figures) {
            match known {
                Known::Missing => {}
                Known::Declared(value) => {
                    school.declared.figures.extend(declared(&[(quantity, &value.to_string())]).figures);
                }
                Known::Conflict(values, near) => {
                    let values: Vec<String> = values.iter().map(u32::to_string).collect();
                    let values: Vec<&str> = values.iter().map(String::as_str).collect();
                    observe(&mut school, quantity, &values);
                    if *near {
                        within_tolerance(&mut school, quantity);
                    }
                }
                Known::Marked(items, doubt, reported) => {
                    if let Some(value) = reported {
                        school.declared.figures.extend(declared(&[(quantity, &value.to_string())]).figures);
                    }
                    add_items(&mut school, quantity, *items, *doubt);
                }
            }
        }
        school_input(standard, &school, &InputSettings::default())
    }

    /// One way in which everything may turn out.
    fn complete(&self, picks: &[u32]) -> BTreeMap<&'static str, u32> {
        let all = QUANTITIES.iter().zip(&self.figures).zip(picks);
        all.map(|(((quantity, most), known), pick)| {
            let value = match known {
                Known::Declared(value) => *value,
                Known::Conflict(values, _) => values[*pick as usize % values.len()],
                Known::Marked(items, Doubt::Awaiting, _) => *items,
                Known::Marked(items, ..) if pick % 2 == 0 => *items,
                Known::Marked(_, _, Some(declared)) => *declared,
                Known::Missing | Known::Marked(..) => {
                    [0, 1, most / 2, *most, most * 7, pick % (most + 1)][(*pick / 2) as usize % 6]
                }
            };
            (*quantity, value)
        })
        .collect()
    }
}

/// Items that are so much in a section whose mark is not settled.
fn add_items(school: &mut ConsolidatedSchool, quantity: &str, amount: u32, doubt: Doubt) {
    let (kind, section) = match quantity {
        "multimedia_rooms" => (ItemKind::Rooms, Section::Rooms),
        _ => (ItemKind::Equipment, Section::Equipment),
    };
    let one = || value_of(&[("value", support::number("1"))]);
    let pieces: Vec<Vec<(&str, Value)>> = match kind {
        ItemKind::Rooms => {
            let has = value_of(&[("value", Scalar::Bool(true))]);
            vec![vec![("multimedia", has)]; amount as usize]
        }
        _ => {
            let price = value_of(&[("value_yuan", support::number(&amount.to_string()))]);
            vec![vec![("count", one()), ("unit_value", price)]]
        }
    };
    for (number, fields) in pieces.into_iter().enumerate() {
        let item = ItemId::new(format!("i{number}")).unwrap();
        let members = BTreeSet::from([item.clone()]);
        let fields = fields.into_iter().map(|(f, v)| (f.parse().unwrap(), support::entry(vec![v]))).collect();
        let thing = Item { kind, members, fields, removal: Removal::Present };
        school.items.insert(ItemKey { kind, item }, thing);
    }
    let verdicts = ["v1", "v2"].map(|id| DecisionId::new(id).unwrap()).into();
    let review = match doubt {
        Doubt::Differ => return support::mark(school, section, &[true, false]),
        Doubt::Awaiting => ReviewState::Awaiting { verdicts: BTreeSet::new() },
        Doubt::Disputed => ReviewState::Disputed { verdicts },
    };
    support::mark(school, section, &[true]);
    school.entries.get_mut(&EntryPath::Section(section)).unwrap().review = review;
}

fn within_tolerance(school: &mut duxue_document::consolidated::ConsolidatedSchool, quantity: &str) {
    let path = duxue_document::EntryPath::Quantity(support::key(quantity));
    let entry = school.entries.get_mut(&path).unwrap();
    let first = entry.candidates[0].clone();
    entry.value =
        duxue_document::consolidated::ValueState::WithinTolerance { op: first.op, value: first.value };
}

// --- The reference: no type or function of the engine below this line. ---

fn r(n: u32, d: u32) -> R {
    Ratio::new(n.into(), d.into())
}

/// Thresholds of the seven items by stage.
fn limits(stage: Stage) -> [R; 7] {
    match stage {
        Stage::Primary => [r(42, 10), r(1, 1), r(9, 10), r(45, 10), r(75, 10), r(2000, 1), r(23, 10)],
        Stage::Junior => [r(53, 10), r(1, 1), r(9, 10), r(58, 10), r(102, 10), r(2500, 1), r(24, 10)],
    }
}

struct RowReference {
    pupils: u32,
    items: [R; 7],
    passes: bool,
}

fn row_reference(
    kind: SchoolKind,
    rural: bool,
    figures: &BTreeMap<&str, u32>,
    stage: Stage,
    relief: bool,
) -> Option<RowReference> {
    let (primary, junior, senior) = match kind {
        SchoolKind::Primary | SchoolKind::TeachingPoint => (true, false, false),
        SchoolKind::Junior => (false, true, false),
        SchoolKind::NineYear => (true, true, false),
        SchoolKind::TwelveYear => (true, true, true),
        _ => (false, true, true),
    };
    let get = |quantity: &str| figures[quantity];
    let of = |has: bool, part: &str| if has { get(&format!("pupils:{part}")) } else { 0 };
    let (a, b, c) = (of(primary, "primary"), of(junior, "junior"), of(senior, "senior"));
    let (pupils, name, weight) = match stage {
        Stage::Primary => (a, "primary", r(1, 1)),
        Stage::Junior => (b, "junior", r(11, 10)),
    };
    if pupils == 0 || (kind == SchoolKind::TeachingPoint && a < 50) {
        return None;
    }
    let weighted = r(a, 1) + r(b, 1) * r(11, 10) + r(c, 1) * r(132, 100);
    let split = |total: R| total * &weight / &weighted;
    let staged = |quantity: &str| r(get(&format!("{quantity}:{name}")) * 100, pupils);
    let mut pe = staged("teachers_pe_art");
    if relief && rural && (50..100).contains(&(a + b)) {
        pe += staged("teachers_pe_art_shared");
    }
    let whole = |quantity: &str| r(get(quantity), 1);
    let (teaching, indoor) = (whole("teaching_area_m2"), whole("indoor_sports_area_m2"));
    let classrooms = if teaching > indoor { teaching - &indoor } else { R::zero() };
    let items = [
        staged("teachers_above_required_degree"),
        staged("teachers_backbone"),
        pe,
        split(classrooms),
        split(whole("outdoor_sports_area_m2") + indoor),
        split(whole("equipment_value_yuan")),
        split(whole("multimedia_rooms")) * r(100, 1),
    ];
    let met = items.iter().zip(limits(stage)).filter(|(item, limit)| *item >= limit).count();
    let floor = items.iter().zip(limits(stage)).all(|(item, limit)| *item >= limit * r(85, 100));
    Some(RowReference { pupils, items, passes: met >= 6 && floor })
}

/// Σ (P/N)·(x − X̄)² ≤ (c·X̄)², by the handout's own formula.
fn coefficient_met(rows: &[RowReference], item: usize, stage: Stage) -> bool {
    let all: R = rows.iter().map(|row| r(row.pupils, 1)).sum();
    let mean: R = rows.iter().map(|row| &row.items[item] * r(row.pupils, 1)).sum::<R>() / &all;
    let square: R = rows
        .iter()
        .map(|row| {
            let d = &row.items[item] - &mean;
            r(row.pupils, 1) / &all * &d * &d
        })
        .sum();
    let c = if stage == Stage::Primary { r(50, 100) } else { r(45, 100) };
    square <= (&c * &mean) * (&c * &mean)
}

/// Whether rows, coefficients and A1 hold, by name.
fn reference(schools: &[(SchoolKind, bool, BTreeMap<&str, u32>)], relief: bool) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    let mut a1 = true;
    for (stage, name) in [(Stage::Primary, "primary"), (Stage::Junior, "junior")] {
        let mut rows = Vec::new();
        for (number, (kind, rural, figures)) in schools.iter().enumerate() {
            let has = match stage {
                Stage::Primary => !matches!(kind, SchoolKind::Junior | SchoolKind::CompleteSecondary),
                Stage::Junior => !matches!(kind, SchoolKind::Primary | SchoolKind::TeachingPoint),
            };
            if !has {
                continue;
            }
            let Some(row) = row_reference(*kind, *rural, figures, stage, relief) else { continue };
            a1 &= row.passes;
            all.insert(format!("{number}/rule/{name}"), row.passes);
            for (item, limit) in
                row.items.iter().zip(limits(stage)).map(|(i, l)| *i >= l).zip(1..).map(|(m, n)| (n, m))
            {
                all.insert(format!("{number}/L{item}/{name}"), limit);
            }
            rows.push(row);
        }
        for item in 0..7 {
            if !rows.is_empty() {
                // A coefficient that passes without the relief needs none.
                let met = coefficient_met(&rows, item, stage);
                all.insert(format!("CV/L{}/{name}", item + 1), met);
            }
        }
    }
    all.insert("A1 rows".to_owned(), a1);
    all
}

// --- End of the reference. ---

fn assessor_of(sketches: &[Sketch], as_of: &str) -> Assessor {
    let mut assessor = Assessor::new(youzhi(), as_of);
    for (sketch, number) in sketches.iter().zip(0..) {
        assessor.set_school(sketch.input(assessor.standard(), number));
    }
    assessor
}

/// Every claim of the engine by the reference's names.
fn claims(assessor: &Assessor, county: &CountyAssessment) -> BTreeMap<String, Outcome> {
    let mut all = BTreeMap::new();
    for (number, id) in assessor.inputs().keys().enumerate() {
        for row in &assessor.school(id).unwrap().stages {
            let stage = row.stage.part().as_str();
            if let Some(rule) = &row.rule {
                all.insert(format!("{number}/rule/{stage}"), rule.outcome);
            }
            for result in &row.indicators {
                all.insert(format!("{number}/{}/{stage}", result.id), result.outcome);
            }
        }
    }
    for summary in &county.stages {
        let stage = summary.stage.part().as_str();
        for coefficient in &summary.coefficients {
            if let Some(outcome) = coefficient.outcome {
                all.insert(format!("CV/{}/{stage}", coefficient.id), outcome);
            }
        }
    }
    all
}

fn check_claims(sketches: &[Sketch], picks: &[Vec<Vec<u32>>], as_of: &str) -> Result<(), TestCaseError> {
    let assessor = assessor_of(sketches, as_of);
    let county = assessor.county();
    let claims = claims(&assessor, &county);
    let relief_in_force = as_of < "2022";
    for completion in picks {
        let complete: Vec<_> = sketches
            .iter()
            .zip(completion)
            .map(|(sketch, picks)| (KINDS[sketch.kind], sketch.rural, sketch.complete(picks)))
            .collect();
        let strict = reference(&complete, false);
        let eased = if relief_in_force { reference(&complete, true) } else { strict.clone() };
        for (name, claim) in &claims {
            // A row may turn out not to count; then nothing is claimed of it.
            let (Some(strict), Some(eased)) = (strict.get(name), eased.get(name)) else { continue };
            let eased = *strict || *eased;
            let holds = match claim {
                Outcome::Met => *strict,
                Outcome::Conditional => eased,
                Outcome::NotMet => !eased,
                Outcome::Undetermined => true,
            };
            prop_assert!(holds, "{name}: claimed {claim:?}, but {strict}/{eased} for {complete:?}");
        }
        let passes = |all: &BTreeMap<String, bool>| {
            all.iter().filter(|(name, _)| name.starts_with("CV") || *name == "A1 rows").all(|(_, met)| *met)
        };
        let claim = county.dimension("A1").unwrap().outcome;
        let a1 = passes(&strict);
        prop_assert!(claim != Outcome::Met || a1, "A1 claimed met for {complete:?}");
        if !relief_in_force {
            prop_assert!(claim != Outcome::NotMet || !a1, "A1 claimed not met for {complete:?}");
        }
    }
    Ok(())
}

fn tally(outcomes: impl Iterator<Item = Outcome>) -> Tally {
    let mut tally = Tally::default();
    for outcome in outcomes {
        tally.all += 1;
        *match outcome {
            Outcome::Met => &mut tally.met,
            Outcome::Conditional => &mut tally.conditional,
            Outcome::NotMet => &mut tally.not_met,
            Outcome::Undetermined => &mut tally.undetermined,
        } += 1;
    }
    tally
}

fn picks(schools: usize) -> impl Strategy<Value = Vec<Vec<Vec<u32>>>> {
    let school = prop::collection::vec(any::<u32>(), QUANTITIES.len());
    prop::collection::vec(prop::collection::vec(school, schools), 12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is claimed holds for every way in which what is open or
    /// missing may turn out.
    #[test]
    fn claims_hold_for_every_completion(
        sketches in county_of(12, 1..5),
        picks in picks(4),
        early in any::<bool>(),
    ) {
        check_claims(&sketches, &picks, if early { "2021-09-01" } else { "2026-09-01" })?;
    }

    /// The same where so much is open that only outer bounds are used.
    #[test]
    fn claims_hold_beyond_enumeration(sketches in county_of(50, 6..9), picks in picks(8)) {
        check_claims(&sketches, &picks, "2026-09-01")?;
    }

    /// On complete data every result is determined and equals the reference.
    #[test]
    fn complete_data_decides_everything(sketches in county_of(0, 1..6), early in any::<bool>()) {
        let as_of = if early { "2021-09-01" } else { "2026-09-01" };
        let sketches: Vec<Sketch> = sketches
            .into_iter()
            .map(|sketch| {
                let figures = sketch.figures.iter().map(|known| match known {
                    Known::Conflict(values, _) => Known::Declared(values[0]),
                    Known::Marked(items, ..) => Known::Declared(*items),
                    other => other.clone(),
                });
                Sketch { figures: figures.collect(), ..sketch }
            })
            .collect();
        let assessor = assessor_of(&sketches, as_of);
        let claims = claims(&assessor, &assessor.county());
        let zeros = vec![0; QUANTITIES.len()];
        let complete: Vec<_> =
            sketches.iter().map(|s| (KINDS[s.kind], s.rural, s.complete(&zeros))).collect();
        let (strict, eased) = (reference(&complete, false), reference(&complete, early));
        for (name, met) in strict.iter().filter(|(name, _)| *name != "A1 rows") {
            let expected = match (met, eased[name]) {
                (true, _) => Outcome::Met,
                (false, true) => Outcome::Conditional,
                (false, false) => Outcome::NotMet,
            };
            prop_assert_eq!(claims.get(name), Some(&expected), "{} of {:?}", name, complete);
        }
    }

    /// Schools in any order, changed and removed and put back: the bytes of a
    /// fresh assessment.
    #[test]
    fn incremental_equals_whole(
        sketches in county_of(10, 2..6),
        others in county_of(10, 6..7),
        steps in prop::collection::vec((0_usize..6, 0_u8..4), 1..12),
    ) {
        let standard = youzhi();
        let mut assessor = Assessor::new(standard.clone(), "2021-09-01");
        let mut now: BTreeMap<usize, SchoolInput> = BTreeMap::new();
        for (number, sketch) in sketches.iter().enumerate() {
            let input = sketch.input(&standard, u32::try_from(number).unwrap());
            assessor.set_school(input.clone());
            now.insert(number, input);
        }
        for (number, what) in steps {
            let id = support::school_id(u32::try_from(number).unwrap());
            if what == 3 {
                // Reasons that were read are not kept beyond what they are of.
                drop(assessor.assessment());
            }
            if what == 0 {
                assessor.remove_school(&id);
                now.remove(&number);
            } else {
                let mut input = others[number].input(&standard, u32::try_from(number).unwrap());
                // A branch of the next school, sometimes in a ring.
                input.school.parent = (what == 1).then(|| support::school_id(u32::try_from((number + 1) % 6).unwrap()));
                assessor.set_school(input.clone());
                now.insert(number, input);
            }
        }
        let mut fresh = Assessor::new(standard, "2021-09-01");
        for input in now.into_values().rev() {
            fresh.set_school(input);
        }
        prop_assert_eq!(assessor.assessment().to_json(), fresh.assessment().to_json());
    }

    /// What the county counts is what each school is told when its assessment
    /// is read, reasons and all.
    #[test]
    fn the_county_counts_what_its_schools_are_told(sketches in county_of(50, 1..6), early in any::<bool>()) {
        let as_of = if early { "2021-09-01" } else { "2026-09-01" };
        let assessment = assessor_of(&sketches, as_of).assessment();
        for summary in &assessment.county.stages {
            let rows = assessment.schools.iter().flat_map(|school| &school.stages);
            let rows: Vec<_> =
                rows.filter(|row| row.stage == summary.stage && row.counts != Some(false)).collect();
            prop_assert_eq!(summary.rows + summary.rows_open, rows.len());
            for item in &summary.items {
                let told = rows.iter().filter_map(|row| match item.id.as_str() {
                    "rule" => row.rule.as_ref().map(|rule| rule.outcome),
                    id => row.indicators.iter().find(|result| result.id == id).map(|result| result.outcome),
                });
                prop_assert_eq!(tally(told), item.tally, "{}", item.id);
            }
        }
        for item in &assessment.county.school_indicators {
            let told = assessment.schools.iter().filter_map(|school| school.indicator(&item.id, None));
            prop_assert_eq!(tally(told.map(|result| result.outcome)), item.tally, "{}", item.id);
        }
    }

    /// More of a resource never turns a met item into one not met.
    #[test]
    fn more_is_never_worse(sketch in sketch(0), quantity in 3..16_usize, more in 1_u32..50) {
        prop_assume!(QUANTITIES[quantity].0 != "indoor_sports_area_m2");
        let mut richer = sketch.clone();
        if let Known::Declared(value) = &mut richer.figures[quantity] {
            *value += more;
        }
        let (before, after) = (assessor_of(&[sketch], "2026-09-01"), assessor_of(&[richer], "2026-09-01"));
        let (old, new) = (claims(&before, &before.county()), claims(&after, &after.county()));
        for (name, outcome) in old.iter().filter(|(name, _)| !name.starts_with("CV")) {
            prop_assert!(new[name] >= *outcome, "{name}: {outcome:?} became {:?}", new[name]);
        }
    }
}
