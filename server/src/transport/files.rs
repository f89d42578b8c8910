//! Open files. A connection is one, and many systems allow a program 1 024
//! until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside connections: the journal, the index, photos on
/// their way in and out.
const OTHERS: u64 = 1_024;

/// Asks for as many open files as the system lets us have. Gives the number of
/// connections that they are enough for, if those are fewer than `connections`.
#[must_use]
pub fn allow(connections: usize) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the system gives no more open files");
            current
        }
    };
    let room = allowed?.saturating_sub(OTHERS);
    (room < connections as u64).then_some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_system_gives_is_taken_and_what_it_does_not_give_is_told() {
        assert_eq!(allow(1), None);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(allow(usize::MAX).is_some(), maximum.is_some());
    }
}
