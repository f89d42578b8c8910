//! A home folder as enrolment and `packet` leave it, and the program on it.

// Each test file is a program of its own and uses what it needs.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use duxue_client::store::Store;
use duxue_client_core::StorageTask;
use duxue_client_core::identity::Identity;
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_protocol::api::{PacketSchool, Role, RoundSettings, RoundSummary, WorkPacket};

pub const SCHOOL: &str = "3402070001";

/// A home folder of an inspector with these rounds, each of one school.
pub fn enrolled(home: &Path, rounds: &[&str]) {
    let identity = Identity {
        server: "http://127.0.0.1:9".to_owned(),
        token: "token".to_owned(),
        person: "li".parse().unwrap(),
        device: Some("pad".parse().unwrap()),
        expires_ms: i64::MAX,
        server_key: "00".repeat(32),
        clock_offset_ms: 0,
        device_secret: None,
    };
    let school = School {
        id: SCHOOL.parse().unwrap(),
        name: "镜湖小学".to_owned(),
        jurisdiction: "340207".parse().unwrap(),
        kind: SchoolKind::Primary,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Urban,
        sponsor: 4,
        built_year: None,
        boarding: false,
        dense_centre: false,
        place: None,
    };
    let packet = |round: &str| WorkPacket {
        round: RoundSummary {
            id: round.parse().unwrap(),
            name: "试验".to_owned(),
            jurisdiction: "340207".parse().unwrap(),
            standard: "cn-youzhi-2017".to_owned(),
            overlays: Vec::new(),
            settings: RoundSettings::default(),
            schools: 1,
        },
        roles: BTreeSet::from([Role::Inspector]),
        schools: vec![PacketSchool { school: school.clone(), declared: Declared::default(), assigned: true }],
        county: None,
        standards: vec![duxue_standards::builtin::text("cn-youzhi-2017").unwrap().to_owned()],
        actors: BTreeMap::new(),
        server_time_ms: 0,
        journal: 0,
    };
    let mut puts = vec![("identity".to_owned(), serde_json::to_vec(&identity).unwrap())];
    for round in rounds {
        puts.push((format!("packet/{round}"), serde_json::to_vec(&packet(round)).unwrap()));
    }
    Store::open(home).unwrap().run(&StorageTask::Write { puts, deletes: Vec::new() }).unwrap();
}

pub fn duxue(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duxue"));
    command.arg("--json").arg("--home").arg(home);
    command
}

/// Runs a command to its end: its exit code and the JSON lines that it said.
pub fn said(home: &Path, words: &[&str]) -> (Option<i32>, Vec<serde_json::Value>) {
    let output = duxue(home).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}
