//! The offline client engine, without I/O.
