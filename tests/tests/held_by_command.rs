//! What nobody may simply take in, decided on from the command line: a
//! supervisor's `duxue held` and `duxue set-aside`, on a real server.

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge};
use duxue_document::{DocumentId, DocumentKind, genesis};
use duxue_tests::hostile::{Attacker, message};
use duxue_tests::processes::{Api, Device, lines};
use duxue_tests::round::{ROUND, Round, password};
use serde_json::{Value, json};

/// A school of the demonstration county.
const SCHOOL: &str = "9901010012";

fn survey() -> DocumentId {
    DocumentId::derive(&ROUND.parse().expect("an id"), SCHOOL, DocumentKind::Survey)
}

/// Captures a room offline.
fn capture(round: &Round, device: &Device, number: &str) {
    let sheet = round.path(&format!("{number}.jsonl"));
    let record = json!({
        "type": "room", "number": number, "purpose": "music", "length_m": "9.2", "width_m": "8",
    });
    std::fs::write(&sheet, record.to_string()).expect("a sheet");
    let _ = device.run(&["capture", SCHOOL, "--batch", sheet.to_str().expect("a plain path")]);
}

/// The code with which a command fails.
fn refusal(device: &Device, arguments: &[&str]) -> String {
    let output = device.attempt(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeds");
    let said = lines(&output);
    let problem = said.iter().find_map(|line| line["problem"]["code"].as_str());
    problem.unwrap_or_else(|| panic!("{arguments:?} fails without a code: {said:?}")).to_owned()
}

/// The numbers and decisions of what is held.
fn decisions(list: &Value) -> Vec<(u64, Option<bool>)> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| (item["number"].as_u64().expect("a number"), item["admitted"].as_bool())).collect()
}

#[test]
fn a_supervisor_reads_and_decides_on_what_is_held() {
    let round = Round::open();
    let desk = round.desk("supervisor", "supervisor");
    let supervisor = Device::new(round.path("supervisor"));
    supervisor.login(&round.url(), "supervisor", &password("supervisor"));
    let _ = supervisor.run(&["packet"]);
    let wang = round.device("wang", &[SCHOOL]);
    assert_eq!(supervisor.value(&["held"]), json!([]));

    // What is captured before the right ends and sent after it. Each goes by itself.
    round.assign("wang", "inspector", &[]);
    for room in ["one-01", "two-02"] {
        capture(&round, &wang, room);
        let _ = wang.attempt(&["sync"]);
    }
    let list = supervisor.value(&["held"]);
    let waits = decisions(&list);
    let [(first, None), (second, None)] = waits[..] else { panic!("{list}") };
    for item in list.as_array().expect("a list") {
        let about = (&item["reason"], &item["school"], &item["kind"], &item["by"]["person_name"]);
        assert_eq!(about, (&"right_ended".into(), &SCHOOL.into(), &"survey".into(), &"wang".into()));
    }
    let shown = supervisor.words(&["held"]);
    assert!(shown.contains("the right had ended") && shown.contains("undecided"), "{shown}");
    assert_eq!(shown.matches("supervisor, not their own").count(), 2, "{shown}");
    assert!(supervisor.words_in("zh", &["held"]).contains("督导负责人（非本人）"));

    // What each says is read before anything is decided.
    for (number, room, other) in [(first, "one-01", "two-02"), (second, "two-02", "one-01")] {
        let preview = supervisor.value(&["held", "--show", &number.to_string()]);
        let statements = preview["statements"].as_array().expect("statements");
        assert_eq!(Some(statements.len() as u64), preview["total"].as_u64(), "{preview}");
        let said = preview.to_string();
        assert!(said.contains(room) && !said.contains(other), "{preview}");
        assert!(statements.iter().all(|one| one["by"]["person_name"] == "wang"), "{preview}");
        assert!(supervisor.words(&["held", "--show", &number.to_string()]).contains("9.2 × 8 m"));
    }
    let rooms =
        || desk.get(&format!("/rounds/{ROUND}/schools/{SCHOOL}"))["consolidated"]["items"].to_string();
    assert!(!rooms().contains("one-01") && !rooms().contains("two-02"));

    let after = supervisor.value(&["held", "--admit", &first.to_string()]);
    assert_eq!(decisions(&after), [(first, Some(true)), (second, None)]);
    assert!(rooms().contains("one-01") && !rooms().contains("two-02"));
    let after = supervisor.value(&["held", "--leave", &second.to_string()]);
    assert_eq!(decisions(&after), [(first, Some(true)), (second, Some(false))]);
    assert!(!rooms().contains("two-02"));
    let shown = supervisor.words(&["held"]);
    assert!(shown.contains("admitted") && shown.contains("left out"), "{shown}");
    assert!(!shown.contains("not their own"), "nobody decides any more: {shown}");

    let (again, nowhere) = (first.to_string(), "999999");
    assert_eq!(refusal(&supervisor, &["held", "--admit", &again]), "held.decided");
    assert_eq!(refusal(&supervisor, &["held", "--leave", nowhere]), "not_found");
    assert_eq!(refusal(&supervisor, &["held", "--show", nowhere]), "not_found");
    // It is not the inspector's to decide, nor to read.
    assert_eq!(refusal(&wang, &["held", "--admit", &again]), "not_found");
    assert_eq!(refusal(&wang, &["held"]), "not_found");
}

/// A change under an actor of its own, which another change's number may repeat.
fn change(value: &str) -> Automerge {
    let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([9; 16]));
    let mut transaction = doc.transaction();
    transaction.put(automerge::ROOT, "value", value).expect("a put");
    transaction.commit();
    doc
}

/// The last change of a document, as a message that brings it.
fn last(doc: &Automerge) -> Vec<u8> {
    let changes = doc.get_changes(&[]);
    message(&[changes.last().expect("a change").raw_bytes().to_vec()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_reads_what_was_set_aside() {
    let round = Round::open();
    let _ = round.desk("supervisor", "supervisor");
    let supervisor = Device::new(round.path("supervisor"));
    supervisor.login(&round.url(), "supervisor", &password("supervisor"));
    let _ = supervisor.run(&["packet"]);
    assert_eq!(supervisor.value(&["set-aside"]), json!([]));

    round.inspector("copied", &[SCHOOL]);
    let copied = Api::login(&round.url(), "copied", &password("copied"));
    // Two stores of one device: the same actor and number, and another value.
    let (kept, other) = (change("first"), change("second"));
    for (doc, expected) in [(&kept, None), (&other, Some("change.set_aside"))] {
        let mut socket = Attacker::join(round.address(), copied.token(), "store").await;
        socket.sync(survey(), last(doc)).await;
        let told = match expected {
            None => {
                socket.hear().await.expect("an answer");
                None
            }
            Some(_) => socket.told().await,
        };
        assert_eq!(told.as_deref(), expected);
    }
    let list = supervisor.value(&["set-aside"]);
    let [aside] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
    let hash = other.get_heads()[0].to_string();
    let about = (&aside["hash"], &aside["reason"], &aside["school"], &aside["by"]["person_name"]);
    assert_eq!(
        about,
        (&hash.into(), &"change.number_used".into(), &SCHOOL.into(), &"copied".into()),
        "{aside}"
    );
    assert!(aside["journal"].as_u64().is_some_and(|number| number > 0), "{aside}");
    let shown = supervisor.words(&["set-aside"]);
    assert!(shown.contains("its actor has another change with this number"), "{shown}");
    assert!(shown.contains("nobody; its device states it again"), "{shown}");
    assert!(supervisor.words_in("zh", &["set-aside"]).contains("无人；采集设备会重新写入"));
    assert_eq!(refusal(&round.device("elsewhere", &["9901010024"]), &["set-aside"]), "not_found");
}
