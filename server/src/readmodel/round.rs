//! One round: its schools, their assessment, and what depends on open
//! conflicts. What is dear is worked out once after each change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::Automerge;
use duxue_document::consolidate::{Documents, Settings, consolidate_county};
use duxue_document::school::Declared;
use duxue_document::{DocumentId, DocumentKind, SchoolId};
use duxue_protocol::api::{ActorBinding, ConflictView};
use duxue_standards::Standard;
use duxue_standards::assess::{Assessment, Assessor, MadeFrom, Provenance, SchoolAssessment, hash};
use duxue_standards::effects::effects_of;
use duxue_standards::input::{InputSettings, county_input, school_input};
use duxue_standards::what_if::{Change, ChangeError, WhatIf, what_if};

use crate::fault::{self, Fault};
use crate::hub::Hub;
use crate::hub::document::Shared;
use crate::random;
use crate::rounds::{DocumentName, Round};

use super::conflicts;
use super::school::SchoolModel;

/// Actor bindings by hex.
pub type Actors = BTreeMap<String, ActorBinding>;

/// A round as the desk sees it.
pub struct RoundModel {
    /// Register and declared figures that the schools were read with.
    round: Arc<Round>,
    settings: Settings,
    input: InputSettings,
    schools: BTreeMap<SchoolId, SchoolModel>,
    county_heads: BTreeSet<String>,
    assessor: Assessor,
    /// Dropped with every change.
    conflicts: Option<Arc<Vec<ConflictView>>>,
}

impl RoundModel {
    /// Reads every document of the round.
    ///
    /// # Errors
    /// `store.failed` where a document cannot be loaded.
    pub async fn load(hub: &Hub, round: Arc<Round>, standard: Arc<Standard>) -> Result<Self, Fault> {
        let given = &round.row.settings;
        let mut model = Self {
            round: Arc::clone(&round),
            settings: Settings {
                tolerance: given.tolerance.clone(),
                require_acceptance: given.require_acceptance,
            },
            input: InputSettings { tolerance: given.tolerance.clone() },
            schools: BTreeMap::new(),
            county_heads: BTreeSet::new(),
            assessor: Assessor::new(standard, given.as_of.clone()),
            conflicts: None,
        };
        for school in round.schools.keys() {
            model.read(hub, &round, school).await?;
        }
        model.read_county(hub, &round).await?;
        Ok(model)
    }

    /// Brings the marked parts up to date.
    ///
    /// # Errors
    /// `store.failed` where a document cannot be loaded.
    pub async fn refresh(
        &mut self,
        hub: &Hub,
        round: Arc<Round>,
        register: bool,
        county: bool,
        schools: &BTreeSet<SchoolId>,
    ) -> Result<(), Fault> {
        if register {
            self.round = round;
        }
        // A register that came without its mark is taken with the mark.
        let round = Arc::clone(&self.round);
        if register {
            self.set_register(&round);
            for school in round.schools.keys() {
                self.read(hub, &round, school).await?;
            }
        }
        for school in schools {
            self.read(hub, &round, school).await?;
        }
        if county || register {
            self.read_county(hub, &round).await?;
        }
        Ok(())
    }

    /// The schools in the order of their ids.
    pub fn schools(&mut self) -> &mut BTreeMap<SchoolId, SchoolModel> {
        &mut self.schools
    }

    /// A school.
    ///
    /// # Errors
    /// `not_found`.
    pub fn school(&mut self, id: &SchoolId) -> Result<&mut SchoolModel, Fault> {
        self.schools.get_mut(id).ok_or_else(fault::not_found)
    }

    /// The open conflicts of the round in the order of the inbox, without the
    /// people behind them.
    pub fn conflicts(&mut self) -> Arc<Vec<ConflictView>> {
        if let Some(known) = &self.conflicts {
            return Arc::clone(known);
        }
        let mut all = Vec::new();
        for (id, school) in &self.schools {
            if !school.conflicts().is_empty() {
                all.extend(conflicts::views(school, &effects_of(&self.assessor, id)));
            }
        }
        conflicts::sort(&mut all);
        Arc::clone(self.conflicts.insert(Arc::new(all)))
    }

    /// The assessment of county and schools, naming what it was made from.
    pub fn assessment(&mut self, actors: &Actors) -> Assessment {
        self.set_provenance(actors);
        self.assessor.assessment()
    }

    /// The assessment of one school, and what it was made from.
    ///
    /// # Errors
    /// `not_found`.
    pub fn school_assessment(
        &mut self,
        actors: &Actors,
        id: &SchoolId,
    ) -> Result<(MadeFrom, Arc<SchoolAssessment>), Fault> {
        let school = self.assessor.school(id).cloned().ok_or_else(fault::not_found)?;
        self.set_provenance(actors);
        Ok((self.assessor.made_from(), school))
    }

    /// The assessment with changes tried.
    ///
    /// # Errors
    /// The first change that cannot be made.
    pub fn what_if(&mut self, actors: &Actors, changes: &[Change]) -> Result<WhatIf, ChangeError> {
        self.set_provenance(actors);
        what_if(&self.assessor, changes)
    }

    fn set_provenance(&mut self, actors: &Actors) {
        let round = Arc::clone(&self.round);
        let declared: BTreeMap<&SchoolId, &Declared> =
            round.schools.iter().map(|(id, (_, declared))| (id, declared)).collect();
        let register: Vec<_> = round.schools.values().map(|(school, _)| school).collect();
        self.assessor.set_provenance(Provenance {
            round: round.row.id.to_string(),
            documents: self.document_heads(&round),
            declared: hash(&(&round.county, declared)),
            register: hash(&register),
            actor_bindings: hash(actors),
            settings: hash(&round.row.settings),
            synthetic: round.row.settings.synthetic,
        });
    }

    fn document_heads(&self, round: &Round) -> BTreeMap<DocumentId, BTreeSet<String>> {
        let mut heads: BTreeMap<_, _> = self
            .schools
            .iter()
            .flat_map(|(id, school)| {
                let named = |kind| name(round, Some(id), kind).id();
                let heads = school.heads().iter();
                heads.map(move |(kind, heads)| {
                    (named(*kind), heads.iter().map(|h| random::hex(&h.0)).collect())
                })
            })
            .collect();
        heads.insert(name(round, None, DocumentKind::County).id(), self.county_heads.clone());
        heads
    }

    fn set_register(&mut self, round: &Round) {
        self.conflicts = None;
        for (id, (school, declared)) in &round.schools {
            if let Some(model) = self.schools.get_mut(id) {
                model.set_register(school, declared);
                self.assess(id);
            }
        }
    }

    async fn read(&mut self, hub: &Hub, round: &Round, id: &SchoolId) -> Result<(), Fault> {
        let Some((school, declared)) = round.schools.get(id) else { return Ok(()) };
        let survey = hub.read(&name(round, Some(id), DocumentKind::Survey)).await?;
        let review = hub.read(&name(round, Some(id), DocumentKind::Review)).await?;
        let ruling = hub.read(&name(round, Some(id), DocumentKind::Ruling)).await?;
        let changed =
            self.consolidate(id, [&survey, &review, &ruling], || (school.clone(), declared.clone()));
        if changed {
            self.assess(id);
        }
        Ok(())
    }

    /// Whether anything changed.
    fn consolidate(
        &mut self,
        id: &SchoolId,
        [survey, review, ruling]: [&Shared; 3],
        register: impl FnOnce() -> (duxue_document::school::School, Declared),
    ) -> bool {
        let (survey, review, ruling) = (survey.read(), review.read(), ruling.read());
        let documents = Documents { survey: &survey, review: &review, ruling: &ruling };
        if let Some(model) = self.schools.get_mut(id) {
            return model.update(documents);
        }
        let (school, declared) = register();
        let model = SchoolModel::new(school, declared, self.settings.clone(), documents);
        self.schools.insert(id.clone(), model);
        true
    }

    fn assess(&mut self, id: &SchoolId) {
        self.conflicts = None;
        if let Some(model) = self.schools.get(id) {
            let input = school_input(self.assessor.standard(), model.school(), &self.input);
            self.assessor.set_school(input);
        }
    }

    async fn read_county(&mut self, hub: &Hub, round: &Round) -> Result<(), Fault> {
        let county = hub.read(&name(round, None, DocumentKind::County)).await?;
        let county = county.read();
        self.county_heads = heads(&county);
        self.conflicts = None;
        let consolidated = consolidate_county(&round.county, &county);
        self.assessor.set_county(county_input(self.assessor.standard(), &consolidated));
        Ok(())
    }
}

fn name(round: &Round, school: Option<&SchoolId>, kind: DocumentKind) -> DocumentName {
    DocumentName { round: round.row.id.clone(), school: school.cloned(), kind }
}

fn heads(doc: &Automerge) -> BTreeSet<String> {
    doc.get_heads().iter().map(|head| random::hex(&head.0)).collect()
}
