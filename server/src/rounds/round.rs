//! One round in memory, and what a person may do in it.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::school::{Declared, School};
use duxue_document::{DocumentId, DocumentKind, PersonId, RoundId, SchoolId};
use duxue_protocol::api::{Role, RoundSummary};

use crate::accounts::Caller;
use crate::policy::{self, Action, Scope, Service};

use super::rows::{AssignmentRow, RoundRow};

/// Which document an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentName {
    /// The round.
    pub round: RoundId,
    /// The school; absent for the county's document.
    pub school: Option<SchoolId>,
    /// The kind.
    pub kind: DocumentKind,
}

impl DocumentName {
    /// The document's id.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        let subject = self.school.as_ref().map_or(self.round.as_str(), |school| school.as_str());
        DocumentId::derive(&self.round, subject, self.kind)
    }
}

/// Whether a person's changes to a document are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writing {
    /// Ignored.
    No,
    /// The right has ended: taken, but held for a supervisor.
    Ended,
    /// Taken.
    Yes,
}

/// What a person may do with a document now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether the person is given changes.
    pub read: bool,
    /// Whether the person's changes are taken.
    pub write: Writing,
}

impl Access {
    /// Nothing at all; the answer is the same as for a document that is not
    /// there.
    pub const NONE: Self = Self { read: false, write: Writing::No };

    /// Whether there is anything to talk about.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::NONE
    }
}

/// A round with its schools and assignments.
#[derive(Debug, Clone)]
pub struct Round {
    /// Name, county, standard, settings.
    pub row: RoundRow,
    /// Register rows and declared figures.
    pub schools: BTreeMap<SchoolId, (School, Declared)>,
    /// The county's declared figures.
    pub county: Declared,
    /// Assignments, ended ones too.
    pub assignments: BTreeMap<(PersonId, Role), AssignmentRow>,
}

impl Round {
    /// A round without schools.
    #[must_use]
    pub fn new(row: RoundRow) -> Self {
        Self { row, schools: BTreeMap::new(), county: Declared::default(), assignments: BTreeMap::new() }
    }

    /// The round in a list.
    #[must_use]
    pub fn summary(&self) -> RoundSummary {
        let row = self.row.clone();
        RoundSummary {
            id: row.id,
            name: row.name,
            jurisdiction: row.jurisdiction,
            standard: row.standard,
            overlays: row.overlays,
            settings: row.settings,
            schools: u32::try_from(self.schools.len()).unwrap_or(u32::MAX),
        }
    }

    /// The documents of a school.
    pub fn school_documents(&self, school: &SchoolId) -> impl Iterator<Item = DocumentName> + use<> {
        let (round, school) = (self.row.id.clone(), school.clone());
        DocumentKind::ALL
            .into_iter()
            .filter(|kind| *kind != DocumentKind::County)
            .map(move |kind| DocumentName { round: round.clone(), school: Some(school.clone()), kind })
    }

    /// The campuses that are assessed together with a school: the school that
    /// it is a branch of, if that is in the register, and all its branches.
    pub fn unit<'a>(&'a self, school: &'a SchoolId) -> impl Iterator<Item = &'a SchoolId> {
        let root = self.root(school);
        self.schools.keys().filter(move |other| self.root(other) == root)
    }

    fn root<'a>(&'a self, school: &'a SchoolId) -> &'a SchoolId {
        let mut root = school;
        // Parents that form a ring stop at the smallest id met.
        let mut met = BTreeSet::new();
        loop {
            let parent = self.schools.get(root).and_then(|(row, _)| row.parent.as_ref());
            let Some(parent) = parent.filter(|parent| self.schools.contains_key(*parent)) else {
                return root;
            };
            if !met.insert(root) {
                return met.into_iter().min().unwrap_or(root);
            }
            root = parent;
        }
    }

    /// Every document of the round.
    pub fn documents(&self) -> impl Iterator<Item = DocumentName> + '_ {
        let county = DocumentName { round: self.row.id.clone(), school: None, kind: DocumentKind::County };
        self.schools.keys().flat_map(|school| self.school_documents(school)).chain([county])
    }

    /// The roles of a person that stand.
    #[must_use]
    pub fn roles(&self, caller: &Caller) -> BTreeSet<Role> {
        let mut roles: BTreeSet<Role> =
            self.standing(&caller.person).map(|assignment| assignment.role).collect();
        if caller.administrator {
            roles.insert(Role::Administrator);
        }
        roles
    }

    fn standing(&self, person: &PersonId) -> impl Iterator<Item = &AssignmentRow> {
        self.assignments_of(person).filter(|assignment| assignment.stands)
    }

    /// A person's assignments, ended ones too.
    pub fn assignments_of(&self, person: &PersonId) -> impl Iterator<Item = &AssignmentRow> {
        let first = (person.clone(), Role::Inspector);
        let last = (person.clone(), Role::Administrator);
        self.assignments.range(first..=last).map(|(_, assignment)| assignment)
    }

    /// What a person may do with a document.
    #[must_use]
    pub fn access(&self, person: &PersonId, name: &DocumentName) -> Access {
        let may = |action| {
            self.standing(person).any(|assignment| {
                policy::document(assignment.role, name.kind, action)
                    .is_some_and(|scope| reaches(scope, &assignment.schools, name.school.as_ref()))
            })
        };
        let write = if may(Action::Write) {
            Writing::Yes
        } else if self.could_write(person, name) {
            Writing::Ended
        } else {
            Writing::No
        };
        Access { read: may(Action::Read), write }
    }

    /// Whether the person had the right to write the document at some time.
    #[must_use]
    pub fn could_write(&self, person: &PersonId, name: &DocumentName) -> bool {
        self.assignments_of(person).any(|assignment| {
            policy::document(assignment.role, name.kind, Action::Write)
                .is_some_and(|scope| reaches(scope, &assignment.ever, name.school.as_ref()))
        })
    }

    /// Whether the caller may use a service at all.
    #[must_use]
    pub fn may(&self, caller: &Caller, service: Service) -> bool {
        self.roles(caller).into_iter().any(|role| policy::service(role, service).is_some())
    }

    /// Whether the caller may use a service for a school.
    #[must_use]
    pub fn may_for(&self, caller: &Caller, service: Service, school: &SchoolId) -> bool {
        if !self.schools.contains_key(school) {
            return false;
        }
        let administrator = caller.administrator && policy::service(Role::Administrator, service).is_some();
        administrator
            || self.standing(&caller.person).any(|assignment| {
                policy::service(assignment.role, service)
                    .is_some_and(|scope| reaches(scope, &assignment.schools, Some(school)))
            })
    }
}

fn reaches(scope: Scope, schools: &BTreeSet<SchoolId>, school: Option<&SchoolId>) -> bool {
    match scope {
        Scope::County => true,
        Scope::Assigned => school.is_some_and(|school| schools.contains(school)),
    }
}
