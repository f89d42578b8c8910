use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::store::conformance::Reopen;
use crate::store::faulty::SimulatedDisk;

/// Small segments, so that a few records make several.
pub(super) const SMALL: journal::Options = journal::Options { segment_bytes: 2_000, reserve_bytes: 0 };

/// A folder that goes with the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Reopen for Place {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open_with(&self.path(), SMALL).unwrap())
    }
}

mod on_a_folder {
    use super::Place;
    crate::store_conformance!(Place::new());
}

/// The journal on a disk in memory, without faults.
struct SimulatedPlace(Place, SimulatedDisk);

impl Reopen for SimulatedPlace {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open_on(&self.0.path(), Arc::new(self.1.clone()), SMALL).unwrap())
    }
}

mod on_a_simulated_disk {
    use super::{Place, SimulatedDisk, SimulatedPlace};
    crate::store_conformance!(SimulatedPlace(Place::new(), SimulatedDisk::new(1)));
}
