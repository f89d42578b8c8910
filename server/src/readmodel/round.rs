//! One round: its schools and their assessment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use automerge::ChangeHash;
use duxue_document::consolidate::{Documents, Settings, consolidate_county};
use duxue_document::consolidated::ConsolidatedCounty;
use duxue_document::school::Declared;
use duxue_document::{DocumentId, DocumentKind, SchoolId};
use duxue_protocol::api::ConflictView;
use duxue_standards::Standard;
use duxue_standards::assess::{Assessor, Provenance, hash};
use duxue_standards::effects::effects_of;
use duxue_standards::input::{InputSettings, county_input, school_input};

use crate::fault::{self, Fault};
use crate::hub::document::Shared;
use crate::hub::rows::{ACTORS, ActorRow};
use crate::random;
use crate::rounds::{DocumentName, Round};

use super::school::{self, SchoolModel, UNREADABLE};
use super::{Sources, conflicts};

/// Numbers every state of every model, so that a model that is read anew is
/// not taken for an earlier one.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// A round as the desk sees it.
pub struct RoundModel {
    /// Register and declared figures that the schools were read with.
    round: Arc<Round>,
    settings: Settings,
    input: InputSettings,
    schools: BTreeMap<SchoolId, Arc<SchoolModel>>,
    county: CountyModel,
    /// Schools of which a document could not be read; tried again each time
    /// that someone asks.
    unreadable: BTreeSet<SchoolId>,
    /// Whose the actors in the documents are. A binding is stored with the
    /// first change that it is about and never changes.
    bindings: BTreeMap<DocumentId, BTreeMap<String, ActorRow>>,
    assessor: Arc<Assessor>,
    version: u64,
    /// The version whose origin the assessor names.
    named: u64,
}

/// The county's own document.
#[derive(Default)]
struct CountyModel {
    consolidated: Option<Arc<ConsolidatedCounty>>,
    heads: Vec<ChangeHash>,
    actors: BTreeSet<String>,
}

/// What the conflicts of a round are worked out from, apart from the model.
pub struct Snapshot {
    version: u64,
    schools: BTreeMap<SchoolId, Arc<SchoolModel>>,
    assessor: Arc<Assessor>,
}

impl Snapshot {
    /// The version of the model.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The open conflicts in the order of the inbox, without the people behind
    /// them. The work grows with conflicts × candidates × schools.
    #[must_use]
    pub fn conflicts(&self) -> Vec<ConflictView> {
        let mut all = Vec::new();
        for (id, school) in &self.schools {
            if !school.conflicts().is_empty() {
                all.extend(conflicts::views(school, &effects_of(&self.assessor, id)));
            }
        }
        conflicts::sort(&mut all);
        all
    }
}

impl RoundModel {
    /// Reads every document of the round.
    ///
    /// # Errors
    /// `store.failed` where the county's document cannot be loaded.
    pub async fn load(
        sources: Sources<'_>,
        round: Arc<Round>,
        standard: Arc<Standard>,
    ) -> Result<Self, Fault> {
        let given = &round.row.settings;
        let mut model = Self {
            round: Arc::clone(&round),
            settings: Settings {
                tolerance: given.tolerance.clone(),
                require_acceptance: given.require_acceptance,
            },
            input: InputSettings { tolerance: given.tolerance.clone() },
            schools: BTreeMap::new(),
            county: CountyModel::default(),
            unreadable: BTreeSet::new(),
            bindings: BTreeMap::new(),
            assessor: Arc::new(Assessor::new(standard, given.as_of.clone())),
            version: 0,
            named: 0,
        };
        for school in round.schools.keys() {
            model.read(sources, &round, school).await?;
        }
        model.read_county(sources, &round).await?;
        Ok(model)
    }

    /// Brings the marked parts up to date.
    ///
    /// # Errors
    /// `store.failed` where the county's document cannot be loaded.
    pub async fn refresh(
        &mut self,
        sources: Sources<'_>,
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
                self.read(sources, &round, school).await?;
            }
        }
        for school in self.unreadable.union(schools).cloned().collect::<Vec<_>>() {
            self.read(sources, &round, &school).await?;
        }
        if county || register {
            self.read_county(sources, &round).await?;
        }
        Ok(())
    }

    /// Grows whenever anything changes.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The schools in the order of their ids.
    #[must_use]
    pub fn schools(&self) -> &BTreeMap<SchoolId, Arc<SchoolModel>> {
        &self.schools
    }

    /// A school.
    ///
    /// # Errors
    /// `not_found`.
    pub fn school(&self, id: &SchoolId) -> Result<&Arc<SchoolModel>, Fault> {
        self.schools.get(id).ok_or_else(fault::not_found)
    }

    /// The county's own figures and answers.
    ///
    /// # Errors
    /// `not_found`; never after the model was read.
    pub fn county(&self) -> Result<Arc<ConsolidatedCounty>, Fault> {
        self.county.consolidated.clone().ok_or_else(fault::not_found)
    }

    /// Conflicts that someone has to settle, of the schools and of the county.
    #[must_use]
    pub fn open_conflicts(&self) -> usize {
        let of_schools = self.schools.values().map(|school| school.summary().conflicts as usize);
        let county = self.county.consolidated.as_ref().map_or(0, |county| county.conflicts().len());
        of_schools.sum::<usize>() + county
    }

    /// What the conflicts are worked out from; copies no document.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            version: self.version,
            schools: self.schools.clone(),
            assessor: Arc::clone(&self.assessor),
        }
    }

    /// The assessor of the round as it is now, naming what it was made from.
    pub fn assessor(&mut self) -> Arc<Assessor> {
        if self.named != self.version {
            let provenance = self.provenance();
            Arc::make_mut(&mut self.assessor).set_provenance(provenance);
            self.named = self.version;
        }
        Arc::clone(&self.assessor)
    }

    fn provenance(&self) -> Provenance {
        let round = &self.round;
        let declared: BTreeMap<&SchoolId, &Declared> =
            round.schools.iter().map(|(id, (_, declared))| (id, declared)).collect();
        let register: Vec<_> = round.schools.values().map(|(school, _)| school).collect();
        Provenance {
            round: round.row.id.to_string(),
            documents: self.document_heads(),
            declared: hash(&(&round.county, declared)),
            register: hash(&register),
            actor_bindings: hash(&self.bindings),
            settings: hash(&round.row.settings),
            synthetic: round.row.settings.synthetic,
        }
    }

    /// Heads (hex) of every document that the model was made from.
    #[must_use]
    pub fn document_heads(&self) -> BTreeMap<DocumentId, BTreeSet<String>> {
        let of_schools = self.schools.iter().flat_map(|(id, school)| {
            let heads = school.heads().iter();
            heads.map(|(kind, heads)| {
                // An assessment says so where it was made without a document.
                let unreadable = school.is_unreadable() == Some(*kind);
                let heads = if unreadable { [UNREADABLE.to_owned()].into() } else { hex(heads) };
                (name(&self.round, Some(id), *kind).id(), heads)
            })
        });
        let county = (name(&self.round, None, DocumentKind::County).id(), hex(&self.county.heads));
        of_schools.chain([county]).collect()
    }

    fn set_register(&mut self, round: &Round) {
        self.changed();
        for (id, (school, declared)) in &round.schools {
            if let Some(model) = self.schools.get_mut(id).filter(|model| model.is_unreadable().is_none()) {
                Arc::make_mut(model).set_register(school, declared);
                self.assess(id);
            }
        }
    }

    async fn read(&mut self, sources: Sources<'_>, round: &Round, id: &SchoolId) -> Result<(), Fault> {
        let Some((school, declared)) = round.schools.get(id) else { return Ok(()) };
        let named = |kind| name(round, Some(id), kind);
        let [survey, review, ruling] = match documents(sources, named).await {
            Ok(documents) => documents,
            // The other schools are not made to wait for it.
            Err(kind) => {
                if self.unreadable.insert(id.clone()) {
                    tracing::error!(round = %round.row.id, school = %id, kind = kind.as_str(), "a document cannot be read");
                }
                let known = self.schools.get(id);
                if known.is_some_and(|known| {
                    known.is_unreadable() == Some(kind) && known.school().school == *school
                }) {
                    return Ok(());
                }
                let model = SchoolModel::unreadable(school.clone(), self.settings.clone(), kind);
                self.schools.insert(id.clone(), Arc::new(model));
                self.assess(id);
                return Ok(());
            }
        };
        if self.unreadable.remove(id) {
            self.schools.remove(id);
        }
        let changed =
            self.consolidate(id, [&survey, &review, &ruling], || (school.clone(), declared.clone()));
        if changed.is_empty() {
            return Ok(());
        }
        for kind in changed {
            let written = self.schools.get(id).and_then(|school| school.actors().get(&kind)).cloned();
            self.bind(sources, named(kind).id(), &written.unwrap_or_default()).await?;
        }
        self.assess(id);
        Ok(())
    }

    /// Which documents have changed.
    fn consolidate(
        &mut self,
        id: &SchoolId,
        [survey, review, ruling]: [&Shared; 3],
        register: impl FnOnce() -> (duxue_document::school::School, Declared),
    ) -> BTreeSet<DocumentKind> {
        let (survey, review, ruling) = (survey.read(), review.read(), ruling.read());
        let documents = Documents { survey: &survey, review: &review, ruling: &ruling };
        if let Some(model) = self.schools.get_mut(id) {
            return Arc::make_mut(model).update(documents);
        }
        let (school, declared) = register();
        let model = SchoolModel::new(school, declared, self.settings.clone(), documents);
        self.schools.insert(id.clone(), Arc::new(model));
        school::KINDS.into_iter().collect()
    }

    /// Learns whose these actors of a document are, and of no others: someone
    /// may have begun to write since the document was read.
    async fn bind(
        &mut self,
        sources: Sources<'_>,
        document: DocumentId,
        written: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        let known = self.bindings.entry(document).or_default();
        if written.iter().all(|actor| known.contains_key(actor)) {
            return Ok(());
        }
        let rows = ACTORS.rows(sources.store, &document.0).await?;
        let own = rows.into_iter().map(|(_, row)| row).filter(|row| written.contains(&row.actor));
        known.extend(own.map(|row| (row.actor.clone(), row)));
        Ok(())
    }

    fn assess(&mut self, id: &SchoolId) {
        self.changed();
        if let Some(model) = self.schools.get(id) {
            let input = school_input(self.assessor.standard(), model.school(), &self.input);
            Arc::make_mut(&mut self.assessor).set_school(input);
        }
    }

    fn changed(&mut self) {
        self.version = VERSIONS.fetch_add(1, Ordering::Relaxed);
    }

    async fn read_county(&mut self, sources: Sources<'_>, round: &Round) -> Result<(), Fault> {
        let name = name(round, None, DocumentKind::County);
        let county = sources.hub.read(&name).await?;
        let (consolidated, heads, written) = {
            let county = county.read();
            let before = std::mem::take(&mut self.county.heads);
            let heads = county.get_heads();
            (consolidate_county(&round.county, &county), heads, school::actors(&county, &before))
        };
        self.changed();
        let input = county_input(self.assessor.standard(), &consolidated);
        Arc::make_mut(&mut self.assessor).set_county(input);
        self.county.heads = heads;
        self.county.consolidated = Some(Arc::new(consolidated));
        self.county.actors.extend(written);
        let written = self.county.actors.clone();
        self.bind(sources, name.id(), &written).await
    }
}

/// How often a document is tried whose reading failed: what is better the next
/// time is not called unreadable.
const TRIES: usize = 3;

/// The documents of a school, or the first that cannot be read.
async fn documents(
    sources: Sources<'_>,
    named: impl Fn(DocumentKind) -> DocumentName,
) -> Result<[Shared; 3], DocumentKind> {
    let read = async |kind| {
        for _ in 0..TRIES {
            match sources.hub.read(&named(kind)).await {
                Ok(document) => return Ok(document),
                Err(fault) if fault == fault::document_damaged() => break,
                Err(_) => {}
            }
        }
        Err(kind)
    };
    Ok([
        read(DocumentKind::Survey).await?,
        read(DocumentKind::Review).await?,
        read(DocumentKind::Ruling).await?,
    ])
}

fn name(round: &Round, school: Option<&SchoolId>, kind: DocumentKind) -> DocumentName {
    DocumentName { round: round.row.id.clone(), school: school.cloned(), kind }
}

fn hex(heads: &[ChangeHash]) -> BTreeSet<String> {
    heads.iter().map(|head| random::hex(&head.0)).collect()
}
