//! Rounds, their register, declared figures and assignments: typed rows in
//! the store, read from memory.

pub mod round;
pub mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use duxue_document::school::{Declared, School};
use duxue_document::{DocumentId, DocumentKind, PersonId, RoundId, SchoolId};
use duxue_protocol::api::{Assignment, NewRound, Role};
use serde_json::json;

use crate::accounts::Caller;
use crate::audit::{By, event};
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::rows::key;
use crate::store::{Store, StoreError};
pub use round::{Access, DocumentName, Round, Writing};
use rows::{ASSIGNMENTS, AssignmentRow, COUNTY_DECLARED, DECLARED, ROUNDS, RoundRow, SCHOOLS};

#[derive(Default)]
struct Cache {
    rounds: BTreeMap<RoundId, Arc<Round>>,
    documents: HashMap<DocumentId, DocumentName>,
}

/// All rounds; reading is from memory, writing goes through the store first.
pub struct Rounds {
    store: Arc<dyn Store>,
    cache: RwLock<Cache>,
    writing: tokio::sync::Mutex<()>,
    most_schools: usize,
}

impl Rounds {
    /// Reads all rounds from the store; a round may have so many schools.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: Arc<dyn Store>, most_schools: usize) -> Result<Self, StoreError> {
        let mut cache = Cache::default();
        for (_, row) in ROUNDS.rows(&*store, b"").await? {
            let round = load_round(&*store, row).await?;
            cache.put(round);
        }
        Ok(Self { store, cache: RwLock::new(cache), writing: tokio::sync::Mutex::new(()), most_schools })
    }

    /// A round.
    #[must_use]
    pub fn get(&self, round: &RoundId) -> Option<Arc<Round>> {
        self.read(|cache| cache.rounds.get(round).cloned())
    }

    /// Every round.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Round>> {
        self.read(|cache| cache.rounds.values().cloned().collect())
    }

    /// Which document an id names, if it is one of a round.
    #[must_use]
    pub fn document(&self, id: &DocumentId) -> Option<DocumentName> {
        self.read(|cache| cache.documents.get(id).cloned())
    }

    /// What a person may do with a document now.
    #[must_use]
    pub fn access(&self, person: &PersonId, name: &DocumentName) -> Access {
        self.get(&name.round).map_or(Access::NONE, |round| round.access(person, name))
    }

    /// Whether a person may see the photos of a school.
    #[must_use]
    pub fn shows_photos(&self, caller: &Caller, round: &RoundId, school: &SchoolId) -> bool {
        self.get(round).is_some_and(|round| round.may_for(caller, Service::School, school))
    }

    /// Whether a person may send photos of a school: whoever may write the
    /// survey, or might once. A photo is bytes under their hash, and what it
    /// supports is held or taken with the survey's changes.
    #[must_use]
    pub fn takes_photos(&self, caller: &Caller, round: &RoundId, school: &SchoolId) -> bool {
        let Some(known) = self.get(round) else { return false };
        let survey =
            DocumentName { round: round.clone(), school: Some(school.clone()), kind: DocumentKind::Survey };
        known.may_for(caller, Service::Upload, school)
            || (known.schools.contains_key(school) && known.could_write(&caller.person, &survey))
    }

    /// Opens a round.
    ///
    /// # Errors
    /// `exists`, `round.standard`, or what the store says.
    pub async fn open(&self, new: NewRound, by: &By, now_ms: i64) -> Result<Arc<Round>, Fault> {
        let _writing = self.writing.lock().await;
        if self.get(&new.id).is_some() {
            return Err(fault::exists());
        }
        let row = RoundRow {
            id: new.id,
            name: new.name,
            jurisdiction: new.jurisdiction,
            standard: new.standard,
            overlays: new.overlays,
            settings: new.settings,
        };
        crate::readmodel::standard(&row)?;
        let details = [
            ("round", json!(row.id)),
            ("jurisdiction", json!(row.jurisdiction)),
            ("standard", json!(row.standard)),
        ];
        let opened = event("round.opened", by, now_ms, details);
        let records = vec![ROUNDS.put(row.id.as_str().as_bytes(), &row)?, opened];
        self.store.commit(records).await?;
        Ok(self.put(Round::new(row)))
    }

    /// Replaces register rows and declared figures of the schools given, and
    /// the county's figures if given; all or nothing.
    ///
    /// # Errors
    /// `not_found` for an unknown round, or what the store says.
    pub async fn import(
        &self,
        id: &RoundId,
        schools: Vec<(School, Declared)>,
        county: Option<Declared>,
        by: &By,
        now_ms: i64,
    ) -> Result<Arc<Round>, Fault> {
        let _writing = self.writing.lock().await;
        let mut round = (*self.get(id).ok_or_else(fault::not_found)?).clone();
        // A register may be imported again.
        let new = schools.iter().filter(|(school, _)| !round.schools.contains_key(&school.id)).count();
        if round.schools.len() + new > self.most_schools {
            refused("schools_per_round");
            return Err(fault::invalid().with_detail("schools"));
        }
        let mut records = Vec::with_capacity(2 * schools.len() + 2);
        for (school, declared) in &schools {
            let key = key(&[id.as_str(), school.id.as_str()]);
            records.push(SCHOOLS.put(&key, school)?);
            records.push(DECLARED.put(&key, declared)?);
        }
        if let Some(county) = &county {
            records.push(COUNTY_DECLARED.put(id.as_str().as_bytes(), county)?);
        }
        let details =
            [("round", json!(id)), ("schools", json!(schools.len())), ("county", json!(county.is_some()))];
        records.push(event("round.imported", by, now_ms, details));
        self.store.commit(records).await?;
        round
            .schools
            .extend(schools.into_iter().map(|(school, declared)| (school.id.clone(), (school, declared))));
        if let Some(county) = county {
            round.county = county;
        }
        Ok(self.put(round))
    }

    /// Assigns a person; replaces the earlier assignment of person and role.
    ///
    /// # Errors
    /// `not_found` for an unknown round, `request.invalid` for a school that
    /// is not in it, or what the store says.
    pub async fn assign(
        &self,
        id: &RoundId,
        assignment: Assignment,
        by: &By,
        now_ms: i64,
    ) -> Result<(), Fault> {
        let _writing = self.writing.lock().await;
        let round = self.get(id).ok_or_else(fault::not_found)?;
        if let Some(school) = assignment.schools.iter().find(|school| !round.schools.contains_key(*school)) {
            return Err(fault::invalid().with_detail(school.to_string()));
        }
        if assignment.role == Role::Administrator {
            return Err(fault::invalid().with_detail("role"));
        }
        if !assignment.ended {
            separate(&round, &assignment.person, assignment.role)?;
        }
        let mut row = known_row(&round, &assignment.person, assignment.role);
        let county_wide = assignment.role != Role::Inspector;
        let (stood, before) = (row.stands, std::mem::take(&mut row.schools));
        row.stands = !assignment.ended && (county_wide || !assignment.schools.is_empty());
        row.schools = if row.stands && !county_wide { assignment.schools } else { BTreeSet::new() };
        row.ever.extend(row.schools.iter().cloned());
        let begins_at_desk = county_wide && !stood;
        row.turns += u64::from(!row.stands || begins_at_desk || !before.is_subset(&row.schools));
        let details = [
            ("round", json!(id)),
            ("person", json!(row.person)),
            ("role", json!(row.role)),
            ("stands", json!(row.stands)),
            ("schools", json!(row.schools)),
            ("before", json!(before)),
        ];
        let records = vec![ASSIGNMENTS.put(&row.key(), &row)?, event("assigned", by, now_ms, details)];
        self.store.commit(records).await?;
        self.assigned(row);
        Ok(())
    }

    /// How often the person's rights turned, over all rounds; see
    /// [`AssignmentRow::turns`].
    #[must_use]
    pub fn turns(&self, person: &PersonId) -> u64 {
        self.all().iter().flat_map(|round| round.assignments_of(person)).map(|row| row.turns).sum()
    }

    /// Whether the caller could give everything that the person has or had:
    /// assignments in the caller's rounds only, and none but an inspector's
    /// that stands.
    #[must_use]
    pub fn may_assign_all(&self, caller: &Caller, person: &PersonId) -> bool {
        self.all().iter().all(|round| {
            round
                .assignments_of(person)
                .all(|row| (row.role == Role::Inspector || !row.stands) && round.may(caller, Service::Assign))
        })
    }

    /// Whether whatever the person has or had is in rounds in which the caller
    /// assigns people, so that the caller may know of them.
    #[must_use]
    pub fn is_known_to(&self, caller: &Caller, person: &PersonId) -> bool {
        let rounds = self.all();
        let mut theirs = rounds.iter().filter(|round| round.assignments_of(person).next().is_some());
        theirs.all(|round| round.may(caller, Service::Assign))
    }

    /// Keeps assignments as they are while the guard lives.
    pub async fn hold_writes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// The assignment of an inspector with schools added, not yet stored.
    ///
    /// # Errors
    /// `not_found` for an unknown round.
    pub fn assignment_added(
        &self,
        id: &RoundId,
        person: &PersonId,
        schools: &BTreeSet<SchoolId>,
    ) -> Result<Option<AssignmentRow>, Fault> {
        let round = self.get(id).ok_or_else(fault::not_found)?;
        let mut row = known_row(&round, person, Role::Inspector);
        let added: Vec<SchoolId> =
            schools.iter().filter(|id| round.schools.contains_key(*id)).cloned().collect();
        if added.is_empty() {
            return Ok(None);
        }
        separate(&round, person, Role::Inspector)?;
        row.stands = true;
        row.ever.extend(added.iter().cloned());
        row.schools.extend(added);
        Ok(Some(row))
    }

    /// Makes a stored assignment visible.
    pub fn assigned(&self, row: AssignmentRow) {
        self.write(|cache| {
            if let Some(round) = cache.rounds.get_mut(&row.round) {
                Arc::make_mut(round).assignments.insert((row.person.clone(), row.role), row);
            }
        });
    }

    fn put(&self, round: Round) -> Arc<Round> {
        self.write(|cache| cache.put(round))
    }

    fn read<T>(&self, look: impl FnOnce(&Cache) -> T) -> T {
        look(&self.cache.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Cache) -> T) -> T {
        change(&mut self.cache.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Cache {
    fn put(&mut self, round: Round) -> Arc<Round> {
        for name in round.documents() {
            self.documents.insert(name.id(), name);
        }
        let round = Arc::new(round);
        self.rounds.insert(round.row.id.clone(), Arc::clone(&round));
        round
    }
}

/// Who captures does not review or rule in the same round.
fn separate(round: &Round, person: &PersonId, role: Role) -> Result<(), Fault> {
    let others: &[Role] =
        if role == Role::Inspector { &[Role::Supervisor, Role::Bureau] } else { &[Role::Inspector] };
    match others.iter().any(|other| known_row(round, person, *other).stands) {
        true => Err(fault::duties()),
        false => Ok(()),
    }
}

fn known_row(round: &Round, person: &PersonId, role: Role) -> AssignmentRow {
    round.assignments.get(&(person.clone(), role)).cloned().unwrap_or_else(|| AssignmentRow {
        round: round.row.id.clone(),
        person: person.clone(),
        role,
        stands: false,
        schools: BTreeSet::new(),
        ever: BTreeSet::new(),
        turns: 0,
    })
}

async fn load_round(store: &dyn Store, row: RoundRow) -> Result<Round, StoreError> {
    let prefix = key(&[row.id.as_str(), ""]);
    let mut declared: HashMap<Vec<u8>, Declared> = DECLARED.rows(store, &prefix).await?.into_iter().collect();
    let county = COUNTY_DECLARED.rows(store, row.id.as_str().as_bytes()).await?;
    let county = county.into_iter().find(|(key, _)| key == row.id.as_str().as_bytes());
    let mut round = Round::new(row);
    round.county = county.map(|(_, county)| county).unwrap_or_default();
    for (key, school) in SCHOOLS.rows(store, &prefix).await? {
        let figures = declared.remove(&key).unwrap_or_default();
        round.schools.insert(school.id.clone(), (school, figures));
    }
    for (_, assignment) in ASSIGNMENTS.rows(store, &prefix).await? {
        round.assignments.insert((assignment.person.clone(), assignment.role), assignment);
    }
    Ok(round)
}
