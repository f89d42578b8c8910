//! Start-up: reads everything that the store holds.
//!
//! One range read gives a consistent picture. A record that cannot be read is
//! reported and left alone; only a store of a newer version, or one whose
//! `meta` is unreadable, is refused whole.

use duxue_document::collections::BTreeMap;

use serde::de::DeserializeOwned;

use duxue_document::DocumentId;
use duxue_protocol::problem::Problem;

use crate::document::LocalDocument;
use crate::engine::{Engine, Pending, Turn, json, meta};
use crate::event::{Key, Notice, StoreInfo};
use crate::packet::Packet;
use crate::store::{self, ActorRecord, Meta};
use crate::{identity, keys};

/// The start-up machine, between opening the store and its one answer.
pub struct Loader {
    info: StoreInfo,
}

impl Loader {
    /// Waits for the store's rows.
    #[must_use]
    pub fn new(info: StoreInfo) -> Self {
        Self { info }
    }

    /// Fills the engine.
    pub(crate) fn read(
        self,
        rows: Vec<(Key, Vec<u8>)>,
        unread: Vec<Key>,
        engine: &mut Engine,
        turn: &mut Turn,
    ) -> Result<(), Problem> {
        if unread.iter().any(|key| key == keys::META) {
            return Err(unreadable(keys::META));
        }
        let mut documents: BTreeMap<DocumentId, Vec<(Key, Vec<u8>)>> = BTreeMap::new();
        let mut stored_meta = None;
        for (key, bytes) in rows {
            if key == keys::META {
                stored_meta = Some(bytes);
                continue;
            }
            let read = match key.split_once('/').map_or(key.as_str(), |(table, _)| table) {
                "doc" => {
                    document_of(&key).map(|id| documents.entry(id).or_default().push((key.clone(), bytes)))
                }
                _ => record(&key, &bytes, engine),
            };
            if read.is_none() {
                turn.notice(Notice::Trouble { problem: unreadable(&key) });
            }
        }
        self.check_meta(stored_meta, engine, turn)?;
        for (id, rows) in documents {
            match engine.documents.get_mut(&id) {
                Some(local) => local.load(rows),
                None => turn.notice(Notice::Trouble { problem: unreadable(&keys::about(&id)) }),
            }
        }
        for key in &unread {
            turn.notice(Notice::Trouble { problem: unreadable(key) });
            let document = key.starts_with("doc/").then(|| document_of(key)).flatten();
            if let Some(local) = document.and_then(|id| engine.documents.get_mut(&id)) {
                local.damaged = true;
            }
        }
        for local in engine.documents.values().filter(|local| local.damaged) {
            turn.notice(Notice::Trouble { problem: unreadable(&format!("doc/{}", local.id())) });
        }
        Ok(())
    }

    fn check_meta(
        &self,
        stored: Option<Vec<u8>>,
        engine: &mut Engine,
        turn: &mut Turn,
    ) -> Result<(), Problem> {
        let known: Option<Meta> = match stored {
            None => None,
            Some(bytes) => Some(duxue_protocol::json::read(&bytes).map_err(|_| unreadable(keys::META))?),
        };
        if known.as_ref().is_some_and(|known| known.format > store::FORMAT) {
            return Err(Problem::new(
                "store.newer",
                "本机数据由更新版本的程序写入，请升级后再打开",
                "the local data was written by a newer version of this program: upgrade it",
            ));
        }
        match known {
            Some(known) if known.stamp == self.info.stamp && self.info.exclusive => {
                engine.incarnation = known.incarnation;
            }
            // New, copied, restored, or shared with another program: changes
            // made here must not continue the sequence of another copy.
            _ => {
                engine.incarnation = identity::hex(&turn.random::<16>());
                if self.info.exclusive {
                    let record = json(&meta(&self.info, &engine.incarnation));
                    engine.write(
                        vec![(keys::META.to_owned(), record)],
                        Vec::new(),
                        Pending::Record(None),
                        turn,
                    );
                }
            }
        }
        Ok(())
    }
}

fn document_of(key: &str) -> Option<DocumentId> {
    key.split('/').nth(1)?.parse().ok()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    duxue_protocol::json::read(bytes).ok()
}

/// Takes one small record; `None` if it cannot be read.
fn record(key: &str, bytes: &[u8], engine: &mut Engine) -> Option<()> {
    let (table, name) = key.split_once('/').unwrap_or((key, ""));
    match table {
        keys::IDENTITY => engine.identity = Some(read(bytes)?),
        keys::ACKED => engine.acked = read(bytes)?,
        "packet" => {
            engine.packets.insert(name.parse().ok()?, Packet::new(read(bytes)?));
        }
        "actor" => {
            let record: ActorRecord = read(bytes)?;
            engine.own_actors.insert(record.actor.clone(), record.person.clone());
            engine.actors.insert(name.parse().ok()?, record);
        }
        "former" => {
            let record: ActorRecord = read(bytes)?;
            engine.own_actors.insert(record.actor, record.person);
        }
        "about" => {
            let mut local = LocalDocument::new(read(bytes)?);
            local.about_stored = true;
            engine.documents.insert(local.id(), local);
        }
        "photo" => {
            engine.photos.insert(name.parse().ok()?, read(bytes)?);
        }
        "receipt" => {
            engine.receipts.insert(key.to_owned(), read(bytes)?);
        }
        "left_out" => {
            engine.left_out.insert(key.to_owned(), read(bytes)?);
        }
        "draft" => {
            engine.drafts.insert(name.to_owned(), String::from_utf8(bytes.to_vec()).ok()?);
        }
        // Kept for people who look for something; nothing reads it.
        "aside" => {}
        _ => return None,
    }
    Some(())
}

fn unreadable(key: &str) -> Problem {
    Problem::new(
        "store.unreadable",
        "本机的一条记录无法读取，已原样保留，其余数据照常使用",
        "a local record cannot be read; it is kept as it is, and the rest is used",
    )
    .with_detail(key)
}
