//! Clients that we did not write, and what the tests ask of each of them.

mod npm;

use duxue_document::{DocumentId, DocumentKind, RoundId};
use serde_json::{Value, json};

pub use self::npm::captured;
use crate::processes::{Api, Device};
use crate::round::{ROUND, Round};

/// A school of the demonstration county.
pub const SCHOOL: &str = "9901010012";
/// Another one.
pub const OTHER_SCHOOL: &str = "9901010024";

/// A client made of foreign packages. What is waited for is there in time, or
/// the test ends.
pub trait Foreign: Sized {
    /// Whether it sends nothing more of a document as soon as a change of the
    /// server's has the actor and number of another of its own.
    const STOPS_AT_A_CLASH: bool;

    /// Starts it for a person of the round, connected, on what it keeps in a
    /// folder, or with nothing that it keeps.
    fn start(round: &Round, person: &str, folder: Option<&str>) -> Self;

    /// Starts it on what it has kept, without a server.
    fn offline(round: &Round, folder: &str) -> Self;

    /// Writes everything to its folder and ends.
    fn close(self);

    /// Finds the survey of a school.
    ///
    /// # Errors
    /// What the client says where it is not available.
    fn find(&mut self, school: &str) -> Result<(), String>;

    /// Goes on under an actor of its own choice, as a client does that keeps
    /// its actor beside its documents.
    fn keep_actor(&mut self, school: &str, actor: [u8; 16]);

    /// States a quantity.
    fn put_quantity(&mut self, school: &str, key: &str, value: &str);

    /// Puts a text at the top of a survey, where no schema has one.
    fn put_text(&mut self, school: &str, key: &str, value: &str);

    /// A quantity that its copy has.
    fn quantity(&mut self, school: &str, key: &str) -> Option<String>;

    /// Waits until its copy has a quantity, whoever stated it.
    fn until_quantity(&mut self, school: &str, key: &str, value: &str);

    /// The heads of its copy.
    fn heads(&mut self, school: &str) -> Value;

    /// Waits until its copy has these heads.
    fn until_heads(&mut self, school: &str, heads: &Value);

    /// The server's receipt once nothing of the survey is missing there.
    fn receipt(&mut self, school: &str) -> Value;

    /// Sends all changes of its copy in a message of its own making, where its
    /// library has stopped.
    fn bring(&mut self, school: &str);

    /// Waits until the server has closed the socket with a reason.
    fn until_closed_with(&mut self, reason: &str);

    /// Waits until everything of its copy is durable in the server's, by the
    /// receipt.
    ///
    /// # Panics
    /// If something of it is kept outside.
    fn until_durable(&mut self, school: &str) {
        let receipt = self.receipt(school);
        for outside in ["held_heads", "left_out_heads", "set_aside_heads"] {
            assert_eq!(receipt[outside], json!({}), "{receipt}");
        }
    }

    /// The same by the protocol, where the library shows what the server has
    /// said.
    fn until_acknowledged(&mut self, school: &str) {
        self.until_durable(school);
    }
}

/// The id of a school's survey, as it is on the wire.
#[must_use]
pub fn survey(school: &str) -> String {
    document(school, DocumentKind::Survey)
}

/// The id of one of the round's documents.
///
/// # Panics
/// Never: the round's name is one.
#[must_use]
pub fn document(subject: &str, kind: DocumentKind) -> String {
    DocumentId::derive(&RoundId::new(ROUND).expect("a round"), subject, kind).to_string()
}

/// Our own client counts something in [`SCHOOL`].
pub fn state(device: &Device, quantity: &str, value: &str) {
    let _ = device.run(&["quantity", "set", SCHOOL, quantity, value]);
}

/// A school in the server's consolidated reading.
#[must_use]
pub fn school(api: &Api, school: &str) -> Value {
    api.get(&format!("/rounds/{ROUND}/schools/{school}"))["consolidated"].clone()
}

/// The heads of a school's survey in the server's reading.
#[must_use]
pub fn server_heads(api: &Api, school: &str) -> Value {
    api.get(&format!("/rounds/{ROUND}/schools/{school}"))["heads"][survey(school)].clone()
}

/// The values of the candidates of an entry outside items, as the server shows
/// them, in order.
#[must_use]
pub fn values(seen: &Value, path: &str) -> Vec<Value> {
    let candidates = seen["entries"][path]["candidates"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<Value> =
        candidates.into_iter().map(|candidate| candidate["value"]["value"].clone()).collect();
    values.sort_by_key(Value::to_string);
    values
}
