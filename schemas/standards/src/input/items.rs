//! Figures made of items: rooms, classes, grounds, equipment. Removals,
//! duplicates and conflicts in their fields become variables.

use duxue_document::collections::BTreeSet;

use duxue_document::consolidated::{ConsolidatedSchool, Item, Removal, fields};
use duxue_document::path::{ItemKey, ItemKind};
use duxue_document::school::Stage;
use duxue_document::{EntryPath, FieldId, Value};

use super::entry::{Entries, Read, flag, number, text};
use crate::figure::{
    Bounds, Figure, Gap, Source, Subject, Term, Thing, Variable, VariableIndex, VariableOption,
};
use crate::number::Amount;
use crate::standard::ItemRule;

/// Beyond so many combinations in one term, bounds around all of them are kept.
const MOST_CASES: usize = 4096;
/// A register that claims more rooms than this is not believed.
const MOST_ROOMS: i128 = 10_000;

/// A figure of one register.
pub(super) fn single(read: &Read, bound: Option<Amount>, value: impl Fn(&Value) -> Option<Amount>) -> Figure {
    let mut figure = Figure::of_things(Source::ObservedRegister, Vec::new());
    let unknown = Thing::unknown(bound);
    let mut cases = Vec::new();
    for option in &read.options {
        let thing = value(option).map(Thing::exactly);
        if thing.is_none() {
            figure.gaps.insert(Gap::NotAValue);
        }
        cases.push(vec![thing.unwrap_or(unknown)]);
    }
    match read.variable {
        Some(variable) => {
            figure.open.push(Term { variables: vec![variable], options: vec![cases.len()], cases });
        }
        None => figure.fixed = cases.pop().unwrap_or_else(|| vec![unknown]),
    }
    figure.gaps.extend(read.entry.gap);
    figure.entries.push(read.entry.clone());
    figure
}

/// Turns a number of rooms into so many rooms of unknown area. A number that is
/// not believed is any number.
pub(super) fn as_rooms(figure: &mut Figure) {
    let mut believed = true;
    let mut rooms = |things: &mut Vec<Thing>| {
        let number =
            things.iter().map(|thing| thing.size.value().and_then(Amount::as_whole)).sum::<Option<i128>>();
        *things = match number.filter(|number| (0..=MOST_ROOMS).contains(number)) {
            Some(number) => {
                let room = Thing { certain: true, size: Bounds::unknown(None), many: false };
                vec![room; usize::try_from(number).unwrap_or_default()]
            }
            None => {
                believed = false;
                vec![Thing::unknown(None)]
            }
        };
    };
    rooms(&mut figure.fixed);
    figure.open.iter_mut().flat_map(|term| &mut term.cases).for_each(&mut rooms);
    if !believed && figure.gaps.is_empty() {
        figure.gaps.insert(Gap::NotAValue);
    }
}

/// The figure that the items of a school make.
pub(super) fn figure(
    school: &ConsolidatedSchool,
    rule: ItemRule,
    stage: Option<Stage>,
    entries: &mut Entries,
) -> Figure {
    let (kind, wanted): (ItemKind, &[&str]) = match rule {
        ItemRule::MultimediaRooms => (ItemKind::Rooms, &[fields::MULTIMEDIA]),
        ItemRule::Rooms { .. } => (ItemKind::Rooms, &[fields::IDENTITY, fields::SIZE]),
        ItemRule::ClassCount => (ItemKind::Classes, &[fields::IDENTITY]),
        ItemRule::ClassSizes | ItemRule::ClassPupils => {
            (ItemKind::Classes, &[fields::IDENTITY, fields::PUPILS])
        }
        ItemRule::EquipmentValue => (ItemKind::Equipment, &[fields::COUNT, fields::UNIT_VALUE]),
        ItemRule::Grounds { .. } => (ItemKind::Grounds, &[fields::IDENTITY, fields::SIZE]),
    };
    let mut figure = Figure::of_things(Source::ObservedItems, Vec::new());
    for group in groups(school, kind) {
        let group = Group::read(school, &group, wanted, entries);
        group.add_to(&mut figure, &|values| measure(rule, stage, values), entries);
    }
    figure
}

/// What an item is worth, given its fields (`None`: not known). `None` if it
/// is not of the kind asked for.
fn measure(rule: ItemRule, stage: Option<Stage>, values: &[Option<&Value>]) -> Option<Thing> {
    let first = values.first().copied().flatten();
    let second = values.get(1).copied().flatten();
    let sized = |certain: bool, size: Option<Amount>| {
        Some(Thing { certain, size: size.map_or(Bounds::unknown(None), Bounds::exactly), many: false })
    };
    // Of the kind asked for: certainly, possibly (the field is not known), or not.
    let certain = |field: &str, fits: &dyn Fn(&str) -> bool| match first.and_then(|value| text(value, field))
    {
        Some(word) => fits(word).then_some(true),
        None => Some(false),
    };
    let of_stage = || certain("stage", &|word| stage.is_none_or(|stage| word == stage.part().as_str()));
    match rule {
        ItemRule::MultimediaRooms => match first.and_then(|value| flag(value, "value")) {
            Some(true) => sized(true, Some(Amount::ONE)),
            Some(false) => None,
            None => sized(false, Some(Amount::ONE)),
        },
        ItemRule::Rooms { purpose } => {
            let wanted = serde_json::to_value(purpose).ok()?;
            sized(certain("purpose", &|word| wanted.as_str() == Some(word))?, second.and_then(area))
        }
        ItemRule::ClassCount => sized(of_stage()?, Some(Amount::ONE)),
        ItemRule::ClassSizes | ItemRule::ClassPupils => {
            let pupils = second.and_then(|value| number(value, "value")).map(Amount::from);
            sized(of_stage()?, pupils.filter(|n| *n >= Amount::ZERO && n.as_whole().is_some()))
        }
        ItemRule::EquipmentValue => {
            let count = first.and_then(|value| number(value, "value")).filter(|n| !n.is_negative());
            let price = second.and_then(|value| number(value, "value_yuan")).filter(|n| !n.is_negative());
            let value = count.zip(price).and_then(|(count, price)| Amount::product(count, price));
            let nothing = [count, price].contains(&Some(duxue_document::Decimal::ZERO));
            sized(true, if nothing { Some(Amount::ZERO) } else { value })
        }
        ItemRule::Grounds { outdoor, onsite, leased } => {
            let fits = |word: &str| match word {
                "outdoor" => outdoor,
                "rooftop" | "basement" => onsite,
                "leased" => leased,
                _ => false,
            };
            sized(certain("kind", &fits)?, second.and_then(area))
        }
    }
}

/// Length × width, or the area itself.
fn area(value: &Value) -> Option<Amount> {
    let area = number(value, "area_m2").filter(|n| !n.is_negative()).map(Amount::from);
    let length = number(value, "length_m").filter(|n| !n.is_negative());
    let width = number(value, "width_m").filter(|n| !n.is_negative());
    area.or_else(|| Amount::product(length?, width?))
}

/// Items joined by possible duplicates; most groups have one item.
fn groups(school: &ConsolidatedSchool, kind: ItemKind) -> Vec<BTreeSet<ItemKey>> {
    let mut groups: Vec<BTreeSet<ItemKey>> = Vec::new();
    for duplicate in school.duplicates.iter().filter(|duplicate| duplicate.kind == kind) {
        let mut joined: BTreeSet<ItemKey> =
            duplicate.items.iter().map(|item| ItemKey { kind, item: item.clone() }).collect();
        joined.retain(|key| school.items.get(key).is_some_and(|item| item.removal != Removal::Removed));
        let (touching, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| !group.is_disjoint(&joined));
        joined.extend(touching.into_iter().flatten());
        groups = apart;
        groups.push(joined);
    }
    let grouped: BTreeSet<ItemKey> = groups.iter().flatten().cloned().collect();
    let alone = school.items.iter().filter(|(key, item)| {
        item.kind == kind && item.removal != Removal::Removed && !grouped.contains(*key)
    });
    groups.extend(alone.map(|(key, _)| BTreeSet::from([key.clone()])));
    groups.retain(|group| !group.is_empty());
    groups.sort();
    groups
}

/// One item of a group.
struct Member<'a> {
    removal: Option<VariableIndex>,
    fields: Vec<Option<Read<'a>>>,
}

struct Group<'a> {
    members: Vec<Member<'a>>,
    /// Whether they are one thing.
    duplicate: Option<VariableIndex>,
}

impl<'a> Group<'a> {
    fn read(
        school: &'a ConsolidatedSchool,
        group: &BTreeSet<ItemKey>,
        wanted: &[&str],
        entries: &mut Entries,
    ) -> Self {
        let duplicate = (group.len() > 1).then(|| {
            let subject = Subject::Duplicate { items: group.clone() };
            entries.variable(words(subject, ["separate", "merge"]))
        });
        let items = group.iter().filter_map(|key| Some((key, school.items.get(key)?)));
        let members = items.map(|(key, item)| Member::read(key, item, wanted, entries)).collect();
        Self { members, duplicate }
    }

    fn variables(&self) -> BTreeSet<VariableIndex> {
        let reads = self.members.iter().flat_map(|member| &member.fields).flatten();
        let fields = reads.filter_map(|read| read.variable);
        let removals = self.members.iter().filter_map(|member| member.removal);
        self.duplicate.into_iter().chain(fields).chain(removals).collect()
    }

    fn add_to(&self, figure: &mut Figure, measure: &Measure, entries: &Entries) {
        let variables: Vec<_> = self.variables().into_iter().collect();
        let options: Vec<usize> = variables.iter().map(|v| entries.variables[*v].options.len()).collect();
        let number = options.iter().try_fold(1_usize, |n, o| n.checked_mul(*o)).filter(|n| *n <= MOST_CASES);
        let Some(number) = number else {
            let rough = self.rough(measure);
            self.note(figure, !rough.is_empty());
            figure.fixed.extend(rough);
            return;
        };
        let case = |index| self.things(&decode(index, &variables, &options), measure);
        let mut cases: Vec<Vec<Thing>> = (0..number).map(case).collect();
        let counts = cases.iter().any(|things| !things.is_empty());
        self.note(figure, counts);
        if variables.is_empty() {
            figure.fixed.append(&mut cases[0]);
        } else if counts {
            figure.open.push(Term { variables, options, cases });
        }
    }

    /// Names the entries behind items that count.
    fn note(&self, figure: &mut Figure, counts: bool) {
        let reads = self.members.iter().flat_map(|member| &member.fields);
        for read in reads.filter(|_| counts) {
            match read {
                Some(read) => {
                    figure.gaps.extend(read.entry.gap);
                    figure.entries.push(read.entry.clone());
                }
                None => _ = figure.gaps.insert(Gap::NotCaptured),
            }
        }
    }

    fn things(&self, choice: &[(VariableIndex, usize)], measure: &Measure) -> Vec<Thing> {
        let chosen =
            |variable: VariableIndex| choice.iter().find(|(v, _)| *v == variable).map_or(0, |(_, o)| *o);
        let merged = self.duplicate.is_some_and(|variable| chosen(variable) == 1);
        if merged {
            return self.merged(measure);
        }
        let present = self.members.iter().filter(|member| member.removal.is_none_or(|v| chosen(v) == 1));
        present
            .filter_map(|member| {
                let values: Vec<_> = member
                    .fields
                    .iter()
                    .map(|read| {
                        let read = read.as_ref()?;
                        read.options.get(read.variable.map_or(0, chosen)).copied()
                    })
                    .collect();
                measure(&values)
            })
            .collect()
    }

    /// The items as one: each field may have any member's value, so bounds
    /// around all of them. Of more than two, some may still be apart.
    fn merged(&self, measure: &Measure) -> Vec<Thing> {
        let Some(hull) = self.hull(measure) else { return Vec::new() };
        let removable = self.members.iter().any(|member| member.removal.is_some());
        let mut things = vec![Thing { certain: hull.certain && !removable, ..hull }];
        things.resize(self.members.len() - 1, Thing { certain: false, ..hull });
        things
    }

    /// Every item with bounds around whatever it may be.
    fn rough(&self, measure: &Measure) -> Vec<Thing> {
        let Some(hull) = self.hull(measure) else { return Vec::new() };
        vec![Thing { certain: false, ..hull }; self.members.len()]
    }

    /// Bounds around what one item may be that has any member's value in each field.
    fn hull(&self, measure: &Measure) -> Option<Thing> {
        let fields = self.members.first()?.fields.len();
        let mut choices: Vec<Vec<Option<&Value>>> = vec![Vec::new()];
        for field in 0..fields {
            let reads: Vec<_> =
                self.members.iter().filter_map(|member| member.fields[field].as_ref()).collect();
            let unknown = reads.is_empty() || reads.iter().any(|read| read.options.is_empty());
            let mut values: Vec<Option<&Value>> =
                reads.iter().flat_map(|read| read.options.iter().copied().map(Some)).collect();
            values.dedup();
            if unknown || choices.len() * values.len() > MOST_CASES {
                values = vec![None];
            }
            choices = choices
                .iter()
                .flat_map(|chosen| values.iter().map(move |value| [chosen.as_slice(), &[*value]].concat()))
                .collect();
        }
        let things: Vec<Option<Thing>> = choices.iter().map(|values| measure(values)).collect();
        let always = things.iter().all(Option::is_some);
        let hull = things.into_iter().flatten().reduce(|a, b| Thing {
            certain: a.certain && b.certain,
            size: a.size.around(b.size),
            many: false,
        })?;
        Some(Thing { certain: hull.certain && always, ..hull })
    }
}

type Measure<'m> = dyn Fn(&[Option<&Value>]) -> Option<Thing> + 'm;

impl<'a> Member<'a> {
    fn read(key: &ItemKey, item: &'a Item, wanted: &[&str], entries: &mut Entries) -> Self {
        let removal = matches!(item.removal, Removal::EditedAfterRemoval { .. })
            .then(|| entries.variable(words(Subject::Removal { item: key.clone() }, ["removed", "present"])));
        let fields = wanted
            .iter()
            .map(|field| {
                let field = FieldId::new(*field).ok()?;
                let entry = item.fields.get(&field)?;
                let path = EntryPath::Item { kind: key.kind, item: key.item.clone(), field };
                entries.read(&path, entry)
            })
            .collect();
        Self { removal, fields }
    }
}

fn words(subject: Subject, words: [&str; 2]) -> Variable {
    let option = |word: &str| VariableOption { ops: BTreeSet::new(), word: Some(word.to_owned()) };
    Variable { subject, within_tolerance: false, options: words.map(option).to_vec() }
}

/// The options of a combination by its number, the last variable fastest.
fn decode(index: usize, variables: &[VariableIndex], options: &[usize]) -> Vec<(VariableIndex, usize)> {
    let mut rest = index;
    let mut chosen = Vec::with_capacity(variables.len());
    for (variable, options) in variables.iter().zip(options).rev() {
        chosen.push((*variable, rest % options));
        rest /= options;
    }
    chosen
}
