//! The engine for a browser: events in, effects out, as plain JavaScript
//! values. Storage, sockets, HTTP, timers and the clock stay in TypeScript
//! (`web/src/core`), which runs the effects in their order.
//!
//! Numbers that name something and times are `bigint`, so that none of them
//! passes through a float. Commands, queries and their answers are JSON text.

mod effects;
mod query;
mod strip;
mod typed;

use duxue_document::collections::BTreeMap;

use duxue_client_core::error::unreachable;
use duxue_client_core::{
    CLOSED, CommandId, Engine, Event, HttpAnswer, HttpError, HttpId, LinkId, StorageAnswer, StorageError,
    StorageId, StoreInfo,
};
use duxue_protocol::problem::Problem;
use js_sys::{Array, Function, Uint8Array};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

/// Has a panic's message handed to a function before the engine stops for
/// good: whoever holds it makes a new one from the store.
#[wasm_bindgen]
pub fn report_panics(to: Function) {
    std::panic::set_hook(Box::new(move |panic| {
        // A report that cannot be made changes nothing: the trap follows.
        let _ = to.call1(&JsValue::NULL, &panic.to_string().into());
    }));
}

/// An engine.
#[wasm_bindgen]
pub struct Client {
    engine: Engine,
    rng: ChaCha20Rng,
}

#[wasm_bindgen]
impl Client {
    /// A new engine. `seed` is 32 bytes of `crypto.getRandomValues`.
    ///
    /// # Errors
    /// Where the seed has another length.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: &[u8]) -> Result<Client, JsValue> {
        let seed: [u8; 32] = seed.try_into().map_err(|_| JsValue::from_str("the seed needs 32 bytes"))?;
        Ok(Self { engine: Engine::new(), rng: ChaCha20Rng::from_seed(seed) })
    }

    /// The store is open.
    pub fn start(&mut self, now_ms: i64, stamp: String, exclusive: bool) -> Array {
        self.handle(now_ms, Event::Start(StoreInfo { stamp, exclusive }))
    }

    /// What is in memory and may not be on disk: keys and bytes alternate;
    /// `undefined` stands for a key that goes.
    pub fn in_memory(&self) -> Array {
        let rows = self.engine.in_memory().into_iter();
        rows.flat_map(|(key, bytes)| {
            let bytes = bytes.map_or(JsValue::UNDEFINED, |bytes| Uint8Array::from(&bytes[..]).into());
            [JsValue::from(key), bytes]
        })
        .collect()
    }

    /// A range was read: keys in order, each with its bytes.
    pub fn loaded(&mut self, now_ms: i64, id: u64, keys: Vec<String>, values: &Array) -> Array {
        let values = values.iter().map(|value| Uint8Array::new(&value).to_vec());
        let rows = keys.into_iter().zip(values).collect();
        let result = Ok(StorageAnswer::Range { rows, unreadable: Vec::new() });
        self.handle(now_ms, Event::Stored { id: StorageId(id), result })
    }

    /// A batch is on disk, flushed.
    pub fn written(&mut self, now_ms: i64, id: u64) -> Array {
        let result = Ok(StorageAnswer::Written);
        self.handle(now_ms, Event::Stored { id: StorageId(id), result })
    }

    /// A storage task failed.
    pub fn storage_failed(&mut self, now_ms: i64, id: u64, full: bool, reason: String) -> Array {
        let error = if full { StorageError::Full } else { StorageError::Failed(reason) };
        self.handle(now_ms, Event::Stored { id: StorageId(id), result: Err(error) })
    }

    /// A socket is open.
    pub fn connected(&mut self, now_ms: i64, link: u64) -> Array {
        self.handle(now_ms, Event::Connected { link: LinkId(link) })
    }

    /// A frame arrived.
    pub fn frame(&mut self, now_ms: i64, link: u64, bytes: Vec<u8>) -> Array {
        self.handle(now_ms, Event::Frame { link: LinkId(link), bytes })
    }

    /// A socket ended, which was open or was not.
    pub fn disconnected(&mut self, now_ms: i64, link: u64, opened: bool, detail: String) -> Array {
        let reason = if opened { CLOSED.with_detail(detail) } else { unreachable(detail) };
        self.handle(now_ms, Event::Disconnected { link: LinkId(link), reason })
    }

    /// A request was answered: header names and values alternate.
    pub fn answered(
        &mut self,
        now_ms: i64,
        id: u64,
        status: u16,
        headers: Vec<String>,
        body: Vec<u8>,
    ) -> Array {
        let (pairs, _) = headers.as_chunks::<2>();
        let headers: BTreeMap<String, String> =
            pairs.iter().map(|[name, value]| (name.to_ascii_lowercase(), value.clone())).collect();
        let result = Ok(HttpAnswer { status, headers, body });
        self.handle(now_ms, Event::Http { id: HttpId(id), result })
    }

    /// A request had no answer.
    pub fn unanswered(&mut self, now_ms: i64, id: u64, detail: String) -> Array {
        let result = Err(HttpError::NoAnswer(unreachable(detail)));
        self.handle(now_ms, Event::Http { id: HttpId(id), result })
    }

    /// A request was not sent, because this device cannot read the photo.
    pub fn photo_unreadable(&mut self, now_ms: i64, id: u64, detail: String) -> Array {
        let result = Err(HttpError::PhotoUnreadable(PHOTO_UNREADABLE.with_detail(detail)));
        self.handle(now_ms, Event::Http { id: HttpId(id), result })
    }

    /// The time that was asked for has come.
    pub fn timer(&mut self, now_ms: i64) -> Array {
        self.handle(now_ms, Event::Timer)
    }

    /// The user wants something; `command` is JSON.
    ///
    /// # Errors
    /// A problem as JSON where the text is not a command.
    pub fn command(&mut self, now_ms: i64, id: u64, command: &str) -> Result<Array, JsValue> {
        let command = typed::command(command).map_err(unreadable)?;
        Ok(self.handle(now_ms, Event::Command { id: CommandId(id), command }))
    }

    /// What there is to show; `query` and the answer are JSON.
    ///
    /// # Errors
    /// A problem as JSON.
    pub fn query(&self, query: &str) -> Result<String, JsValue> {
        let query = query::read(query).map_err(unreadable)?;
        query::answer(&self.engine, &query).map_err(|problem| thrown(&problem))
    }
}

impl Client {
    fn handle(&mut self, now_ms: i64, event: Event) -> Array {
        let effects = self.engine.handle(now_ms, &mut self.rng, event);
        effects.into_iter().map(|effect| effects::plain(effect).unchecked_into::<JsValue>()).collect()
    }
}

/// The bytes of a photo that are not where they were put.
const PHOTO_UNREADABLE: Problem = Problem::new(
    "photo.unreadable",
    "本机存的照片读不出来：请重新拍摄，或从图库再选一次",
    "the photo cannot be read on this device: take it again, or choose it from the gallery again",
);

fn unreadable(reason: String) -> JsValue {
    let problem =
        Problem::new("client.unreadable", "程序内部的请求有误", "the request of the app is malformed");
    thrown(&problem.with_detail(reason))
}

/// A problem that JavaScript catches, as JSON text.
fn thrown(problem: &Problem) -> JsValue {
    JsValue::from_str(&serde_json::to_string(problem).unwrap_or_default())
}
