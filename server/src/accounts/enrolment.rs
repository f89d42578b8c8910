//! How devices join: one-time codes, and what becomes of them.

use std::collections::BTreeSet;

use duxue_document::{PersonId, RoundId, SchoolId};
use ed25519_dalek::VerifyingKey;
use serde_json::json;

use crate::audit::{By, event};
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::random;
use crate::rounds::Rounds;
use crate::rounds::rows::AssignmentRow;
use crate::store::{Record, StoreError};

use super::rows::{CODES, Code, DEVICES, Device};
use super::{Accounts, CODE_MS, Caller, NewSession, checked_name, hash_of, random_id};

impl Accounts {
    /// Whether the caller may give a device to someone who is known already: a
    /// device speaks with all rights of its person, also with those that have
    /// ended, so they must not reach further than what the caller could give.
    #[must_use]
    pub fn may_enrol(&self, rounds: &Rounds, caller: &Caller, person: &PersonId) -> bool {
        let account = self.person(person);
        let device_only = account.is_some_and(|account| account.login.is_none() && !account.administrator);
        caller.administrator || (device_only && rounds.may_assign_all(caller, person))
    }

    /// Makes a one-time code with which a device of the person joins.
    ///
    /// # Errors
    /// What the store says.
    pub async fn new_code(
        &self,
        rounds: &Rounds,
        by: &Caller,
        person: &PersonId,
        round: &RoundId,
        schools: BTreeSet<SchoolId>,
        now_ms: i64,
    ) -> Result<(String, i64), Fault> {
        let code = random::hex(&random::bytes::<16>()?);
        let row = Code {
            person: person.clone(),
            round: round.clone(),
            schools,
            by: Some(by.person.clone()),
            turns: rounds.turns(person),
            expires_ms: now_ms + CODE_MS,
        };
        let hash = hash_of(&code);
        let made = event("enrolment.code", &By::from(by), now_ms, code_details(&row));
        let records = vec![CODES.put(&hash, &row)?, made];
        self.store.commit(records).await?;
        let expires_ms = row.expires_ms;
        self.write(|cache| cache.codes.insert(hash, row));
        Ok((code, expires_ms))
    }

    /// A device joins with its code: the code is used up, the device is known,
    /// and the person is assigned to the code's schools, in one commit.
    ///
    /// Rights are those of this moment: a code whose maker could no longer make
    /// it, or whose person has lost or changed a role since, is used up too.
    ///
    /// # Errors
    /// `enrol.refused` for a code that is unknown, used, too old or overtaken;
    /// `request.invalid` for a key or name that does not fit.
    pub async fn enrol(
        &self,
        rounds: &Rounds,
        code: &str,
        public_key: &str,
        device_name: &str,
        now_ms: i64,
    ) -> Result<NewSession, Fault> {
        let _writing = self.writing.lock().await;
        let name = checked_name(device_name)?;
        let key = random::from_hex::<32>(public_key)
            .filter(|key| VerifyingKey::from_bytes(key).is_ok())
            .ok_or_else(|| fault::invalid().with_detail("public_key"))?;
        let hash = hash_of(code);
        let row = self
            .read(|cache| cache.codes.get(&hash).cloned())
            .filter(|row| row.expires_ms > now_ms)
            .ok_or_else(fault::code_refused)?;
        let device = Device {
            id: random_id("d-")?,
            person: row.person.clone(),
            name,
            public_key: random::hex(&key),
            enrolled_ms: now_ms,
            revoked_ms: None,
        };
        let _unchanged = rounds.hold_writes().await;
        if !self.stands(rounds, &row) {
            let refused = event("enrolment.refused", &By::Stranger, now_ms, code_details(&row));
            self.store.commit(vec![CODES.remove(&hash), refused]).await?;
            self.write(|cache| cache.codes.remove(&hash));
            return Err(fault::code_refused());
        }
        let by = By::Person(row.person.clone(), Some(device.id.clone()));
        let mut records = vec![
            CODES.remove(&hash),
            DEVICES.put(device.id.as_str().as_bytes(), &device)?,
            event("enrolled", &by, now_ms, code_details(&row)),
        ];
        let assignment = rounds.assignment_added(&row.round, &row.person, &row.schools)?;
        if let Some(row) = &assignment {
            records.push(row.record()?);
        }
        let session = self.open_session(&row.person, Some(device.id.clone()), now_ms, records).await?;
        self.write(|cache| {
            cache.codes.remove(&hash);
            cache.devices.insert(device.id.clone(), device);
        });
        if let Some(row) = assignment {
            rounds.assigned(row);
        }
        Ok(session)
    }

    /// Whether a code may still be redeemed, by the assignments of now.
    fn stands(&self, rounds: &Rounds, code: &Code) -> bool {
        let maker = code.by.as_ref().and_then(|by| self.person(by));
        let Some((maker, round)) = maker.zip(rounds.get(&code.round)) else { return false };
        let maker =
            Caller { person: maker.id, device: None, administrator: maker.administrator, expires_ms: 0 };
        rounds.turns(&code.person) == code.turns
            && round.may(&maker, Service::Assign)
            && self.may_enrol(rounds, &maker, &code.person)
    }
}

/// What the audit log says of a code.
fn code_details(code: &Code) -> [(&'static str, serde_json::Value); 4] {
    [
        ("person", json!(code.person)),
        ("round", json!(code.round)),
        ("schools", json!(code.schools)),
        ("made_by", json!(code.by)),
    ]
}

impl AssignmentRow {
    fn record(&self) -> Result<Record, StoreError> {
        crate::rounds::rows::ASSIGNMENTS.put(&self.key(), self)
    }
}
