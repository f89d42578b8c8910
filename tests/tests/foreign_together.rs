//! automerge-repo, samod and our own client in one survey at the same time,
//! while the server is killed again and again: all end with the same document,
//! and what each wrote is in the server's one reading.

mod samod_client;

use duxue_tests::foreign::{Foreign, SCHOOL, school, server_heads, state, survey, values};
use duxue_tests::node::Node;
use duxue_tests::processes::{Api, Device};
use duxue_tests::round::Round;
use samod_client::Samod;
use serde_json::{Value, json};

/// The parts of a quantity that are stated at each kill: while the server dies,
/// and while it is away.
const KILLS: [(&str, &str); 3] = [("whole", "primary"), ("junior", "senior"), ("kindergarten", "special")];
/// What each client counts in all these parts, and nobody else does.
const NPM: &str = "computers";
const SAMOD: &str = "multimedia_rooms";
const OURS: &str = "books";
/// What all of them count while the server is away.
const ALL: &str = "pianos:whole";
/// After which kill something is deleted and written that fits no schema.
const DELETED_AFTER: u32 = 2;

struct Three {
    anna: Node,
    sam: Samod,
    wang: Device,
}

impl Three {
    fn open(round: &Round) -> Self {
        let wang = round.device("wang-min", &[SCHOOL]);
        round.inspector("anna", &[SCHOOL]);
        round.inspector("sam", &[SCHOOL]);
        let mut anna = Node::start(round, "anna", Some("anna"));
        let mut sam = Samod::start(round, "sam", Some("sam"));
        anna.find(SCHOOL).expect("the survey");
        sam.find(SCHOOL).expect("the survey");
        Self { anna, sam, wang }
    }

    /// Each states its quantity at once, and something else goes on meanwhile.
    fn state_while(&mut self, part: &str, value: &str, meanwhile: impl FnOnce()) {
        let Self { anna, sam, wang } = self;
        std::thread::scope(|scope| {
            scope.spawn(|| anna.put_quantity(SCHOOL, &format!("{NPM}:{part}"), value));
            scope.spawn(|| sam.put_quantity(SCHOOL, &format!("{SAMOD}:{part}"), value));
            scope.spawn(|| {
                count(wang, OURS, part, value);
                // Where the server is gone it stays in the outbox.
                let _ = wang.attempt(&["sync", "--timeout", "1"]);
            });
            meanwhile();
        });
    }

    /// All three count the same, and none knows of the others.
    fn disagree(&mut self, time: u32) {
        self.anna.put_quantity(SCHOOL, ALL, &format!("{time}1"));
        self.sam.put_quantity(SCHOOL, ALL, &format!("{time}2"));
        state(&self.wang, "pianos", &format!("{time}3"));
    }

    /// What fits no schema: a key of one's own, a claim without circumstances,
    /// a delete of what another stated.
    fn write_what_does_not_fit(&mut self) {
        let edits = json!([
            { "put": ["my_app"], "value": { "version": 3 } },
            { "put": ["quantities", "sports_area:whole"], "value": { "value": 800 } },
            { "remove": ["quantities", format!("{OURS}:whole")] },
        ]);
        self.anna.call("edit", json!({ "document": survey(SCHOOL), "edits": edits }));
        self.sam.put_text(SCHOOL, "sam_was_here", "yes");
    }

    fn until_all_is_with_the_server(&mut self) {
        self.anna.until_durable(SCHOOL);
        self.sam.until_durable(SCHOOL);
        let _ = self.wang.run(&["sync"]);
    }

    /// All copies and the server's are the same document.
    fn check_heads(&mut self, desk: &Api) {
        let heads = server_heads(desk, SCHOOL);
        self.anna.until_heads(SCHOOL, &heads);
        self.sam.until_heads(SCHOOL, &heads);
        let _ = self.wang.run(&["sync"]);
        assert_eq!(self.wang.value(&["preview", SCHOOL])["heads"][survey(SCHOOL)], heads);
        assert_eq!(server_heads(desk, SCHOOL), heads, "nobody has written since");
    }
}

fn count(device: &Device, quantity: &str, part: &str, value: &str) {
    let _ = device.run(&["quantity", "set", SCHOOL, &format!("{quantity}:{part}"), value]);
}

#[test]
fn three_kinds_of_client_write_one_survey_across_kills() {
    let mut round = Round::open();
    let bureau = round.desk("bureau", "bureau");
    let mut three = Three::open(&round);
    for (time, (dying, away)) in (1..).zip(KILLS) {
        three.state_while(dying, &format!("{time}7"), || round.kill());
        three.state_while(away, &format!("{time}8"), || ());
        three.disagree(time);
        round.start();
        if time == DELETED_AFTER {
            // On what all have by now, so that the delete is of what it saw.
            three.until_all_is_with_the_server();
            three.anna.until_quantity(SCHOOL, &format!("{OURS}:whole"), "17");
            three.write_what_does_not_fit();
        }
    }
    three.until_all_is_with_the_server();
    three.check_heads(&bureau);
    let seen = school(&bureau, SCHOOL);
    check_entries(&seen);
    check_findings(&seen);

    // What was acknowledged to all of them is there after one more.
    round.kill();
    round.start();
    assert_eq!(school(&bureau, SCHOOL), seen);
    three.check_heads(&bureau);
}

fn check_entries(seen: &Value) {
    for (time, (dying, away)) in (1..).zip(KILLS) {
        for (part, value) in [(dying, format!("{time}7")), (away, format!("{time}8"))] {
            for quantity in [NPM, SAMOD, OURS] {
                let path = format!("quantities/{quantity}:{part}");
                let is_deleted = (quantity, part) == (OURS, "whole");
                let expected = if is_deleted { Vec::new() } else { vec![json!(value)] };
                assert_eq!(values(seen, &path), expected, "{path}");
            }
        }
    }
    let all = ["31", "32", "33"].map(|count| json!(count));
    assert_eq!(values(seen, &format!("quantities/{ALL}")), all, "three candidates");
    assert_eq!(values(seen, "quantities/sports_area:whole"), [json!("800")]);
}

fn check_findings(seen: &Value) {
    let finding = |code: &str, path: &str, detail: &str| json!({ "code": code, "path": format!("survey:{path}"), "detail": detail });
    let expected = [
        finding("claim.captured", "quantities/sports_area:whole", "missing"),
        finding("document.foreign", "my_app", "a map"),
        finding("document.foreign", "sam_was_here", "\"yes\""),
        finding("entry.deleted", &format!("quantities/{OURS}:whole"), "value=17"),
    ];
    assert_eq!(seen["findings"], json!(expected));
}
