//! The warp server: sessions, durable documents, photos, accounts, assessment.

pub mod import;
pub mod accounts;
pub mod clock;
pub mod fault;
pub mod hub;
pub mod policy;
pub mod random;
pub mod rounds;
pub mod rows;
pub mod store;
pub mod transport;
