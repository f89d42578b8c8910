//! The native shell of the client engine.
