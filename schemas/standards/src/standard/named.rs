//! Quantities as rules name them.

use duxue_document::QuantityId;
use serde::{Serialize, Serializer};

use super::Standard;

/// A quantity that a rule names. What the rules ask of it at every step is
/// looked up once, when the standard is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: QuantityId,
    /// Its place among the quantities of the standard.
    pub(crate) number: usize,
    /// Whether it is a figure of the county.
    pub(crate) county: bool,
    /// Whether it is counted for the school as a whole.
    pub(crate) whole: bool,
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl Standard {
    /// A quantity of the standard, for rules.
    pub(crate) fn named(&self, id: &QuantityId) -> Option<Named> {
        let quantity = self.quantities.get(id)?;
        let whole = quantity.parts.contains(&duxue_document::school::Part::Whole);
        Some(Named { id: id.clone(), number: quantity.number, county: quantity.county, whole })
    }
}
