//! One round: its schools and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::consolidate::{Documents, Settings};
use duxue_document::{DocumentKind, SchoolId};

use crate::fault::{self, Fault};
use crate::hub::Hub;
use crate::hub::document::Shared;
use crate::rounds::{DocumentName, Round};

use super::school::SchoolModel;

/// A round as the desk sees it.
pub struct RoundModel {
    settings: Settings,
    schools: BTreeMap<SchoolId, SchoolModel>,
}

impl RoundModel {
    /// Reads every document of the round.
    ///
    /// # Errors
    /// `store.failed` where a document cannot be loaded.
    pub async fn load(hub: &Hub, round: &Round) -> Result<Self, Fault> {
        let settings = Settings {
            tolerance: round.row.settings.tolerance.clone(),
            require_acceptance: round.row.settings.require_acceptance,
        };
        let mut model = Self { settings, schools: BTreeMap::new() };
        for school in round.schools.keys() {
            model.read(hub, round, school).await?;
        }
        Ok(model)
    }

    /// Brings the marked parts up to date.
    ///
    /// # Errors
    /// `store.failed` where a document cannot be loaded.
    pub async fn refresh(
        &mut self,
        hub: &Hub,
        round: &Round,
        register: bool,
        _county: bool,
        schools: &BTreeSet<SchoolId>,
    ) -> Result<(), Fault> {
        if register {
            for (id, (school, declared)) in &round.schools {
                match self.schools.get_mut(id) {
                    Some(model) => model.set_register(school, declared),
                    None => self.read(hub, round, id).await?,
                }
            }
        }
        for school in schools {
            self.read(hub, round, school).await?;
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

    async fn read(&mut self, hub: &Hub, round: &Round, id: &SchoolId) -> Result<(), Fault> {
        let Some((school, declared)) = round.schools.get(id) else { return Ok(()) };
        let survey = document(hub, round, id, DocumentKind::Survey).await?;
        let review = document(hub, round, id, DocumentKind::Review).await?;
        let ruling = document(hub, round, id, DocumentKind::Ruling).await?;
        let (survey, review, ruling) = (survey.read(), review.read(), ruling.read());
        let documents = Documents { survey: &survey, review: &review, ruling: &ruling };
        match self.schools.get_mut(id) {
            Some(model) => model.update(documents),
            None => {
                let settings = self.settings.clone();
                let model = SchoolModel::new(school.clone(), declared.clone(), settings, documents);
                self.schools.insert(id.clone(), model);
            }
        }
        Ok(())
    }
}

async fn document(hub: &Hub, round: &Round, school: &SchoolId, kind: DocumentKind) -> Result<Shared, Fault> {
    hub.read(&DocumentName { round: round.row.id.clone(), school: Some(school.clone()), kind }).await
}
