//! Typed rows over the store's tables: which tables this part of the server
//! keeps, and what a row of each holds. Values are JSON, so that an operator
//! can read them; keys are ids joined by a zero byte, which no id holds.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Record, Store, StoreError};

/// A table whose rows are of type `V`.
pub struct Table<V> {
    name: &'static str,
    row: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned> Table<V> {
    /// The table of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }

    /// The name that the table's records carry.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The record that puts a row.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the value cannot be written as JSON.
    pub fn put(&self, key: &[u8], value: &V) -> Result<Record, StoreError> {
        let value = serde_json::to_vec(value).map_err(|error| self.damaged(&error))?;
        Ok(Record::Row {
            table: self.name.to_owned(),
            key: key.to_vec(),
            value: Some(serde_bytes::ByteBuf::from(value)),
        })
    }

    /// The record that removes a row.
    #[must_use]
    pub fn remove(&self, key: &[u8]) -> Record {
        Record::Row { table: self.name.to_owned(), key: key.to_vec(), value: None }
    }

    /// One row.
    ///
    /// # Errors
    /// What the store says, or [`StoreError::Damaged`] for a row of another form.
    pub async fn row(&self, store: &dyn Store, key: &[u8]) -> Result<Option<V>, StoreError> {
        let value = store.row(self.name, key.to_vec()).await?;
        value.map(|value| serde_json::from_slice(&value).map_err(|error| self.damaged(&error))).transpose()
    }

    /// The rows whose key starts with `prefix`, in key order.
    ///
    /// # Errors
    /// What the store says, or [`StoreError::Damaged`] for a row of another form.
    pub async fn rows(&self, store: &dyn Store, prefix: &[u8]) -> Result<Vec<(Vec<u8>, V)>, StoreError> {
        let rows = store.rows(self.name, prefix.to_vec()).await?;
        rows.into_iter()
            .map(|(key, value)| match serde_json::from_slice(&value) {
                Ok(value) => Ok((key, value)),
                Err(error) => Err(self.damaged(&error)),
            })
            .collect()
    }

    fn damaged(&self, error: &serde_json::Error) -> StoreError {
        StoreError::Damaged(format!("a row of {}: {error}", self.name))
    }
}

/// Ids joined to a key.
#[must_use]
pub fn key(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}
