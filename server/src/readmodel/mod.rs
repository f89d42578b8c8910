//! What the desk reads: consolidated schools, conflicts, assessments.
//!
//! A batch that the hub applied only marks its school; whoever asks next has
//! the marked schools brought up to date first, each by its changed entries.
//! So a reader never sees less than was acknowledged before, and many edits
//! between two questions cost one update.
//!
//! What the open conflicts would do is dear. It is worked out in the
//! background ([`inbox`]), at most once a tick.
//!
//! A round of which nobody has asked for a while is not in memory and costs
//! no work: a server may hold thousands of counties of which a few are looked
//! at. Whoever asks first waits until its documents are read.

pub mod conflicts;
pub mod inbox;
pub mod round;
pub mod school;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use duxue_document::{RoundId, SchoolId};
use duxue_standards::{Standard, builtin};
use tokio::time::Instant;

use crate::fault::{self, Fault};
use crate::hub::document::Shared;
use crate::hub::{Hub, Observer, WeakHub};
use crate::rounds::rows::RoundRow;
use crate::rounds::{DocumentName, Rounds};
use crate::store::{JournalNumber, Store};

pub use inbox::TICK;
pub use round::RoundModel;

/// How long a round stays in memory after the last question.
pub const KEPT: Duration = Duration::from_secs(10 * 60);

/// What has changed in a round since the last look.
#[derive(Debug, Default)]
struct Dirty {
    register: bool,
    county: bool,
    schools: BTreeSet<SchoolId>,
}

/// One round's place.
#[derive(Default)]
struct Slot {
    model: tokio::sync::Mutex<Option<RoundModel>>,
    inbox: inbox::Latest,
    /// When somebody last asked; `None` after it was dropped.
    asked: Mutex<Option<Instant>>,
}

impl Slot {
    fn asked(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self) -> bool {
        self.asked().is_some_and(|asked| asked.elapsed() < KEPT)
    }
}

/// Where a model reads what it is made from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The documents.
    pub hub: &'a Hub,
    /// Whose their actors are.
    pub store: &'a dyn Store,
}

/// The read models of all rounds.
pub struct ReadModel {
    rounds: Arc<Rounds>,
    store: Arc<dyn Store>,
    hub: OnceLock<WeakHub>,
    dirty: Mutex<HashMap<RoundId, Dirty>>,
    slots: Mutex<HashMap<RoundId, Arc<Slot>>>,
    due: inbox::Due,
}

impl ReadModel {
    /// Nothing is read until someone asks.
    #[must_use]
    pub fn new(rounds: Arc<Rounds>, store: Arc<dyn Store>) -> Self {
        Self {
            rounds,
            store,
            hub: OnceLock::new(),
            dirty: Mutex::default(),
            slots: Mutex::default(),
            due: inbox::Due::default(),
        }
    }

    /// Says where documents are read; the hub holds this observer.
    pub fn connect(&self, hub: &Hub) {
        let _ = self.hub.set(hub.downgrade());
    }

    /// Marks the register of a round, after an import.
    pub fn register_changed(&self, round: &RoundId) {
        self.mark(round, |dirty| dirty.register = true);
    }

    /// Looks at a round that is up to date. Keep it short: other readers of
    /// the round wait.
    ///
    /// # Errors
    /// `not_found`, or `store.failed` where a document cannot be loaded.
    pub async fn look<T>(
        &self,
        id: &RoundId,
        look: impl FnOnce(&mut RoundModel) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.rounds.get(id).ok_or_else(fault::not_found)?;
        *self.slot(id).asked() = Some(Instant::now());
        self.read(id, look).await
    }

    /// As [`ReadModel::look`], without being a question.
    async fn read<T>(
        &self,
        id: &RoundId,
        look: impl FnOnce(&mut RoundModel) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let hub = self.hub.get().and_then(WeakHub::upgrade).ok_or_else(fault::not_ready)?;
        let sources = Sources { hub: &hub, store: &*self.store };
        let slot = self.slot(id);
        let mut place = slot.model.lock().await;
        // Out of its place while it is worked on: whatever ends that early, a
        // half refreshed model without its marks is not a state to answer from.
        let known = place.take();
        // Taken before the round and its documents are read: what is applied
        // meanwhile is marked again.
        let dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner).remove(id).unwrap_or_default();
        let round = self.rounds.get(id).ok_or_else(fault::not_found)?;
        let current = match known {
            Some(mut model) => {
                model.refresh(sources, round, dirty.register, dirty.county, &dirty.schools).await?;
                model
            }
            None => {
                let standard = standard(&round.row)?;
                RoundModel::load(sources, round, standard).await?
            }
        };
        let model = place.insert(current);
        crate::heavy::heavy(usize::MAX, || look(model))
    }

    /// How many rounds are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.asked().is_some()).count()
    }

    fn slot(&self, id: &RoundId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(id.clone()).or_default())
    }

    fn mark(&self, round: &RoundId, mark: impl FnOnce(&mut Dirty)) {
        {
            let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
            mark(dirty.entry(round.clone()).or_default());
        }
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(round).is_some_and(|slot| slot.is_wanted()) {
            self.due.add(round);
        }
    }

    /// Drops the rounds of which nobody has asked for a while.
    fn drop_unasked(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values().filter(|slot| !slot.is_wanted()) {
            // Whoever holds it is reading it.
            let Ok(mut model) = slot.model.try_lock() else { continue };
            *model = None;
            slot.inbox.forget();
            *slot.asked() = None;
        }
    }
}

/// The round's standard with its overlays.
///
/// # Errors
/// `round.standard` for a standard that this build does not have, or an
/// overlay that does not fit its base.
pub fn standard(round: &RoundRow) -> Result<Arc<Standard>, Fault> {
    let ids = std::iter::once(&round.standard).chain(&round.overlays);
    let texts: Option<Vec<&str>> = ids.map(|id| builtin::text(id)).collect();
    let texts = texts.ok_or_else(fault::unknown_standard)?;
    Standard::load(&texts).map(Arc::new).map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        fault::unknown_standard().with_detail(first)
    })
}

impl Observer for ReadModel {
    fn applied(&self, name: &DocumentName, _: JournalNumber, _: &Shared) {
        self.mark(&name.round, |dirty| match &name.school {
            Some(school) => {
                dirty.schools.insert(school.clone());
            }
            None => dirty.county = true,
        });
    }
}
