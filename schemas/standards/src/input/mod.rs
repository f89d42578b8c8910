//! Consolidated data as inputs of the rules: every figure with its source, the
//! entries behind it, what is open and what is missing (DESIGN §4).

mod entry;
mod items;
mod mark;

use duxue_document::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use duxue_document::consolidated::{ConsolidatedCounty, ConsolidatedSchool, Entry};
use duxue_document::path::Section;
use duxue_document::school::{Declared, FigureKey, Part, School, SchoolKind, Stage};
use duxue_document::{Decimal, EntryPath, QuantityId, QuestionId};

use crate::figure::{Beside, Bounds, Figure, Gap, SharedFigure, Source, Thing, Variable};
use crate::number::Amount;
use crate::standard::{ItemRule, Level, Quantity, SourceKind, Standard, Text};

use entry::Entries;
use mark::{Mark, OpenMark};

/// Settings of the round that decide what counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSettings {
    /// Largest difference between declared and observed without an alarm, by
    /// quantity; where absent, the standard's.
    pub tolerance: BTreeMap<QuantityId, Decimal>,
}

/// Something that looks wrong and that someone should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Stable code: `declared.differs`, `implausible`, `part.unknown`.
    pub code: &'static str,
    /// The figure.
    pub key: FigureKey,
    /// For people.
    pub text: Text,
}

/// How much of what counts a supervisor has looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Observed entries behind the figures.
    pub entries: usize,
    /// Those on which no verdict holds.
    pub unreviewed: usize,
}

/// The figures of a school, shared with the assessments made from them.
pub type SharedFigures = Arc<BTreeMap<FigureKey, SharedFigure>>;

/// What the rules know of one school (or branch site).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchoolInput {
    /// The register row.
    pub school: School,
    /// Figures by quantity and part.
    pub figures: SharedFigures,
    /// Answers as figures: 1 is yes, 0 is no.
    pub answers: BTreeMap<QuestionId, SharedFigure>,
    /// Open conflicts.
    pub variables: Vec<Variable>,
    /// What looks wrong.
    pub alarms: Vec<Alarm>,
    /// How much was looked at.
    pub review: Review,
}

/// What the rules know of the county itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CountyInput {
    /// Figures, all with part `whole`.
    pub figures: BTreeMap<FigureKey, SharedFigure>,
    /// Answers as figures: 1 is yes, 0 is no.
    pub answers: BTreeMap<QuestionId, SharedFigure>,
    /// Open conflicts.
    pub variables: Vec<Variable>,
    /// What looks wrong.
    pub alarms: Vec<Alarm>,
}

impl CountyInput {
    /// Whether a figure or answer, with the conflicts that it depends on, is
    /// the same in another input.
    pub(crate) fn is_same_in(&self, other: &Self, key: &FigureKey) -> bool {
        let question = QuestionId::new(key.quantity.as_str()).ok();
        let get = |input: &Self| -> Option<SharedFigure> {
            let answer = || input.answers.get(question.as_ref()?);
            input.figures.get(key).or_else(answer).cloned()
        };
        let (own, others) = (get(self), get(other));
        let variables = |input: &Self| -> Vec<Option<Variable>> {
            let open = own.iter().flat_map(|figure| figure.variables());
            open.map(|variable| input.variables.get(variable).cloned()).collect()
        };
        own == others && variables(self) == variables(other)
    }
}

/// The parts that a school has: by its kind, and attached.
#[must_use]
pub fn parts_of(school: &School) -> BTreeSet<Part> {
    let own: &[Part] = match school.kind {
        SchoolKind::Primary | SchoolKind::TeachingPoint => &[Part::Primary],
        SchoolKind::Junior => &[Part::Junior],
        SchoolKind::NineYear => &[Part::Primary, Part::Junior],
        SchoolKind::TwelveYear => &[Part::Primary, Part::Junior, Part::Senior],
        SchoolKind::CompleteSecondary => &[Part::Junior, Part::Senior],
        SchoolKind::Senior | SchoolKind::Vocational => &[Part::Senior],
        SchoolKind::Special => &[Part::Special],
    };
    own.iter().copied().chain(school.attached.iter().copied()).filter(|part| *part != Part::Whole).collect()
}

/// Reads a consolidated school.
#[must_use]
pub fn school_input(
    standard: &Standard,
    school: &ConsolidatedSchool,
    settings: &InputSettings,
) -> SchoolInput {
    let mut entries = Entries::new();
    let mut reader = Reader {
        declared: &school.declared,
        registers: &school.entries,
        complete: &school.complete,
        items: Some(school),
        settings,
        entries: &mut entries,
        alarms: Vec::new(),
        missing: BTreeMap::new(),
    };
    let parts = parts_of(&school.school);
    let own = standard.quantities.values().filter(|quantity| !quantity.county);
    let keys = own.flat_map(|quantity| {
        let parts = quantity.parts.iter().filter(|part| **part == Part::Whole || parts.contains(part));
        parts.map(move |part| (quantity, FigureKey { quantity: quantity.id.clone(), part: *part }))
    });
    let figures: BTreeMap<_, _> = keys
        .map(|(quantity, key)| {
            let figure = reader.figure(quantity, &key);
            (key, figure)
        })
        .collect();
    reader.unknown_parts(standard, &figures);
    let questions = standard.questions().into_iter().filter(|(_, level, _)| *level != Level::County);
    let answers = questions
        .map(|(id, ..)| {
            let answer = reader.answer(&id);
            (id, answer)
        })
        .collect();
    let alarms = reader.alarms;
    let review = review(figures.values().chain(BTreeMap::values(&answers)));
    SchoolInput {
        school: school.school.clone(),
        figures: Arc::new(figures),
        answers,
        variables: entries.variables,
        alarms,
        review,
    }
}

/// Reads the county's figures and answers.
#[must_use]
pub fn county_input(standard: &Standard, county: &ConsolidatedCounty) -> CountyInput {
    let (declared, registers) = (&county.declared, &county.entries);
    let settings = InputSettings::default();
    let mut entries = Entries::new();
    let complete = BTreeSet::new();
    let mut reader = Reader {
        declared,
        registers,
        complete: &complete,
        items: None,
        settings: &settings,
        entries: &mut entries,
        alarms: Vec::new(),
        missing: BTreeMap::new(),
    };
    let mut figures = BTreeMap::new();
    for quantity in standard.quantities.values().filter(|quantity| quantity.county) {
        let key = FigureKey { quantity: quantity.id.clone(), part: Part::Whole };
        let figure = reader.figure(quantity, &key);
        figures.insert(key, figure);
    }
    let questions = standard.questions().into_iter().filter(|(_, level, _)| *level == Level::County);
    let answers = questions
        .map(|(id, ..)| {
            let answer = reader.answer(&id);
            (id, answer)
        })
        .collect();
    let alarms = reader.alarms;
    CountyInput { figures, answers, variables: entries.variables, alarms }
}

fn review<'a>(figures: impl Iterator<Item = &'a SharedFigure>) -> Review {
    let mut seen = BTreeSet::new();
    let mut unreviewed = 0;
    for entry in figures.flat_map(|figure| &figure.entries) {
        if seen.insert(&entry.path) && entry.unreviewed {
            unreviewed += 1;
        }
    }
    Review { entries: seen.len(), unreviewed }
}

/// Reads figures from one school's or the county's consolidated data.
struct Reader<'a> {
    declared: &'a Declared,
    registers: &'a BTreeMap<EntryPath, Entry>,
    complete: &'a BTreeSet<Section>,
    items: Option<&'a ConsolidatedSchool>,
    settings: &'a InputSettings,
    entries: &'a mut Entries,
    alarms: Vec<Alarm>,
    /// What is missing of a bound: there is much of it, and it is all the same.
    missing: BTreeMap<Option<Amount>, SharedFigure>,
}

impl Reader<'_> {
    fn missing(&mut self, bound: Option<Amount>) -> SharedFigure {
        let missing = || Arc::new(Figure::missing(bound));
        Arc::clone(self.missing.entry(bound).or_insert_with(missing))
    }

    /// The figure from the first source that has something.
    fn figure(&mut self, quantity: &Quantity, key: &FigureKey) -> SharedFigure {
        let mut found: Option<Figure> = None;
        let mut doubtful: Option<(OpenMark, Figure)> = None;
        let mut beside = Vec::new();
        for source in &quantity.sources {
            let figure = match source {
                SourceKind::Register => self.register(quantity, key),
                SourceKind::Items => match self.items(quantity, key) {
                    Some((Mark::Complete, figure)) => Some(figure),
                    Some((Mark::Open(mark), figure)) if found.is_none() && doubtful.is_none() => {
                        doubtful = Some((mark, figure));
                        None
                    }
                    _ => None,
                },
                SourceKind::Declared => self.declared(quantity, key),
            };
            match (&found, figure) {
                (None, figure) => found = figure,
                (Some(_), Some(other)) => beside.push(in_short(quantity, &other)),
                _ => {}
            }
        }
        let seen = self.seen_only(quantity, key);
        if found.is_none() && doubtful.is_none() && seen.is_none() {
            return self.missing(quantity.bound);
        }
        let mut figure = found.unwrap_or_else(|| Figure::missing(quantity.bound));
        if let Some((mark, items)) = doubtful {
            if figure.source != Source::Missing {
                beside.push(in_short(quantity, &figure));
            }
            figure = mark.between(items, figure);
        }
        beside.extend(seen);
        figure.beside = beside;
        self.compare(quantity, key, &figure);
        Arc::new(figure)
    }

    fn register(&mut self, quantity: &Quantity, key: &FigureKey) -> Option<Figure> {
        let path = EntryPath::Quantity(key.clone());
        let entry = self.registers.get(&path)?;
        let read = self.entries.read(&path, entry)?;
        let value = |value: &duxue_document::Value| value_of(quantity, entry::number(value, "value")?);
        let mut figure = items::single(&read, quantity.bound, |option| value(option));
        as_list(quantity, &mut figure);
        Some(figure)
    }

    /// What the items make, unless their section is surely not complete.
    fn items(&mut self, quantity: &Quantity, key: &FigureKey) -> Option<(Mark, Figure)> {
        let rule = quantity.items?;
        let school = self.items?;
        let mark = self.mark(rule.section());
        if matches!(mark, Mark::NotComplete) {
            return None;
        }
        Some((mark, items::figure(school, rule, stage_of(key.part), self.entries)))
    }

    fn mark(&mut self, section: Section) -> Mark {
        let entry = self.registers.get(&EntryPath::Section(section));
        Mark::read(section, entry, self.complete.contains(&section), self.entries)
    }

    fn declared(&mut self, quantity: &Quantity, key: &FigureKey) -> Option<Figure> {
        if let Some(things) = self.declared_list(quantity.items, key.part) {
            return Some(Figure::of_things(Source::Declared, things));
        }
        let declared = *self.declared.figures.get(key)?;
        let Some(value) = value_of(quantity, declared) else {
            let mut figure = Figure::missing(quantity.bound);
            figure.gaps = BTreeSet::from([Gap::NotAValue]);
            return Some(figure);
        };
        let mut figure = Figure::known(Source::Declared, value);
        as_list(quantity, &mut figure);
        Some(figure)
    }

    /// The declared list of rooms or classes, where the quantity is made of one.
    fn declared_list(&self, rule: Option<ItemRule>, part: Part) -> Option<Vec<Thing>> {
        let of_stage = |stage: Stage| stage.part() == part;
        match rule? {
            ItemRule::Rooms { purpose } => {
                let rooms = self.declared.rooms.as_ref()?.iter().filter(|room| room.purpose == purpose);
                let net = |area: Decimal| {
                    if area.is_negative() { Bounds::unknown(None) } else { Bounds::exactly(area.into()) }
                };
                Some(
                    rooms.map(|room| Thing { certain: true, size: net(room.area_m2), many: false }).collect(),
                )
            }
            ItemRule::ClassSizes => {
                let classes = self.declared.classes.as_ref()?.iter().filter(|class| of_stage(class.stage));
                Some(classes.map(|class| Thing::exactly(Amount::whole(class.pupils))).collect())
            }
            ItemRule::ClassCount if !self.declared.figures.contains_key(&count_key(part)?) => {
                let classes = self.declared.classes.as_ref()?.iter().filter(|class| of_stage(class.stage));
                Some(classes.map(|_| Thing::exactly(Amount::ONE)).collect())
            }
            _ => None,
        }
    }

    /// Items seen that do not surely count: the section is not complete, or the
    /// quantity is not made of them.
    fn seen_only(&mut self, quantity: &Quantity, key: &FigureKey) -> Option<Beside> {
        let rule = quantity.items?;
        let school = self.items.filter(|school| !school.items.is_empty())?;
        let counts = quantity.sources.contains(&SourceKind::Items)
            && matches!(self.mark(rule.section()), Mark::Complete);
        if counts {
            return None;
        }
        // Read apart, so that conflicts in items that do not count open nothing.
        let mut apart = Entries::new();
        let figure = items::figure(school, rule, stage_of(key.part), &mut apart);
        let seen = in_short(quantity, &figure);
        (seen.items > 0).then_some(seen)
    }

    fn compare(&mut self, quantity: &Quantity, key: &FigureKey, figure: &Figure) {
        let total = amount_of(quantity, figure);
        if let (Some(max), Some(high)) = (quantity.plausible_max, total.high)
            && high > max
            && list(quantity) != Some(List::Rooms)
        {
            let text = Text::new(
                format!("{}为{high},大于合理上限{max}", quantity.name.zh),
                format!("{} is {high}, above the plausible {max}", quantity.name.en),
            );
            self.alarms.push(Alarm { code: "implausible", key: key.clone(), text });
        }
        let observed = matches!(figure.source, Source::ObservedRegister | Source::ObservedItems);
        let declared = self.declared.figures.get(key).filter(|declared| !declared.is_negative());
        let (Some(declared), true) = (declared.copied().map(Amount::from), observed) else { return };
        if list(quantity).is_some() {
            return;
        }
        let tolerance =
            self.settings.tolerance.get(&quantity.id).map_or(quantity.tolerance, |t| Amount::from(*t));
        let far =
            declared.less(total.high.unwrap_or(declared)) > tolerance || total.low.less(declared) > tolerance;
        if far {
            let text = Text::new(
                format!("{}:申报{declared},现场{}", quantity.name.zh, in_words(total)),
                format!("{}: declared {declared}, on site {}", quantity.name.en, in_words(total)),
            );
            self.alarms.push(Alarm { code: "declared.differs", key: key.clone(), text });
        }
    }

    /// Figures of parts that the register does not give the school.
    fn unknown_parts(&mut self, standard: &Standard, figures: &BTreeMap<FigureKey, SharedFigure>) {
        let registers = self.registers.keys().filter_map(|path| match path {
            EntryPath::Quantity(key) => Some(key),
            _ => None,
        });
        let keys: BTreeSet<&FigureKey> = self.declared.figures.keys().chain(registers).collect();
        for key in keys {
            let known = standard.quantities.get(&key.quantity).is_some_and(|quantity| !quantity.county);
            if known && !figures.contains_key(key) {
                let text = Text::new(
                    format!("学校没有此部分,不计入:{key}"),
                    format!("the school has no such part; not counted: {key}"),
                );
                self.alarms.push(Alarm { code: "part.unknown", key: key.clone(), text });
            }
        }
    }

    /// An answer: observed, else declared, else missing (0 or 1).
    fn answer(&mut self, question: &QuestionId) -> SharedFigure {
        let path = EntryPath::Answer(question.clone());
        if let Some(entry) = self.registers.get(&path)
            && let Some(read) = self.entries.read(&path, entry)
        {
            let answer = |value: &duxue_document::Value| entry::flag(value, "value").map(truth);
            return Arc::new(items::single(&read, Some(Amount::ONE), answer));
        }
        match self.declared.answers.get(question) {
            Some(answer) => Arc::new(Figure::known(Source::Declared, truth(*answer))),
            None => self.missing(Some(Amount::ONE)),
        }
    }
}

fn truth(answer: bool) -> Amount {
    if answer { Amount::ONE } else { Amount::ZERO }
}

fn stage_of(part: Part) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| stage.part() == part)
}

fn count_key(part: Part) -> Option<FigureKey> {
    Some(FigureKey { quantity: QuantityId::new("classes").ok()?, part })
}

/// What a quantity is a list of, if it is not one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Rooms,
    Classes,
}

/// Makes one number the list that it speaks of: so many rooms, or any number of
/// classes of which it is the largest.
pub(crate) fn as_list(quantity: &Quantity, figure: &mut Figure) {
    match list(quantity) {
        Some(List::Rooms) => items::as_rooms(figure),
        Some(List::Classes) => {
            let open = figure.open.iter_mut().flat_map(|term| &mut term.cases).flatten();
            figure.fixed.iter_mut().chain(open).for_each(|thing| thing.many = true);
        }
        None => {}
    }
}

/// Whether a quantity is a list.
pub(crate) fn list(quantity: &Quantity) -> Option<List> {
    match quantity.items? {
        ItemRule::Rooms { .. } => Some(List::Rooms),
        ItemRule::ClassSizes => Some(List::Classes),
        _ => None,
    }
}

/// A value that the quantity can have at all.
fn value_of(quantity: &Quantity, value: Decimal) -> Option<Amount> {
    quantity.takes(value).then(|| Amount::from(value))
}

fn in_short(quantity: &Quantity, figure: &Figure) -> Beside {
    let items = figure.fixed.len() + figure.open.len();
    Beside { source: figure.source, value: amount_of(quantity, figure), items }
}

/// How much there is of a quantity: of classes the largest, else the sum.
fn amount_of(quantity: &Quantity, figure: &Figure) -> Bounds {
    match list(quantity) {
        Some(List::Classes) => figure.largest(&[]),
        _ => figure.total(&[]),
    }
}

fn in_words(bounds: Bounds) -> String {
    match bounds.high {
        Some(high) if high == bounds.low => high.to_string(),
        Some(high) => format!("{}–{high}", bounds.low),
        None => format!("≥{}", bounds.low),
    }
}
