//! automerge-repo from npm, as a process.

use serde_json::{Value, json};

use super::{Foreign, survey};
use crate::node::Node;
use crate::round::{Round, password};

/// What a claim of the JavaScript client says of its circumstances.
#[must_use]
pub fn captured(counter: u32) -> Value {
    json!({ "device_time_ms": 1_790_000_000_000_u64, "boot_id": "js", "counter": counter })
}

impl Foreign for Node {
    const STOPS_AT_A_CLASH: bool = true;

    fn start(round: &Round, person: &str, folder: Option<&str>) -> Self {
        let folder = folder.map(|folder| round.path(folder));
        let (server, password) = (round.url(), password(person));
        let details = json!({ "server": server, "name": person, "password": password, "folder": folder });
        let mut node = Self::open(details);
        node.call("connected", json!({}));
        node
    }

    fn offline(round: &Round, folder: &str) -> Self {
        let folder = round.path(folder);
        Self::open(json!({ "server": "http://127.0.0.1:1", "token": "none", "folder": folder }))
    }

    fn close(mut self) {
        self.call("flush", json!({}));
    }

    fn find(&mut self, school: &str) -> Result<(), String> {
        self.attempt("find", json!({ "document": survey(school) })).map(drop)
    }

    fn keep_actor(&mut self, school: &str, actor: [u8; 16]) {
        let actor: String = actor.iter().map(|byte| format!("{byte:02x}")).collect();
        self.call("keepActor", json!({ "document": survey(school), "actor": actor }));
    }

    fn put_quantity(&mut self, school: &str, key: &str, value: &str) {
        let details =
            json!({ "document": survey(school), "key": key, "value": value, "captured": captured(1) });
        self.call("putQuantity", details);
    }

    fn put_text(&mut self, school: &str, key: &str, value: &str) {
        let edits = json!([{ "put": [key], "value": value }]);
        self.call("edit", json!({ "document": survey(school), "edits": edits }));
    }

    fn quantity(&mut self, school: &str, key: &str) -> Option<String> {
        let doc = self.call("read", json!({ "document": survey(school) }));
        doc["quantities"][key]["value"].as_str().map(str::to_owned)
    }

    fn until_quantity(&mut self, school: &str, key: &str, value: &str) {
        let path = json!(["quantities", key, "value"]);
        self.call("until", json!({ "document": survey(school), "path": path, "equals": value }));
    }

    fn heads(&mut self, school: &str) -> Value {
        self.call("heads", json!({ "document": survey(school) }))
    }

    fn until_heads(&mut self, school: &str, heads: &Value) {
        self.call("untilHeads", json!({ "document": survey(school), "heads": heads }));
    }

    fn receipt(&mut self, school: &str) -> Value {
        self.call("receipt", json!({ "document": survey(school) }))
    }

    fn bring(&mut self, school: &str) {
        self.call("bring", json!({ "document": survey(school) }));
    }

    fn until_closed_with(&mut self, reason: &str) {
        self.call("closed", json!({ "reason": reason }));
    }
}
