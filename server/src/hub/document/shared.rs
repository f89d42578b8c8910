//! The Automerge document that its owner writes and others may read.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use automerge::Automerge;

/// An Automerge document that its owner writes and others may read.
#[derive(Clone)]
pub struct Shared(Arc<RwLock<Automerge>>);

impl Shared {
    pub(super) fn new(doc: Automerge) -> Self {
        Self(Arc::new(RwLock::new(doc)))
    }

    /// Reads; keep it short, the owner waits.
    pub fn read(&self) -> RwLockReadGuard<'_, Automerge> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, for the owner.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Automerge> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
