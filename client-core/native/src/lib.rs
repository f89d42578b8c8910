//! The native shell of the offline client: disk, network and clock around
//! [`duxue_client_core::Engine`], and the command line `duxue`.

pub mod cli;
pub mod driver;
pub mod network;
pub mod store;
