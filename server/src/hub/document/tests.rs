//! What is taken, held and set aside, without a store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use automerge::transaction::Transactable;

use automerge::{ActorId, Automerge, AutomergeError, ROOT};
use duxue_document::{DocumentKind, PersonId, genesis};

use crate::hub::DocumentMax;
use crate::hub::quota::{Amount, Quotas};
use crate::hub::rows::{Decision, HeldRow, aside, reason};
use crate::rounds::{DocumentName, Writing};
use crate::store::{Delivery, JournalNumber, Record, StoredDocument};

use super::build::guarded;
use super::*;

fn name() -> DocumentName {
    DocumentName {
        round: "r".parse().expect("an id"),
        school: Some("3601000001".parse().expect("an id")),
        kind: DocumentKind::Survey,
    }
}

fn change(actor: u8, key: &str) -> Change {
    let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([actor; 16]));
    let mut tx = doc.transaction();
    tx.put(ROOT, key, 1).expect("puts");
    tx.commit();
    doc.get_last_local_change().expect("a change")
}

fn stored(chunks: &[&[u8]]) -> StoredDocument {
    let chunks = (1..).map(JournalNumber).zip(chunks.iter().map(|chunk| chunk.to_vec())).collect();
    StoredDocument { snapshot: None, chunks }
}

fn no_rows() -> Rows {
    Rows { actors: Vec::new(), held: Vec::new(), set_aside: Vec::new() }
}

#[test]
fn a_panic_is_an_error() {
    assert_eq!(guarded(|| Ok(())), Ok(()));
    assert_eq!(guarded(|| Err(AutomergeError::Fail)), Err("chunk.not_applicable"));
    assert_eq!(guarded(|| panic!("of automerge")), Err("chunk.panic"));
}

#[test]
fn a_bad_chunk_costs_the_document_only_itself() {
    let (a, b, again) = (change(1, "a"), change(2, "b"), change(1, "other"));
    let good = [a.raw_bytes(), b.raw_bytes()];
    for (bad, reason) in [(&b"no chunk"[..], "chunk.unreadable"), (again.raw_bytes(), "chunk.not_applicable")]
    {
        let (document, failed) = Document::load(name(), &stored(&[good[0], bad, good[1]]), no_rows());
        let failed: Vec<_> = failed.iter().map(|failed| (failed.chunk, failed.reason)).collect();
        assert_eq!(failed, [(JournalNumber(2), reason)]);
        assert!(document.has(&a.hash()) && document.has(&b.hash()) && !document.has(&again.hash()));
    }
}

#[test]
fn bad_chunks_among_many_are_found() {
    let good: Vec<Change> = (1..30).map(|actor| change(actor, "good")).collect();
    let mut chunks: Vec<&[u8]> = good.iter().map(Change::raw_bytes).collect();
    let (again, other) = (change(3, "again"), change(20, "again"));
    chunks.insert(17, again.raw_bytes());
    chunks.push(other.raw_bytes());
    let (document, failed) = Document::load(name(), &stored(&chunks), no_rows());
    let numbers: Vec<JournalNumber> = failed.iter().map(|failed| failed.chunk).collect();
    assert_eq!(numbers, [JournalNumber(18), JournalNumber(31)]);
    assert!(good.iter().all(|change| document.has(&change.hash())));
}

fn contribution(session: u64, person: &str, write: Writing, changes: Vec<Change>) -> Contribution {
    let delivery = Delivery { person: person.parse().expect("an id"), device: None };
    Contribution { session, delivery, write, changes }
}

/// A document with a journal that only counts.
struct World {
    document: Document,
    journal: u64,
    numbers: AtomicU64,
    /// What the document may hold, and what a person may.
    held_max: Amount,
    document_max: DocumentMax,
    person_max: Amount,
    quotas: Quotas,
    may_write: u64,
    may_set_aside: u64,
}

const PLENTY: Amount = Amount { changes: 1_000, bytes: 1 << 20 };

impl World {
    fn new() -> Self {
        let (document, _) = Document::load(name(), &stored(&[]), no_rows());
        let numbers = AtomicU64::new(1);
        Self {
            document,
            journal: 0,
            numbers,
            held_max: PLENTY,
            document_max: DocumentMax {
                operations: 10_000,
                changes: 1_000,
                actors: 20,
                heads: 8,
                bytes: 1 << 20,
                waiting: 10,
            },
            person_max: PLENTY,
            quotas: Quotas::default(),
            may_write: u64::MAX,
            may_set_aside: u64::MAX,
        }
    }

    fn plan(&self, brought: Vec<Contribution>, right: &dyn Fn(&PersonId) -> Writing) -> Plan {
        let intake = Intake {
            right,
            next_held: &|| self.numbers.fetch_add(1, Ordering::Relaxed),
            reserve: &|person, amount| self.quotas.take(person, amount, self.person_max),
            may_write: &|_, bytes| bytes <= self.may_write,
            may_set_aside: &|_, changes| changes <= self.may_set_aside,
            held_max: self.held_max,
            document_max: self.document_max,
            now_ms: 0,
        };
        self.document.plan(brought, &intake).expect("plans")
    }

    fn commit(&mut self, plan: Plan) {
        let first = JournalNumber(self.journal + 1);
        self.journal += plan.records.len() as u64;
        for (person, amount) in &plan.released {
            self.quotas.give_back(person, *amount);
        }
        self.document.apply(plan, first).expect("applies");
    }

    /// Decides, and gives how many changes were set aside for it.
    fn decide(&mut self, decided: &[u64], admit: bool, changes: Items) -> usize {
        let by = "s".parse().expect("an id");
        let plan = self.document.decide(decided, admit, &by, changes, 0).expect("plans");
        let aside = plan.failed(JournalNumber(1));
        self.commit(plan);
        self.document.set_aside(&aside, 0).expect("rows");
        aside.iter().map(|failed| failed.hashes.len()).sum()
    }

    /// Brings changes with every right; gives the reasons of what is held.
    fn bring(&mut self, person: &str, changes: Vec<Change>) -> Vec<String> {
        let plan = self.plan(vec![contribution(1, person, Writing::Yes, changes)], &|_| Writing::Yes);
        let reasons = plan.held.iter().map(|row| row.reason.clone()).collect();
        let aside = plan.failed(JournalNumber(1));
        self.commit(plan);
        self.document.set_aside(&aside, 0).expect("rows");
        reasons
    }

    fn items(&self) -> Vec<u64> {
        (1..self.numbers.load(Ordering::Relaxed)).filter(|n| self.document.held.item(*n).is_some()).collect()
    }

    /// The document as a device of this actor has it.
    fn device(&self, actor: u8) -> Automerge {
        let mut doc = self.document.shared().read().clone();
        doc.set_actor(ActorId::from([actor; 16]));
        doc
    }
}

fn edit(doc: &mut Automerge, key: &str) -> Change {
    let mut tx = doc.transaction();
    tx.put(ROOT, key, 1).expect("puts");
    tx.commit();
    doc.get_last_local_change().expect("a change")
}

#[test]
fn the_right_follows_the_person_an_actor_is_bound_to() {
    let only_b = |person: &PersonId| if person.as_str() == "b" { Writing::Yes } else { Writing::Ended };
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    // Someone else brings a change of the same actor after its owner's right has ended.
    let later = edit(&mut world.device(1), "b");
    let plan = world.plan(vec![contribution(2, "b", Writing::Yes, vec![later.clone()])], &only_b);
    assert!(!plan.changes_document());
    assert!(matches!(plan.records[0], Record::Held { .. }), "{:?}", plan.records);
    world.commit(plan);
    assert!(world.document.holds(&later.hash()));
}

#[test]
fn a_change_in_the_name_of_anothers_actor_is_held_until_its_owner_brings_it() {
    let mut world = World::new();
    let first = change(1, "a");
    assert!(world.bring("a", vec![first.clone()]).is_empty());
    let (mut of_a, mut forger) = (world.device(1), world.device(1));
    let (forged, own) = (edit(&mut forger, "forged"), edit(&mut of_a, "own"));
    let later = edit(&mut of_a, "later");
    // What the document has already is nothing new, whoever brings it.
    assert_eq!(world.bring("b", vec![first, forged.clone()]), [reason::OTHER_ACTOR]);
    // Passing on what the owner has not brought yet is held too.
    let passed_on = vec![own.clone(), later.clone()];
    assert_eq!(world.bring("b", passed_on.clone()), [reason::OTHER_ACTOR]);
    assert!([&forged, &own, &later].iter().all(|change| world.document.holds(&change.hash())));
    assert_eq!(world.items(), [1, 2]);
    // Neither stands in the owner's way, in whichever order they come, and
    // what is taken is no longer listed.
    assert!(world.bring("a", vec![later.clone(), own.clone()]).is_empty());
    assert!(world.document.has(&own.hash()) && world.document.has(&later.hash()));
    assert!(!world.document.has(&forged.hash()));
    assert_eq!(world.items(), [1]);
    assert!(world.bring("b", passed_on).is_empty());
}

/// A backup was put back, and the author's store was too: another device still
/// has what the author wrote first, and has built on it.
#[test]
fn nobody_decides_about_what_can_never_be_applied() {
    let cases = [("passed on", "b", Writing::Yes), ("the right has ended", "a", Writing::Ended)];
    for (case, person, write) in cases {
        let mut world = World::new();
        assert!(world.bring("a", vec![change(1, "a")]).is_empty());
        let (mut lost, mut of_a) = (world.device(1), world.device(1));
        let first = edit(&mut lost, "first");
        lost.set_actor(ActorId::from([2; 16]));
        let built = edit(&mut lost, "built");
        assert!(world.bring("a", vec![edit(&mut of_a, "second")]).is_empty());
        let brought = vec![built.clone(), first.clone()];
        let plan = world.plan(vec![contribution(7, person, write, brought)], &|_| Writing::Yes);
        assert!(plan.held.is_empty() && !plan.changes_document(), "{case}");
        let set_aside = plan.aside.iter().flat_map(|set_aside| {
            set_aside.unit.changes.iter().map(|change| (change.hash(), set_aside.reason))
        });
        let expected = [(first.hash(), aside::NUMBER_USED), (built.hash(), aside::DEPENDS)];
        assert_eq!(set_aside.collect::<HashMap<_, _>>(), HashMap::from(expected), "{case}");
    }
}

/// A supervisor may let in either of two that bear one number.
#[test]
fn two_held_changes_with_one_number_are_both_held() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let forged = ["one", "other"].map(|key| edit(&mut world.device(1), key));
    assert_eq!(world.bring("b", forged.to_vec()), [reason::OTHER_ACTOR]);
    assert!(forged.iter().all(|change| world.document.holds(&change.hash())));
}

#[test]
fn an_item_loses_what_its_owner_brings_and_lets_in_what_waited_for_it() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let mut of_a = world.device(1);
    let (one, two) = (edit(&mut of_a, "one"), edit(&mut of_a, "two"));
    assert_eq!(world.bring("b", vec![one.clone(), two.clone()]), [reason::OTHER_ACTOR]);
    // Someone builds on the first of them.
    let mut of_c = world.device(3);
    of_c.apply_changes([one.clone()]).expect("applies");
    let built = edit(&mut of_c, "built");
    assert_eq!(world.bring("c", vec![built.clone()]), [reason::DEPENDS]);
    let before = world.document.held.amount();
    let plan = world.plan(vec![contribution(1, "a", Writing::Yes, vec![one.clone()])], &|_| Writing::Yes);
    assert_eq!(world.document.followers(&plan), [2]);
    let mut plan = plan;
    world.document.follow(&mut plan, vec![(2, vec![built.clone()])], 0).expect("plans");
    world.commit(plan);
    assert!(world.document.has(&one.hash()) && world.document.has(&built.hash()));
    assert!(world.document.holds(&two.hash()) && !world.document.has(&two.hash()));
    assert_eq!(world.items(), [1]);
    assert_eq!((before.changes, world.document.held.amount().changes), (3, 1));
}

#[test]
fn a_delivery_over_a_quota_is_refused_whole() {
    let cases = [
        ("the document's changes", Amount { changes: 2, ..PLENTY }, PLENTY, "held.document_full"),
        ("the document's bytes", Amount { bytes: 300, ..PLENTY }, PLENTY, "held.document_full"),
        ("the person's changes", PLENTY, Amount { changes: 2, ..PLENTY }, "held.person_full"),
        ("the person's bytes", PLENTY, Amount { bytes: 300, ..PLENTY }, "held.person_full"),
    ];
    for (case, held_max, person_max, code) in cases {
        let mut world = World { held_max, person_max, ..World::new() };
        assert!(world.bring("a", vec![change(1, "a")]).is_empty());
        let mut forger = world.device(1);
        let forged: Vec<Change> = ["1", "2", "3", "4", "5"].map(|key| edit(&mut forger, key)).to_vec();
        let own = change(2, "own");
        let brought = forged.iter().cloned().chain([own.clone()]).collect();
        let plan = world.plan(vec![contribution(7, "b", Writing::Yes, brought)], &|_| Writing::Yes);
        assert_eq!(
            plan.refused.iter().map(|refusal| (refusal.session, refusal.code)).collect::<Vec<_>>(),
            [(7, code)],
            "{case}"
        );
        assert!(plan.is_empty() && plan.reserved.is_empty(), "{case}: nothing of it is kept");
        // What fits is held, and counts for whoever brought it.
        assert_eq!(world.bring("b", vec![forged[0].clone()]), [reason::OTHER_ACTOR], "{case}");
        // The actor's owner is not concerned.
        let mut of_a = world.device(1);
        assert!(world.bring("a", vec![edit(&mut of_a, "mine")]).is_empty(), "{case}");
    }
}

#[test]
fn a_person_may_have_only_so_much_written_whatever_becomes_of_it() {
    let mut world = World::new();
    let (one, two) = (change(1, "a"), change(2, "a"));
    let both = (one.raw_bytes().len() + two.raw_bytes().len()) as u64;
    let brought = |right| {
        let each = [one.clone(), two.clone()].into_iter().zip(7..);
        each.map(|(change, session)| contribution(session, "a", right, vec![change])).collect::<Vec<_>>()
    };
    for right in [Writing::Yes, Writing::Ended] {
        world.may_write = both - 1;
        let plan = world.plan(brought(right), &|_| right);
        let refused: Vec<_> = plan.refused.iter().map(|refusal| (refusal.session, refusal.code)).collect();
        assert_eq!(refused, [(8, "journal.person_full")], "what came before it in the batch counts");
        assert!(plan.reserved.len() <= 1, "and nothing is kept of it");
        world.may_write = both + 2_000;
        let plan = world.plan(brought(right), &|_| right);
        assert!(plan.refused.is_empty());
        let person: PersonId = "a".parse().expect("an id");
        let counted = plan.written[&person];
        assert!((both..both + 4_000).contains(&counted), "{counted} for {both}");
    }
}

#[test]
fn a_document_takes_what_fits_and_no_more() {
    let (most, first) = (World::new().document_max, World::new().document.size);
    let cases = [
        (DocumentMax { operations: first.operations + 5, ..most }, false, "document.full"),
        (DocumentMax { changes: first.changes + 5, ..most }, false, "document.full"),
        (DocumentMax { bytes: 300, ..most }, false, "document.full"),
        (DocumentMax { waiting: 2, ..most }, true, "document.waits"),
    ];
    for (document_max, without_the_first, code) in cases {
        let mut world = World { document_max, ..World::new() };
        let mut of_a = world.device(1);
        let changes: Vec<Change> = (0..9).map(|n| edit(&mut of_a, &n.to_string())).collect();
        let brought = changes[usize::from(without_the_first)..].to_vec();
        let plan = world.plan(vec![contribution(7, "a", Writing::Yes, brought)], &|_| Writing::Yes);
        assert_eq!(plan.refused.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [code]);
        assert!(plan.is_empty(), "{code}: nothing of it is kept");
        assert!(world.bring("a", vec![changes[0].clone()]).is_empty());
        assert!(world.document.has(&changes[0].hash()), "{code}: what fits is taken");
    }
}

#[test]
fn changes_that_do_not_know_of_each_other_are_taken_up_to_a_bound_and_can_always_be_joined() {
    let mut world = World::new();
    let apart: Vec<Change> = (1..=9).map(|actor| change(actor, "k")).collect();
    let codes = |plan: &Plan| plan.refused.iter().map(|refusal| refusal.code).collect::<Vec<_>>();
    let plan = world.plan(vec![contribution(7, "a", Writing::Yes, apart.clone())], &|_| Writing::Yes);
    assert_eq!(codes(&plan), ["document.heads"]);
    assert!(plan.is_empty(), "nothing of it is kept");
    // The same in two deliveries of one batch, and while they wait for another change.
    let (first, last) = (apart[..8].to_vec(), apart[8..].to_vec());
    let two =
        vec![contribution(7, "a", Writing::Yes, first.clone()), contribution(8, "b", Writing::Yes, last)];
    assert_eq!(codes(&world.plan(two, &|_| Writing::Yes)), ["document.heads"]);
    assert!(world.bring("a", first).is_empty(), "what fits is taken");
    let joined = edit(&mut world.device(1), "joined");
    assert_eq!(joined.deps().len(), 8);
    let with_the_last = [joined, apart[8].clone()].to_vec();
    assert!(world.bring("a", with_the_last).is_empty(), "who knows of all heads is heard");
}

#[test]
fn what_is_set_aside_counts_for_whoever_brought_it_and_takes_no_room_of_what_is_held() {
    let none = Amount::default();
    let mut world = World { may_set_aside: 2, person_max: none, held_max: none, ..World::new() };
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let clash = |session, text| contribution(session, "a", Writing::Yes, vec![change(1, text)]);
    let plan = world.plan(vec![clash(7, "b"), clash(8, "c"), clash(9, "d")], &|_| Writing::Yes);
    let refused: Vec<_> =
        plan.refused.iter().map(|refusal| (refusal.session, refusal.limit, refusal.code)).collect();
    assert_eq!(refused, [(9, "set_aside_changes_per_person", "journal.person_full")]);
    assert_eq!(plan.set_aside_for(&"a".parse().expect("an id")), 2);
    world.commit(plan);
}

#[test]
fn who_repeats_what_came_in_the_same_batch_shares_its_fate() {
    let world = World::new();
    let both = [7, 8].map(|session| contribution(session, "a", Writing::Yes, vec![change(1, "a")]));
    let plan = world.plan(both.into(), &|_| Writing::Yes);
    assert_eq!(plan.sessions, std::collections::BTreeSet::from([7, 8]));
}

#[test]
fn what_came_before_what_it_depends_on_shares_its_fate() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let (mut of_a, mut of_b) = (world.device(1), world.device(2));
    let ended = edit(&mut of_b, "ended");
    of_a.apply_changes([ended.clone()]).expect("applies");
    let early = edit(&mut of_a, "early");
    assert!(world.bring("a", vec![early.clone()]).is_empty(), "it waits");
    assert!(!world.document.has(&early.hash()) && !world.document.waits_for_held(&early.hash()));
    let only_a = |person: &PersonId| if person.as_str() == "a" { Writing::Yes } else { Writing::Ended };
    let plan = world.plan(vec![contribution(2, "b", Writing::Yes, vec![ended.clone()])], &only_a);
    world.commit(plan);
    assert!(world.document.waits_for_held(&early.hash()) && !world.document.has_dead());
    world.decide(&[1], false, Vec::new());
    assert!(world.document.waits_for_ever(&early.hash()) && world.document.has_dead());
}

#[test]
fn a_decision_gives_the_room_back() {
    for admit in [true, false] {
        let mut world = World { person_max: Amount { changes: 1, ..PLENTY }, ..World::new() };
        assert!(world.bring("a", vec![change(1, "a")]).is_empty());
        let forged = edit(&mut world.device(1), "forged");
        assert_eq!(world.bring("b", vec![forged.clone()]), [reason::OTHER_ACTOR]);
        let let_in: Items = if admit { vec![(1, vec![forged.clone()])] } else { Vec::new() };
        assert_eq!(world.document.concerned(&[1], admit), Ok(let_in.iter().map(|(n, _)| *n).collect()));
        assert_eq!(world.decide(&[1], admit, let_in), 0);
        assert_eq!(world.document.has(&forged.hash()), admit);
        assert_eq!(world.document.held.amount(), Amount::default());
        let again = edit(&mut world.device(1), "again");
        assert_eq!(world.bring("b", vec![again]), [reason::OTHER_ACTOR], "there is room again");
    }
}

#[test]
fn what_is_known_is_not_committed_again() {
    let mut world = World::new();
    let bring = |session| contribution(session, "a", Writing::Yes, vec![change(1, "a")]);
    let plan = world.plan(vec![bring(1), bring(2)], &|_| Writing::Yes);
    assert_eq!(plan.records.len(), 2, "one chunk and one binding");
    world.commit(plan);
    assert!(world.plan(vec![bring(3)], &|_| Writing::Yes).is_empty());
}

#[test]
fn a_held_change_whose_number_was_used_meanwhile_is_set_aside_and_the_rest_comes_in() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    assert!(world.bring("c", vec![change(3, "c")]).is_empty());
    let (mut of_a, mut forger) = (world.device(1), world.device(1));
    let (forged, other) = (edit(&mut forger, "forged"), edit(&mut world.device(3), "other"));
    let built = edit(&mut forger, "built on it");
    let brought = vec![forged.clone(), built.clone(), other.clone()];
    assert_eq!(world.bring("b", brought.clone()), [reason::OTHER_ACTOR]);
    assert!(world.bring("a", vec![edit(&mut of_a, "own")]).is_empty());
    assert_eq!(world.decide(&[1], true, vec![(1, brought)]), 2);
    assert!(world.items().is_empty(), "nothing waits for ever");
    let word =
        |change: &Change| (world.document.has(&change.hash()), world.document.has_set_aside(&change.hash()));
    assert_eq!([&forged, &built, &other].map(word), [(false, true), (false, true), (true, false)]);
}

#[test]
fn what_depends_on_what_was_left_out_is_set_aside_and_the_rest_waits_on() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let (mut of_a, mut of_b) = (world.device(1), world.device(2));
    let (ended, alone) = (edit(&mut of_b, "ended"), edit(&mut world.device(4), "alone"));
    let only_a = |person: &PersonId| if person.as_str() == "a" { Writing::Yes } else { Writing::Ended };
    for (session, person, changes) in [(1, "b", vec![ended.clone()]), (2, "d", vec![alone.clone()])] {
        let plan = world.plan(vec![contribution(session, person, Writing::Yes, changes)], &only_a);
        world.commit(plan);
    }
    of_a.apply_changes([ended.clone()]).expect("applies");
    let on_ended = edit(&mut of_a, "on ended");
    let mut also = world.device(1);
    also.set_actor(ActorId::from([9; 16]));
    also.apply_changes([alone.clone()]).expect("applies");
    let on_alone = edit(&mut also, "on alone");
    let both = vec![on_ended.clone(), on_alone.clone()];
    assert_eq!(world.bring("a", both.clone()), [reason::DEPENDS]);
    assert_eq!(world.document.concerned(&[1], false), Ok(vec![3]));
    assert_eq!(world.decide(&[1], false, vec![(3, both)]), 1);
    assert!(world.document.left_out(&ended.hash()) && world.document.has_set_aside(&on_ended.hash()));
    assert_eq!((world.items(), world.document.holds(&on_alone.hash())), (vec![2, 3], true));
    // Whatever builds on it later is set aside at once, and nobody has to decide.
    let later = edit(&mut of_a, "later");
    assert!(world.bring("a", vec![later.clone()]).is_empty());
    assert!(world.document.has_set_aside(&later.hash()));
}

/// Someone who builds on it would else state it again for ever.
#[test]
fn what_was_left_out_is_left_out_to_all_but_its_owner_who_may_still_bring_it() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let relayed = edit(&mut world.device(1), "relayed");
    assert_eq!(world.bring("b", vec![relayed.clone()]), [reason::OTHER_ACTOR]);
    let by = |person: &str| Delivery { person: person.parse().expect("an id"), device: None };
    let unheard =
        |world: &World| ["a", "b", "c"].map(|who| world.document.is_unheard_of(&relayed.hash(), &by(who)));
    assert_eq!(unheard(&world), [true, false, false], "its owner may bring it yet");
    world.decide(&[1], false, Vec::new());
    assert_eq!(unheard(&world), [true, false, false]);
    assert!(world.bring("c", vec![relayed.clone()]).is_empty());
    assert!(world.bring("a", vec![relayed.clone()]).is_empty());
    assert!(world.document.has(&relayed.hash()), "its owner brought it");
}

/// The owner has not spoken yet, so nobody else's relaying makes anything final.
#[test]
fn what_builds_on_a_relayed_change_that_was_left_out_may_still_come_from_its_owner() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let mut of_a = world.device(1);
    let (one, two) = (edit(&mut of_a, "one"), edit(&mut of_a, "two"));
    assert_eq!(world.bring("b", vec![one.clone()]), [reason::OTHER_ACTOR]);
    world.decide(&[1], false, Vec::new());
    assert_eq!(world.bring("c", vec![one.clone(), two.clone()]), [reason::OTHER_ACTOR]);
    assert!(world.bring("a", vec![one.clone(), two.clone()]).is_empty());
    assert!(world.document.has(&one.hash()) && world.document.has(&two.hash()));
}

/// A number was used meanwhile, so what a supervisor lets in cannot be applied.
#[test]
fn a_relayed_change_that_was_let_in_too_late_is_set_aside_to_everybody() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let relayed = edit(&mut world.device(1), "relayed");
    assert_eq!(world.bring("b", vec![relayed.clone()]), [reason::OTHER_ACTOR]);
    let own = edit(&mut world.device(1), "own");
    assert!(world.bring("a", vec![own]).is_empty());
    assert_eq!(world.decide(&[1], true, vec![(1, vec![relayed.clone()])]), 1);
    let by = |person: &str| Delivery { person: person.parse().expect("an id"), device: None };
    for who in ["a", "b", "c"] {
        let (hash, asks) = (relayed.hash(), by(who));
        assert!(world.document.has_set_aside(&hash) && !world.document.is_unheard_of(&hash, &asks), "{who}");
        let plan =
            world.plan(vec![contribution(1, who, Writing::Yes, vec![relayed.clone()])], &|_| Writing::Yes);
        assert!(plan.is_empty(), "{who}: it is set aside once");
    }
}

#[test]
fn what_waits_for_what_was_left_out_is_found_at_a_load() {
    let mut of_a = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
    let (out, on_it) = (edit(&mut of_a, "out"), edit(&mut of_a, "on it"));
    let row = HeldRow {
        number: 1,
        document: name().id(),
        person: "a".parse().expect("an id"),
        device: None,
        reason: reason::RIGHT_ENDED.to_owned(),
        received_ms: 0,
        hashes: vec![crate::random::hex(&out.hash().0)],
        actors: BTreeMap::new(),
        waits_for: Vec::new(),
        bytes: 1,
        decision: Some(Decision { admitted: false, by: None, at_ms: 0 }),
    };
    let mut stored = StoredDocument { snapshot: None, chunks: Vec::new() };
    stored.chunks.push((JournalNumber(7), on_it.raw_bytes().to_vec()));
    let rows = Rows { held: vec![row], ..no_rows() };
    let (document, failed) = Document::load(name(), &stored, rows);
    assert_eq!(
        failed.iter().map(|failed| (failed.chunk, failed.reason)).collect::<Vec<_>>(),
        [(JournalNumber(7), aside::DEPENDS)]
    );
    assert!(!document.has(&on_it.hash()));
}

#[test]
fn items_that_wait_for_one_another_are_let_in_together() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let (mut of_a, mut of_b) = (world.device(1), world.device(2));
    let one = edit(&mut of_b, "one");
    of_a.apply_changes([one.clone()]).expect("applies");
    let two = edit(&mut of_a, "two");
    of_b.apply_changes([two.clone()]).expect("applies");
    let three = edit(&mut of_b, "three");
    // The right of b has ended, and it passes on what a built on its work.
    let only_a = |person: &PersonId| if person.as_str() == "a" { Writing::Yes } else { Writing::Ended };
    let delivered = vec![one.clone(), two.clone(), three.clone()];
    let plan = world.plan(vec![contribution(1, "b", Writing::Yes, delivered)], &only_a);
    world.commit(plan);
    assert_eq!(world.items(), [1, 2]);
    for number in [1, 2] {
        let refused = world.document.concerned(&[number], true).expect_err("waits");
        assert_eq!(
            (refused.problem.code.as_ref(), refused.problem.detail),
            ("held.waits", Some((3 - number).to_string()))
        );
    }
    assert_eq!(world.document.concerned(&[1, 2], true), Ok(vec![1, 2]));
    assert_eq!(world.decide(&[1, 2], true, vec![(1, vec![one, three.clone()]), (2, vec![two])]), 0);
    assert!(world.document.has(&three.hash()) && world.items().is_empty());
}

#[test]
fn what_waits_in_a_snapshot_is_known() {
    let mut of_a = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
    let (first, second) = (edit(&mut of_a, "first"), edit(&mut of_a, "second"));
    let mut snapshot = super::build::empty(&name());
    snapshot.apply_changes([second.clone()]).expect("waits");
    let stored = StoredDocument { snapshot: Some(snapshot.save()), chunks: Vec::new() };
    let (document, failed) = Document::load(name(), &stored, no_rows());
    let mut world = World { document, ..World::new() };
    assert!(failed.is_empty() && !world.document.has(&second.hash()));
    let again = world.plan(vec![contribution(1, "a", Writing::Yes, vec![second.clone()])], &|_| Writing::Yes);
    assert!(again.is_empty(), "it is stored already");
    assert!(world.bring("a", vec![first]).is_empty());
    assert!(world.document.has(&second.hash()));
}

#[test]
fn what_someone_else_passes_on_never_stands_for_what_its_owner_brings() {
    let mut world = World::new();
    assert!(world.bring("a", vec![change(1, "a")]).is_empty());
    let later = edit(&mut world.device(1), "later");
    let ended = |_: &PersonId| Writing::Ended;
    for (person, expected) in [("b", reason::OTHER_ACTOR), ("a", reason::RIGHT_ENDED)] {
        let plan = world.plan(vec![contribution(1, person, Writing::Ended, vec![later.clone()])], &ended);
        assert_eq!(plan.held.iter().map(|row| row.reason.as_str()).collect::<Vec<_>>(), [expected]);
        world.commit(plan);
        let rows: Vec<_> = world.items().iter().filter_map(|n| world.document.held.item(*n)).collect();
        assert_eq!(rows.iter().map(|row| row.person.as_str()).collect::<Vec<_>>(), [person]);
    }
}
