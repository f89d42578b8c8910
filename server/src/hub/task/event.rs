//! What comes to the owner of an open document.

use std::sync::Arc;

use automerge::ChangeHash;
use duxue_document::PersonId;
use duxue_protocol::wire;
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::hub::admit::Admitted;
use crate::hub::document::Shared;
use crate::hub::peer::Peer;
use crate::hub::turns::InFlight;
use crate::store::Delivery;

/// Something for an open document.
pub enum Event {
    /// A sync message.
    Sync {
        /// The session that sent it.
        peer: Arc<Peer>,
        /// The message, scanned and taken apart.
        admitted: Admitted,
        /// Its bytes count against what may be in flight.
        permit: InFlight,
    },
    /// An ephemeral message, to be forwarded.
    Ephemeral {
        /// The session that sent it.
        session: u64,
        /// The message.
        message: wire::Message,
    },
    /// There is room in a session's outbox.
    Room {
        /// The session.
        session: u64,
    },
    /// Someone's rights changed.
    Rights,
    /// A session ended.
    Gone {
        /// The session.
        session: u64,
    },
    /// Someone wants to read.
    Read {
        /// Gets the document, or why it cannot be read.
        answer: oneshot::Sender<Result<Shared, Fault>>,
    },
    /// Someone asks which changes are durable.
    Durable {
        /// The changes.
        hashes: Vec<ChangeHash>,
        /// Who asks.
        asks: Delivery,
        /// Gets one word for each, or why nothing can be said of them.
        answer: oneshot::Sender<Result<Vec<Durable>, Fault>>,
    },
    /// A supervisor decided about held changes.
    Decide {
        /// The held items.
        numbers: Vec<u64>,
        /// Whether to let them in.
        admit: bool,
        /// Who decides.
        by: PersonId,
        /// Gets how many changes could not be applied and were set aside.
        answer: oneshot::Sender<Result<u64, Fault>>,
    },
}

/// What is known of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Applied, with all that it depends on.
    Yes,
    /// Kept outside the document until someone decides.
    Held,
    /// Kept outside the document, as someone decided.
    LeftOut,
    /// Kept, but it can never be applied, for itself or for what it depends on.
    SetAside,
    /// Not here, or only because someone passed it on who is neither its
    /// actor's owner nor who asks.
    No,
}
