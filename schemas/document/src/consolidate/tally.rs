//! A sorted list in which the same thing may have several reasons to be.

use crate::collections::BTreeMap;

/// Keeps a sorted list without repetition equal to what several parts of a
/// document put into it, each of which may take its own back.
#[derive(Debug, Clone)]
pub(super) struct Tally<T> {
    counts: BTreeMap<T, usize>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { counts: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Tally<T> {
    pub(super) fn add<'a>(&mut self, list: &mut Vec<T>, things: impl IntoIterator<Item = &'a T>)
    where
        T: 'a,
    {
        for thing in things {
            let count = self.counts.entry(thing.clone()).or_default();
            *count += 1;
            if let Err(place) = list.binary_search(thing) {
                list.insert(place, thing.clone());
            }
        }
    }

    pub(super) fn remove<'a>(&mut self, list: &mut Vec<T>, things: impl IntoIterator<Item = &'a T>)
    where
        T: 'a,
    {
        for thing in things {
            let Some(count) = self.counts.get_mut(thing) else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(thing);
                if let Ok(place) = list.binary_search(thing) {
                    list.remove(place);
                }
            }
        }
    }
}
