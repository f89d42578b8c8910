//! The warp server: sessions, durable documents, photos, accounts, assessment.

pub mod store;
