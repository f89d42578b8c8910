//! What only the whole can show: real processes, real files, a link that
//! breaks. The tests are in `tests/tests`; here is what they share.

pub mod deadline;
pub mod folder;
pub mod foreign;
pub mod fuzzed;
pub mod hostile;
pub mod link;
pub mod node;
pub mod processes;
pub mod reference;
pub mod round;
pub mod simulation;
pub mod small_disk;
pub mod tus;
