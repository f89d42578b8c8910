//! The offline client engine, without I/O.
//!
//! [`Engine::handle`] takes the time, a source of randomness and one
//! [`Event`], and returns [`Effect`]s. A shell around it (native, browser, a
//! test) opens the store, runs the effects and reports how each ended; the
//! engine never waits and never calls back. One loop does it all:
//!
//! 1. open the store, pass [`Event::Start`];
//! 2. run the effects returned; pass each completion as an event, failures too;
//! 3. when the time of the last [`Effect::SetTimer`] has come, pass [`Event::Timer`];
//! 4. pass what the user does as [`Event::Command`]; answers come as [`Effect::Reply`].
//!
//! Promises: an answer that says *saved* comes after the data is on disk. What
//! has not reached the disk does not leave the device. Nothing that was
//! captured is deleted; a photo's local copy goes only against a receipt that
//! the enrolled server signed. After any crash the same state is computed
//! from the store: there is no queue to lose.
//!
//! Absent on purpose: tokio, sockets, files, clock, randomness. The actor of a
//! document is random per device, person and store; which store it is, the
//! shell says by [`StoreInfo::stamp`].

mod account;
mod bounds;
mod capture;
mod clock;
pub mod command;
pub mod county;
mod desk;
mod document;
mod engine;
pub mod error;
pub mod event;
pub mod identity;
mod keys;
mod loader;
mod packet;
pub mod photo;
pub mod preview;
mod reading;
mod reason;
mod receipts;
mod refusal;
mod reissue;
mod renewal;
mod restate;
mod slices;
pub mod store;
mod sync;
mod upload;
pub mod validate;
pub mod views;

pub use command::{Command, Mark, NewPhoto, Reply, Saved, Seen, Statement, Subject, Taken, TakenBy, Warning};
pub use engine::Engine;
pub use error::CommandError;
pub use event::{
    CommandId, Effect, Event, HttpAnswer, HttpBody, HttpError, HttpId, HttpRequest, Key, LinkId, Notice,
    SecretUrl, StorageAnswer, StorageError, StorageId, StorageTask, StoreInfo,
};
pub use packet::Packet;
pub use reason::{CLOSED, is_about_a_document};
pub use sync::FRAME_BYTES_MAX;
