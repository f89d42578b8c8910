//! Items: removal, merging, duplicates.

mod common;

use common::*;
use duxue_document::consolidated::{Removal, ValueState};
use duxue_document::decision::Subject;
use duxue_document::{DocumentKind, OpId, genesis, write};

const SIZE: &str = "rooms/r1/size";

/// A room and the op of its size.
fn room(scene: &mut Scene, name: &str, number: &str, size: &str) -> OpId {
    put(
        &mut scene.survey,
        &format!("rooms/{name}/identity"),
        &format!("building=A number={number} purpose=music"),
    );
    put(&mut scene.survey, &format!("rooms/{name}/size"), size)
}

fn removal(scene: &Scene, name: &str) -> Removal {
    scene.see().thing(&item(&format!("rooms/{name}"))).unwrap().1.removal.clone()
}

fn remove(scene: &mut Scene, name: &str) -> OpId {
    write::remove_item(&mut scene.survey, &item(&format!("rooms/{name}")), "拆除", &captured(9)).unwrap()
}

fn keys(scene: &Scene) -> Vec<String> {
    scene.see().items.keys().map(ToString::to_string).collect()
}

fn duplicates(scene: &Scene) -> Vec<(String, Vec<String>, bool)> {
    let items = |items: &std::collections::BTreeSet<_>| {
        items.iter().map(|i: &duxue_document::ItemId| i.to_string()).collect()
    };
    scene.see().duplicates.iter().map(|d| (d.key.clone(), items(&d.items), d.possible)).collect()
}

#[test]
fn a_removal_that_saw_everything_removes() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    assert_eq!(removal(&scene, "r1"), Removal::Present);
    remove(&mut scene, "r1");
    assert_eq!(removal(&scene, "r1"), Removal::Removed);
    // Taking the removal back is another claim.
    put(&mut scene.survey, "rooms/r1/removed", "removed=false");
    assert_eq!(removal(&scene, "r1"), Removal::Present);
}

#[test]
fn an_edit_that_a_removal_did_not_see_is_a_conflict_that_a_ruling_settles() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    let mut other = fork(&scene.survey, 77);
    let edit = put(&mut other, SIZE, "area_m2=51");
    let removed = remove(&mut scene, "r1");
    scene.survey.merge(&mut other).unwrap();
    assert_eq!(removal(&scene, "r1"), Removal::EditedAfterRemoval { unseen: ops(&[&edit]) });

    let identity = scene.entry("rooms/r1/identity").candidates[0].op.clone();
    for (present, expected) in [(true, Removal::Present), (false, Removal::Removed)] {
        let mut ruled = Scene { survey: scene.survey.fork(), ..Scene::new() };
        let saw = ops(&[&edit, &removed, &identity]);
        ruled.rule("d1", Subject::Removal { item: item("rooms/r1"), present, saw }, "");
        assert_eq!(removal(&ruled, "r1"), expected);
        // What the ruling did not see opens the question again.
        let late = put(&mut ruled.survey, SIZE, "area_m2=52");
        assert_eq!(removal(&ruled, "r1"), Removal::EditedAfterRemoval { unseen: ops(&[&late]) });
    }
}

#[test]
fn two_removals_together_see_what_each_of_them_saw() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    let mut other = fork(&scene.survey, 77);
    put(&mut other, SIZE, "area_m2=51");
    write::remove_item(&mut other, &item("rooms/r1"), "并入", &captured(9)).unwrap();
    remove(&mut scene, "r1");
    scene.survey.merge(&mut other).unwrap();
    assert_eq!(removal(&scene, "r1"), Removal::Removed);
}

#[test]
fn removing_and_restoring_at_once_is_a_conflict() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    let mut other = fork(&scene.survey, 77);
    remove(&mut scene, "r1");
    let restored = put(&mut other, "rooms/r1/removed", "removed=false");
    scene.survey.merge(&mut other).unwrap();
    assert_eq!(removal(&scene, "r1"), Removal::EditedAfterRemoval { unseen: ops(&[&restored]) });
}

#[test]
fn a_removal_that_a_supervisor_sent_back_does_not_count() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    let op = remove(&mut scene, "r1");
    scene.verdict("v1", "rooms/r1/removed", &[&op], Some("还在使用"), "");
    assert_eq!(removal(&scene, "r1"), Removal::Present);
}

#[test]
fn only_an_item_that_is_there_can_be_removed() {
    let mut scene = Scene::new();
    let error = write::remove_item(&mut scene.survey, &item("rooms/r1"), "无", &captured(1)).unwrap_err();
    assert_eq!(error.code(), "write.no_item");
}

#[test]
fn items_with_one_natural_key_are_shown_until_a_ruling_answers() {
    // identities of r1, r2; the key they share
    let cases = [
        (
            "building=A number=101 purpose=music",
            "building=A number=101 purpose=music",
            Some("a / 101 / music"),
        ),
        (
            "building=A number=101 purpose=music",
            "building=ａ number=１０１ purpose=music",
            Some("a / 101 / music"),
        ),
        ("building=A number=101 purpose=music", "building=B number=101 purpose=music", None),
        ("number=101 purpose=music", "number=101 purpose=music", Some(" / 101 / music")),
        ("building=A purpose=music", "building=A purpose=music", None),
    ];
    for (first, second, expected) in cases {
        let mut scene = Scene::new();
        put(&mut scene.survey, "rooms/r1/identity", first);
        put(&mut scene.survey, "rooms/r2/identity", second);
        let found: Vec<String> = duplicates(&scene).into_iter().map(|(key, _, _)| key).collect();
        assert_eq!(found, expected.into_iter().map(str::to_owned).collect::<Vec<_>>(), "{first} {second}");
    }
}

#[test]
fn natural_keys_of_the_other_kinds() {
    let cases = [
        ("classes", "stage=primary grade=3 number=2", "primary / 3 / 2"),
        ("grounds", "kind=outdoor name=操场", "outdoor / 操场"),
        ("equipment", "code=J01 room=101 name=显微镜", "j01 / 101"),
    ];
    for (kind, identity, key) in cases {
        let mut scene = Scene::new();
        put(&mut scene.survey, &format!("{kind}/a/identity"), identity);
        put(&mut scene.survey, &format!("{kind}/b/identity"), identity);
        assert_eq!(duplicates(&scene), [(key.to_owned(), vec!["a".to_owned(), "b".to_owned()], false)]);
    }
}

#[test]
fn an_identity_in_conflict_makes_possible_duplicates_and_a_removed_item_none() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    put(&mut scene.survey, "rooms/r2/size", "area_m2=50");
    scene.concurrently(
        "rooms/r2/identity",
        &["building=A number=101 purpose=music", "building=A number=102 purpose=music"],
    );
    let both = vec!["r1".to_owned(), "r2".to_owned()];
    assert_eq!(duplicates(&scene), [("a / 101 / music".to_owned(), both, true)]);
    remove(&mut scene, "r1");
    assert_eq!(duplicates(&scene), []);
}

#[test]
fn a_merge_has_the_candidates_of_all_its_items_and_can_be_taken_back() {
    let mut scene = Scene::new();
    let first = room(&mut scene, "r1", "101", "area_m2=50");
    let second = room(&mut scene, "r2", "101", "area_m2=51");
    room(&mut scene, "r3", "103", "area_m2=60");
    assert_eq!(duplicates(&scene).len(), 1);

    scene.merge("d1", "rooms/r1 rooms/r2", "");
    assert_eq!(keys(&scene), ["rooms/r1", "rooms/r3"]);
    assert_eq!(duplicates(&scene), []);
    let size = scene.entry("rooms/r2/size");
    assert_eq!(
        size.candidates.iter().map(|c| c.op.clone()).collect::<Vec<_>>(),
        [first.clone(), second.clone()]
    );
    assert!(matches!(size.value, ValueState::Conflicting { .. }));
    // A ruling under the path of any member settles the merged entry.
    scene.select("d2", "rooms/r2/size", &first, &[&first, &second], "");
    assert!(matches!(scene.entry(SIZE).value, ValueState::Settled { .. }));

    // Merges that overlap join.
    scene.merge("d3", "rooms/r2 rooms/r3", "");
    assert_eq!(keys(&scene), ["rooms/r1"]);
    assert_eq!(scene.entry(SIZE).candidates.len(), 3);

    // What supersedes a merge takes it back.
    scene.separate("d4", "rooms/r2 rooms/r3", "d1 d3");
    assert_eq!(keys(&scene), ["rooms/r1", "rooms/r2", "rooms/r3"]);
    assert_eq!(duplicates(&scene).len(), 1);
    scene.separate("d5", "rooms/r1 rooms/r2", "");
    assert_eq!(duplicates(&scene), []);
}

#[test]
fn merging_and_separating_the_same_items_leaves_them_apart_and_open() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    room(&mut scene, "r2", "101", "area_m2=51");
    room(&mut scene, "r3", "103", "area_m2=60");
    scene.merge("d1", "rooms/r1 rooms/r2", "");
    scene.merge("d2", "rooms/r2 rooms/r3", "");
    scene.separate("d3", "rooms/r1 rooms/r3", "");
    assert_eq!(keys(&scene), ["rooms/r1", "rooms/r2", "rooms/r3"]);
    let all = ["r1", "r2", "r3"].map(str::to_owned).to_vec();
    assert_eq!(duplicates(&scene), [(String::new(), all, true)]);
    scene.separate("d4", "rooms/r1 rooms/r3", "d2 d3");
    assert_eq!(keys(&scene), ["rooms/r1", "rooms/r3"]);
}

#[test]
fn a_merged_item_is_removed_only_when_all_its_items_are() {
    let mut scene = Scene::new();
    room(&mut scene, "r1", "101", "area_m2=50");
    room(&mut scene, "r2", "101", "area_m2=50");
    remove(&mut scene, "r2");
    scene.merge("d1", "rooms/r1 rooms/r2", "");
    assert_eq!(removal(&scene, "r1"), Removal::Present);
    remove(&mut scene, "r1");
    assert_eq!(removal(&scene, "r1"), Removal::Removed);
}

#[test]
fn two_devices_that_make_the_same_item_lose_nothing() {
    let mut scene = Scene::new();
    let mut other = genesis::document(DocumentKind::Survey, automerge::ActorId::from([99; 16]));
    put(&mut scene.survey, SIZE, "area_m2=50");
    put(&mut other, SIZE, "area_m2=51");
    put(&mut other, "rooms/r1/multimedia", "value=true");
    scene.survey.merge(&mut other).unwrap();
    assert_eq!(scene.entry(SIZE).candidates.len(), 2);
    assert!(matches!(scene.entry("rooms/r1/multimedia").value, ValueState::Agreed { .. }));
    assert_eq!(findings(&scene.see()), [("item.twice".to_owned(), "survey:rooms/r1".to_owned())]);
}
