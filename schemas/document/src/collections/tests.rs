//! The vector's map and set do what the standard library's do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proptest::prelude::*;

use super::map::Map;
use super::set::Set;

/// Something that is done to a map or a set.
#[derive(Debug, Clone)]
enum Step {
    Insert(u8, u16),
    Remove(u8),
    Add(u8, u16),
    Set(u8, u16),
    Even,
    PopFirst,
    Extend(Vec<(u8, u16)>),
    Append(Vec<(u8, u16)>),
    SplitOff(u8),
    Clear,
}

fn pairs() -> impl Strategy<Value = Vec<(u8, u16)>> {
    prop::collection::vec((0_u8..24, any::<u16>()), 0..12)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u8..24, any::<u16>()).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => (0_u8..24).prop_map(Step::Remove),
        4 => (0_u8..24, any::<u16>()).prop_map(|(key, value)| Step::Add(key, value)),
        2 => (0_u8..24, any::<u16>()).prop_map(|(key, value)| Step::Set(key, value)),
        1 => Just(Step::Even),
        1 => Just(Step::PopFirst),
        2 => pairs().prop_map(Step::Extend),
        2 => pairs().prop_map(Step::Append),
        1 => (0_u8..24).prop_map(Step::SplitOff),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..40)
}

/// One step on either kind of map; what it gave.
macro_rules! take {
    ($map:expr, $step:expr, $kind:ident) => {
        match $step {
            Step::Insert(key, value) => format!("{:?}", $map.insert(*key, *value)),
            Step::Remove(key) => format!("{:?}", $map.remove(key)),
            Step::Add(key, value) => {
                let sum = $map.entry(*key).or_default();
                *sum = sum.wrapping_add(*value);
                let sum = *sum;
                format!("{sum} {}", $map.entry(*key).or_insert(7))
            }
            Step::Set(key, value) => {
                format!("{:?}", $map.get_mut(key).map(|old| std::mem::replace(old, *value)))
            }
            Step::Even => {
                $map.retain(|key, value| {
                    *value = value.wrapping_add(1);
                    key % 2 == 0
                });
                String::new()
            }
            Step::PopFirst => format!("{:?}", $map.pop_first()),
            Step::Extend(pairs) => {
                $map.extend(pairs.iter().copied());
                for (_, value) in &mut $map {
                    *value /= 2;
                }
                let mut seen = Vec::new();
                for pair in &$map {
                    seen.push(pair);
                }
                format!("{seen:?}")
            }
            Step::Append(pairs) => {
                let mut other: $kind<u8, u16> = pairs.iter().copied().collect();
                $map.append(&mut other);
                format!("{other:?}")
            }
            Step::SplitOff(key) => format!("{:?}", $map.split_off(key)),
            Step::Clear => {
                $map.clear();
                String::new()
            }
        }
    };
}

fn same<T: Debug>(ours: T, theirs: impl Debug) -> Result<(), TestCaseError> {
    prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    Ok(())
}

proptest! {
    #[test]
    fn a_map_is_the_standard_librarys(steps in steps(), at in 0_u8..24, to in 0_u8..24) {
        let mut ours: Map<u8, u16> = Map::new();
        let mut theirs: BTreeMap<u8, u16> = BTreeMap::new();
        for step in &steps {
            prop_assert_eq!(take!(ours, step, Map), take!(theirs, step, BTreeMap));
            same(&ours, &theirs)?;
            prop_assert_eq!(ours.len(), theirs.len());
        }
        let (low, high) = (at.min(to), at.max(to));
        same(ours.range(low..high).collect::<Vec<_>>(), theirs.range(low..high).collect::<Vec<_>>())?;
        same(ours.range(low..=high).collect::<Vec<_>>(), theirs.range(low..=high).collect::<Vec<_>>())?;
        same(ours.range(at..).rev().collect::<Vec<_>>(), theirs.range(at..).rev().collect::<Vec<_>>())?;
        same((ours.get_key_value(&at), ours.contains_key(&to)), (theirs.get_key_value(&at), theirs.contains_key(&to)))?;
        same((ours.first_key_value(), ours.last_key_value()), (theirs.first_key_value(), theirs.last_key_value()))?;
        same(ours.values_mut().collect::<Vec<_>>(), theirs.values_mut().collect::<Vec<_>>())?;
        same(ours.iter().rev().collect::<Vec<_>>(), theirs.iter().rev().collect::<Vec<_>>())?;
        let json = serde_json::to_string(&ours).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&theirs).unwrap());
        prop_assert_eq!(&serde_json::from_str::<Map<u8, u16>>(&json).unwrap(), &ours);
        same(ours.clone().into_keys().zip(ours.into_values()).collect::<Vec<_>>(), theirs.into_iter().collect::<Vec<_>>())?;
    }

    #[test]
    fn maps_compare_as_the_standard_librarys(a in pairs(), b in pairs()) {
        let [x, y] = [&a, &b].map(|pairs| pairs.iter().copied().collect::<Map<_, _>>());
        let [u, v] = [&a, &b].map(|pairs| pairs.iter().copied().collect::<BTreeMap<_, _>>());
        prop_assert_eq!((x.cmp(&y), x == y), (u.cmp(&v), u == v));
    }

    #[test]
    fn a_set_is_the_standard_librarys(
        a in prop::collection::vec(0_u8..16, 0..12),
        b in prop::collection::vec(0_u8..16, 0..12),
        out in 0_u8..16,
    ) {
        let [mut x, y] = [&a, &b].map(|members| members.iter().copied().collect::<Set<_>>());
        let [mut u, v] = [&a, &b].map(|members| members.iter().copied().collect::<BTreeSet<_>>());
        same((&x, x.len(), x.first(), x.last()), (&u, u.len(), u.first(), u.last()))?;
        same((x.is_subset(&y), x.is_disjoint(&y), x.cmp(&y)), (u.is_subset(&v), u.is_disjoint(&v), u.cmp(&v)))?;
        same(x.union(&y).collect::<Vec<_>>(), u.union(&v).collect::<Vec<_>>())?;
        same(&x | &y, &u | &v)?;
        same(x.intersection(&y).collect::<Vec<_>>(), u.intersection(&v).collect::<Vec<_>>())?;
        same(x.difference(&y).collect::<Vec<_>>(), u.difference(&v).collect::<Vec<_>>())?;
        same((x.remove(&out), x.insert(out), x.insert(out)), (u.remove(&out), u.insert(out), u.insert(out)))?;
        x.retain(|member| member % 3 != 0);
        u.retain(|member| member % 3 != 0);
        x.extend(&y);
        u.extend(&v);
        same((x.pop_first(), &x), (u.pop_first(), &u))?;
        same((x.split_off(&out), &x), (u.split_off(&out), &u))?;
        let json = serde_json::to_string(&x).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&u).unwrap());
        prop_assert_eq!(&serde_json::from_str::<Set<u8>>(&json).unwrap(), &x);
        same(x.into_iter().collect::<Vec<_>>(), u.into_iter().collect::<Vec<_>>())?;
    }
}
