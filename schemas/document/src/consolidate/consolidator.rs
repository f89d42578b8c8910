//! Consolidation by changed entry.

use crate::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;

use super::Settings;
use super::decisions::{Decisions, Target};
use super::entry::{Decided, EntryRuling, entry};
use super::groups::{contested, joined, separated};
use super::natural;
use super::removal::{Member, RemovalRuling, removal};
use super::tally::Tally;
use crate::changed::{Changed, Deletes, Unit};
use crate::conflict::ConflictSubject;
use crate::consolidated::{
    Candidate, ConsolidatedSchool, Duplicate, Entry, Finding, Item, Removal, ReviewState, ValueState, fields,
};
use crate::decision::{Ruling, Subject, Verdict};
use crate::path::{ItemKey, ItemKind, Section};
use crate::read::{self, Fields, Read, Source};
use crate::school::{Declared, School};
use crate::{DecisionId, DocumentKind, EntryPath, FieldId, ItemId, OpId, Scalar, Value};

/// The documents about one school.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    /// What inspectors saw.
    pub survey: &'a Automerge,
    /// What supervisors said of it.
    pub review: &'a Automerge,
    /// How the bureau settled its conflicts.
    pub ruling: &'a Automerge,
}

impl<'a> Documents<'a> {
    fn of(self, kind: DocumentKind) -> Option<&'a Automerge> {
        match kind {
            DocumentKind::Survey => Some(self.survey),
            DocumentKind::Review => Some(self.review),
            DocumentKind::Ruling => Some(self.ruling),
            DocumentKind::County | DocumentKind::Plan => None,
        }
    }
}

/// The consolidated data of one school, kept up to date by changed entry. The
/// work for a change does not grow with the documents but for look-ups in maps.
///
/// After any sequence of updates [`Consolidator::school`] equals
/// [`super::consolidate`] of the documents as they are then.
#[derive(Debug, Clone)]
pub struct Consolidator {
    settings: Settings,
    /// What is read of the survey, before any decision.
    items: BTreeMap<ItemKey, Read<Fields>>,
    entries: BTreeMap<EntryPath, Read<Vec<Candidate>>>,
    verdicts: Decisions<Verdict>,
    rulings: Decisions<Ruling>,
    deletes: BTreeMap<DocumentKind, Deletes>,
    /// Findings of foreign keys, of the tops of documents, and of deletions.
    others: BTreeMap<(DocumentKind, Unit), BTreeSet<Finding>>,
    /// The thing that each item belongs to, and its members. A thing has the
    /// key of its lowest member.
    thing_of: BTreeMap<ItemKey, ItemKey>,
    members: BTreeMap<ItemKey, BTreeSet<ItemKey>>,
    /// Items that some rulings join and others separate.
    contested: BTreeMap<ItemKey, BTreeSet<ItemKey>>,
    natural: natural::Index,
    duplicate_of_key: BTreeMap<(ItemKind, String), Duplicate>,
    findings: Tally<Finding>,
    duplicates: Tally<Duplicate>,
    school: ConsolidatedSchool,
}

/// Decisions about one subject that nothing supersedes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecidedBefore {
    /// Verdicts on exactly the present candidates of an entry.
    pub verdicts: BTreeSet<DecisionId>,
    /// Rulings, whether or not they still stand.
    pub rulings: BTreeSet<DecisionId>,
}

/// What must be worked out again.
#[derive(Default)]
struct Dirty {
    /// Items whose thing may be another one.
    groups: BTreeSet<ItemKey>,
    items: BTreeSet<ItemKey>,
    entries: BTreeSet<EntryPath>,
}

impl Consolidator {
    /// Consolidates the whole.
    #[must_use]
    pub fn new(school: School, declared: Declared, settings: Settings, documents: Documents<'_>) -> Self {
        let school = ConsolidatedSchool {
            school,
            declared,
            items: BTreeMap::new(),
            entries: BTreeMap::new(),
            complete: BTreeSet::new(),
            duplicates: Vec::new(),
            findings: Vec::new(),
        };
        let mut this = Self {
            settings,
            items: BTreeMap::new(),
            entries: BTreeMap::new(),
            verdicts: Decisions::default(),
            rulings: Decisions::default(),
            deletes: BTreeMap::new(),
            others: BTreeMap::new(),
            thing_of: BTreeMap::new(),
            members: BTreeMap::new(),
            contested: BTreeMap::new(),
            natural: natural::Index::default(),
            duplicate_of_key: BTreeMap::new(),
            findings: Tally::default(),
            duplicates: Tally::default(),
            school,
        };
        let mut dirty = Dirty::default();
        for kind in [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling] {
            let Some(doc) = documents.of(kind) else { continue };
            let deletes = Deletes::of(kind, doc);
            let source = Source::whole(doc, &deletes);
            for unit in read::units(&source, kind) {
                this.read(kind, &source, &unit, &mut dirty);
            }
            drop(source);
            this.deletes.insert(kind, deletes);
        }
        this.work_out(documents, dirty);
        this
    }

    /// The consolidated data as of the last update.
    #[must_use]
    pub fn school(&self) -> &ConsolidatedSchool {
        &self.school
    }

    /// The decisions about a conflict's subject that nothing supersedes: what
    /// the next decision has to name, or it would contradict them.
    #[must_use]
    pub fn decided(&self, subject: &ConflictSubject) -> DecidedBefore {
        match subject {
            ConflictSubject::Entry { path, .. } => self.decided_on_entry(path),
            ConflictSubject::Duplicate { duplicate } => {
                let key = |item: &ItemId| ItemKey { kind: duplicate.kind, item: item.clone() };
                let items: BTreeSet<ItemKey> = duplicate.items.iter().map(key).collect();
                // A merge within one of the things is not about the question
                // whether they are the same.
                self.rulings_on(&items, |subject| match subject {
                    Subject::Merge { items: named } | Subject::Separate { items: named } => {
                        named.intersection(&items).nth(1).is_some()
                    }
                    _ => false,
                })
            }
            ConflictSubject::Removal { item } => {
                self.rulings_on(&self.members_of(item), |subject| matches!(subject, Subject::Removal { .. }))
            }
        }
    }

    fn decided_on_entry(&self, path: &EntryPath) -> DecidedBefore {
        let targets: Vec<Target> = match (path, path.item()) {
            (EntryPath::Item { field, .. }, Some(item)) => {
                self.members_of(&item).iter().map(|member| Target::Entry(item_path(member, field))).collect()
            }
            _ => vec![Target::Entry(path.clone())],
        };
        let candidates = self.school.entry(path).map_or(&[][..], |entry| &entry.candidates);
        let live: BTreeSet<OpId> = candidates.iter().map(|candidate| candidate.op.clone()).collect();
        let verdicts = targets.iter().flat_map(|target| self.verdicts.active(target));
        let rulings = targets.iter().flat_map(|target| self.rulings.active(target));
        DecidedBefore {
            verdicts: verdicts.filter(|(_, v)| v.saw == live).map(|(id, _)| id.clone()).collect(),
            rulings: rulings.map(|(id, _)| id.clone()).collect(),
        }
    }

    fn rulings_on(&self, items: &BTreeSet<ItemKey>, about: impl Fn(&Subject) -> bool) -> DecidedBefore {
        let targets: Vec<Target> = items.iter().cloned().map(Target::Item).collect();
        let rulings = targets.iter().flat_map(|target| self.rulings.active(target));
        let rulings = rulings.filter(|(_, ruling)| about(&ruling.subject)).map(|(id, _)| id.clone());
        DecidedBefore { verdicts: BTreeSet::new(), rulings: rulings.collect() }
    }

    /// The members of the thing that an item belongs to.
    fn members_of(&self, item: &ItemKey) -> BTreeSet<ItemKey> {
        let thing = self.thing_of.get(item).and_then(|thing| self.members.get(thing));
        thing.cloned().unwrap_or_else(|| BTreeSet::from([item.clone()]))
    }

    /// The consolidated data as of the last update.
    #[must_use]
    pub fn into_school(self) -> ConsolidatedSchool {
        self.school
    }

    /// Puts another row of the school register in place.
    pub fn set_school(&mut self, school: School) {
        self.school.school = school;
    }

    /// Puts other declared figures in place.
    pub fn set_declared(&mut self, declared: Declared) {
        self.school.declared = declared;
    }

    /// Takes in what has changed in one document since the last update (see
    /// [`Changed`]). All documents are needed, in their present state: a
    /// ruling may select a candidate that is only in the survey's history.
    pub fn update(&mut self, documents: Documents<'_>, changed: &Changed) {
        let Some(doc) = documents.of(changed.kind) else { return };
        let mut dirty = Dirty::default();
        let mut deletes = self.deletes.remove(&changed.kind).unwrap_or_default();
        deletes.add(changed.deletes.iter().cloned());
        let source = Source::parts(doc, &deletes);
        for unit in &changed.units {
            self.read(changed.kind, &source, unit, &mut dirty);
        }
        drop(source);
        self.deletes.insert(changed.kind, deletes);
        self.work_out(documents, dirty);
    }

    fn read(&mut self, kind: DocumentKind, doc: &Source<'_>, unit: &Unit, dirty: &mut Dirty) {
        match (kind, unit) {
            (DocumentKind::Survey, Unit::Item(key)) => self.read_item(doc, key, dirty),
            (DocumentKind::Survey, Unit::Entry(path)) => self.read_entry(doc, path, dirty),
            (DocumentKind::Review, Unit::Decision(id)) => self.read_verdict(doc, id, dirty),
            (DocumentKind::Ruling, Unit::Decision(id)) => self.read_ruling(doc, id, dirty),
            _ => {}
        }
        self.read_other(kind, doc, unit);
    }

    fn read_item(&mut self, doc: &Source<'_>, key: &ItemKey, dirty: &mut Dirty) {
        let after = read::item(doc, DocumentKind::Survey, key);
        let before = self.items.remove(key);
        self.swap_findings(before.as_ref().map(|r| &r.findings), after.as_ref().map(|r| &r.findings));
        if before.is_some() != after.is_some() {
            dirty.groups.insert(key.clone());
        }
        if let Some(read) = after {
            self.items.insert(key.clone(), read);
        }
        dirty.items.insert(key.clone());
    }

    fn read_entry(&mut self, doc: &Source<'_>, path: &EntryPath, dirty: &mut Dirty) {
        let after = read::entry(doc, DocumentKind::Survey, path);
        let before = self.entries.remove(path);
        self.swap_findings(before.as_ref().map(|r| &r.findings), after.as_ref().map(|r| &r.findings));
        if let Some(read) = after {
            self.entries.insert(path.clone(), read);
        }
        dirty.entries.insert(path.clone());
    }

    fn read_verdict(&mut self, doc: &Source<'_>, id: &DecisionId, dirty: &mut Dirty) {
        let after = read::decision::verdict(doc, id);
        let findings = after.as_ref().map(|read| read.findings.clone());
        let (before, targets) = self.verdicts.set(id, after);
        self.swap_findings(before.as_ref().map(|r| &r.findings), findings.as_ref());
        dirty.add(targets);
    }

    fn read_ruling(&mut self, doc: &Source<'_>, id: &DecisionId, dirty: &mut Dirty) {
        let after = read::decision::ruling(doc, id);
        let findings = after.as_ref().map(|read| read.findings.clone());
        let (before, targets) = self.rulings.set(id, after);
        self.swap_findings(before.as_ref().map(|r| &r.findings), findings.as_ref());
        dirty.add(targets);
    }

    /// The items that were worked out as one thing with this one, or as
    /// contested with it.
    fn together_with(&self, item: &ItemKey) -> BTreeSet<ItemKey> {
        let thing = self.thing_of.get(item).and_then(|thing| self.members.get(thing));
        let contested = self.contested.get(item);
        let mut together: BTreeSet<ItemKey> = thing.into_iter().chain(contested).flatten().cloned().collect();
        together.insert(item.clone());
        together
    }

    fn read_other(&mut self, kind: DocumentKind, doc: &Source<'_>, unit: &Unit) {
        let mut after = read::foreign(doc, kind, unit);
        after.extend(read::deleted(doc, kind, unit));
        let before = self.others.remove(&(kind, unit.clone()));
        self.swap_findings(before.as_ref(), Some(&after));
        if !after.is_empty() {
            self.others.insert((kind, unit.clone()), after);
        }
    }

    fn swap_findings(&mut self, before: Option<&BTreeSet<Finding>>, after: Option<&BTreeSet<Finding>>) {
        self.findings.remove(&mut self.school.findings, before.into_iter().flatten());
        self.findings.add(&mut self.school.findings, after.into_iter().flatten());
    }

    fn work_out(&mut self, documents: Documents<'_>, mut dirty: Dirty) {
        let none = Deletes::default();
        // Only past claims are read here, and by their ops.
        let survey = &Source::parts(documents.survey, &none);
        let mut keys = BTreeSet::new();
        self.regroup(&mut dirty, &mut keys);
        let things: BTreeSet<ItemKey> =
            dirty.items.iter().filter_map(|item| self.thing_of.get(item)).cloned().collect();
        for thing in &things {
            let item = self.thing(survey, thing);
            keys.extend(self.natural.set(thing, natural::keys(&item)));
            self.school.items.insert(thing.clone(), item);
        }
        for key in keys {
            self.work_out_duplicate(key);
        }
        for path in dirty.entries {
            self.work_out_entry(survey, path);
        }
    }

    /// Works out anew which things the items are, for those whose thing may
    /// have changed.
    fn regroup(&mut self, dirty: &mut Dirty, keys: &mut BTreeSet<(ItemKind, String)>) {
        let mut open: BTreeSet<ItemKey> =
            dirty.groups.iter().flat_map(|item| self.together_with(item)).collect();
        let mut components = Vec::new();
        while let Some(item) = open.pop_first() {
            let component = joined(&self.rulings, &item);
            // What the new component takes in may have been elsewhere before.
            for member in &component {
                open.remove(member);
            }
            components.push(component);
        }
        let affected: BTreeSet<ItemKey> = components.iter().flatten().cloned().collect();
        for item in &affected {
            self.ungroup(item, keys);
        }
        for component in components {
            let present: BTreeSet<ItemKey> =
                component.iter().filter(|item| self.items.contains_key(*item)).cloned().collect();
            if contested(&self.rulings, &component) {
                self.contest(&present);
                present.into_iter().for_each(|item| self.group(BTreeSet::from([item])));
            } else {
                self.group(present);
            }
        }
        dirty.items.extend(affected);
    }

    fn ungroup(&mut self, item: &ItemKey, keys: &mut BTreeSet<(ItemKind, String)>) {
        if let Some(thing) = self.thing_of.remove(item) {
            keys.extend(self.natural.set(&thing, natural::Keys::default()));
            self.members.remove(&thing);
            self.school.items.remove(&thing);
        }
        if let Some(items) = self.contested.remove(item)
            && items.first() == Some(item)
        {
            let duplicate = contested_duplicate(&items);
            self.duplicates.remove(&mut self.school.duplicates, duplicate.iter());
        }
    }

    fn group(&mut self, members: BTreeSet<ItemKey>) {
        let Some(thing) = members.first().cloned() else { return };
        for member in &members {
            self.thing_of.insert(member.clone(), thing.clone());
        }
        self.members.insert(thing, members);
    }

    fn contest(&mut self, items: &BTreeSet<ItemKey>) {
        for item in items {
            self.contested.insert(item.clone(), items.clone());
        }
        let duplicate = contested_duplicate(items);
        self.duplicates.add(&mut self.school.duplicates, duplicate.iter());
    }

    fn work_out_duplicate(&mut self, key: (ItemKind, String)) {
        let after = self.natural.duplicate(&key, |thing| self.apart_from(thing));
        let before = self.duplicate_of_key.remove(&key);
        self.duplicates.remove(&mut self.school.duplicates, before.iter());
        self.duplicates.add(&mut self.school.duplicates, after.iter());
        if let Some(duplicate) = after {
            self.duplicate_of_key.insert(key, duplicate);
        }
    }

    /// The things that need not be asked about beside this one: rulings say
    /// that they are different, or the question is shown as contested.
    fn apart_from(&self, thing: &ItemKey) -> BTreeSet<ItemKey> {
        let members = self.members.get(thing).into_iter().flatten();
        members
            .flat_map(|member| {
                let contested = self.contested.get(member).into_iter().flatten().cloned();
                separated(&self.rulings, member).into_iter().chain(contested)
            })
            .filter_map(|item| self.thing_of.get(&item))
            .filter(|other| *other != thing)
            .cloned()
            .collect()
    }

    /// One thing with the candidates of all its members.
    fn thing(&self, survey: &Source<'_>, thing: &ItemKey) -> Item {
        let members: Vec<(&ItemKey, &Fields)> = self
            .members
            .get(thing)
            .into_iter()
            .flatten()
            .filter_map(|member| Some((member, &self.items.get(member)?.what)))
            .collect();
        let mut candidates: Fields = BTreeMap::new();
        for (member, found) in &members {
            for (field, found) in *found {
                candidates.entry(field.clone()).or_default().extend(found.iter().cloned());
            }
            // A decision may be about an entry that nobody has stated.
            let decided = self.verdicts.entries_of(member).chain(self.rulings.entries_of(member));
            for path in decided {
                if let EntryPath::Item { field, .. } = path {
                    candidates.entry(field.clone()).or_default();
                }
            }
        }
        let fields: BTreeMap<FieldId, Entry> = candidates
            .into_iter()
            .map(|(field, mut candidates)| {
                read::sort(&mut candidates);
                let paths = members.iter().map(|(member, _)| item_path(member, &field)).collect();
                let entry = self.entry(survey, paths, candidates);
                (field, entry)
            })
            .collect();
        let removal = self.removal(&members, &fields);
        let kind = thing.kind;
        let members = members.into_iter().map(|(member, _)| member.item.clone()).collect();
        Item { kind, members, fields, removal }
    }

    fn removal(&self, members: &[(&ItemKey, &Fields)], fields: &BTreeMap<FieldId, Entry>) -> Removal {
        let members: Vec<Member<'_>> = members
            .iter()
            .map(|(member, found)| Member {
                fields: found,
                rulings: self
                    .rulings
                    .active(&Target::Item((*member).clone()))
                    .filter_map(|(_, ruling)| match &ruling.subject {
                        Subject::Removal { present, saw, .. } => {
                            Some(RemovalRuling { present: *present, saw })
                        }
                        _ => None,
                    })
                    .collect(),
            })
            .collect();
        let entry =
            fields.iter().find(|(field, _)| field.as_str() == fields::REMOVED).map(|(_, entry)| entry);
        removal(&members, entry)
    }

    /// One entry, which has several paths in a thing of several items.
    fn entry(&self, survey: &Source<'_>, paths: Vec<EntryPath>, candidates: Vec<Candidate>) -> Entry {
        let targets: Vec<Target> = paths.iter().cloned().map(Target::Entry).collect();
        let mut rulings: Vec<EntryRuling<'_>> = targets
            .iter()
            .flat_map(|target| self.rulings.active(target))
            .filter_map(|(id, ruling)| match &ruling.subject {
                Subject::Entry { choice, saw, verdicts, .. } => {
                    Some(EntryRuling { id, choice, saw, verdicts })
                }
                _ => None,
            })
            .collect();
        let mut verdicts: Vec<(&DecisionId, &Verdict)> =
            targets.iter().flat_map(|target| self.verdicts.active(target)).collect();
        rulings.sort_by_key(|ruling| ruling.id);
        verdicts.sort_by_key(|(id, _)| *id);
        let Some(path) = paths.first() else { return nothing() };
        let past = |op: &OpId| -> Option<Value> { read::past_value(survey, path, op) };
        entry(path, candidates, &Decided { settings: &self.settings, verdicts, rulings, past: &past })
    }

    fn work_out_entry(&mut self, survey: &Source<'_>, path: EntryPath) {
        let target = Target::Entry(path.clone());
        let decided =
            self.rulings.active(&target).next().is_some() || self.verdicts.active(&target).next().is_some();
        let found = self.entries.get(&path).map(|read| read.what.clone());
        let after = match found {
            None if !decided => None,
            found => Some(self.entry(survey, vec![path.clone()], found.unwrap_or_default())),
        };
        if let EntryPath::Section(section) = &path {
            self.mark(*section, after.as_ref());
        }
        match after {
            Some(entry) => self.school.entries.insert(path, entry),
            None => self.school.entries.remove(&path),
        };
    }

    fn mark(&mut self, section: Section, entry: Option<&Entry>) {
        if entry.is_some_and(says_complete) {
            self.school.complete.insert(section);
        } else {
            self.school.complete.remove(&section);
        }
    }
}

impl Dirty {
    fn add(&mut self, targets: BTreeSet<Target>) {
        for target in targets {
            match target {
                Target::Item(item) => {
                    self.groups.insert(item.clone());
                    self.items.insert(item);
                }
                Target::Entry(path) => match path.item() {
                    Some(item) => {
                        self.items.insert(item);
                    }
                    None => {
                        self.entries.insert(path);
                    }
                },
            }
        }
    }
}

/// Whether a section's mark says complete, surely, and was not sent back.
fn says_complete(entry: &Entry) -> bool {
    let returned = matches!(entry.review, ReviewState::Returned { overruled: false, .. });
    let value = match &entry.value {
        ValueState::Agreed { value, .. }
        | ValueState::Settled { value, .. }
        | ValueState::WithinTolerance { value, .. } => value,
        ValueState::Missing | ValueState::Conflicting { .. } => return false,
    };
    !returned
        && value.iter().any(|(field, scalar)| field.as_str() == "complete" && *scalar == Scalar::Bool(true))
}

/// How contested items are shown: they need not share a natural key.
fn contested_duplicate(items: &BTreeSet<ItemKey>) -> Option<Duplicate> {
    let kind = items.first()?.kind;
    let items: BTreeSet<_> = items.iter().map(|item| item.item.clone()).collect();
    (items.len() > 1).then(|| Duplicate { kind, key: String::new(), items, possible: true })
}

fn item_path(item: &ItemKey, field: &FieldId) -> EntryPath {
    EntryPath::Item { kind: item.kind, item: item.item.clone(), field: field.clone() }
}

fn nothing() -> Entry {
    Entry { candidates: Vec::new(), value: ValueState::Missing, review: ReviewState::Unreviewed }
}
