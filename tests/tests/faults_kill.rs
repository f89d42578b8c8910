//! kill -9 under load, many times over: every change and every photo that a
//! device holds a receipt for is there after each restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use duxue_document::PhotoHash;
use duxue_tests::deadline::DEADLINE;
use duxue_tests::processes::{Api, Device};
use duxue_tests::round::{ROUND, Round};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A school of the demonstration county for each device.
const SCHOOLS: [&str; 3] = ["9901010012", "9901010024", "9901010001"];
/// How often at least, on however slow a machine.
const LEAST: usize = 4;
/// When no further round begins, unless so many kills are asked for by
/// `DUXUE_KILLS`.
const ENOUGH: Duration = Duration::from_secs(60);

/// What a device has a receipt for.
struct Acknowledged {
    school: &'static str,
    /// The number of a room.
    room: String,
    photo: PhotoHash,
}

/// Captures a room with a photo and syncs, again and again.
fn keep_working(
    device: &Device,
    sheets: &Path,
    school: &'static str,
    stop: &AtomicBool,
    next: &AtomicU64,
    tell: &Sender<Acknowledged>,
) {
    std::fs::create_dir_all(sheets).expect("a folder");
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let bytes = [&[0xff, 0xd8, 0xff, 0xe0][..], number.to_be_bytes().repeat(3_000).as_slice()].concat();
        let (picture, sheet) = (format!("{number}.jpg"), sheets.join(format!("{number}.jsonl")));
        std::fs::write(sheets.join(&picture), &bytes).expect("a photo");
        let record = serde_json::json!({
            "type": "room", "number": number.to_string(), "purpose": "music",
            "length_m": "9.2", "width_m": "8", "photos": [picture],
        });
        std::fs::write(&sheet, record.to_string()).expect("a sheet");
        let _ = device.run(&["capture", school, "--batch", sheet.to_str().expect("a plain path")]);
        // Without an answer it stays in the outbox; the next sync brings it.
        let synced = device.attempt(&["sync", "--timeout", "2"]);
        if synced.status.success() {
            // Nobody may listen any more.
            let _ =
                tell.send(Acknowledged { school, room: number.to_string(), photo: PhotoHash::of(&bytes) });
        }
    }
}

/// The rooms of a school, by number.
fn rooms(desk: &Api, school: &str) -> String {
    desk.get(&format!("/rounds/{ROUND}/schools/{school}"))["consolidated"]["items"].to_string()
}

fn is_whole(round: &Round, desk: &Api, photo: &PhotoHash) -> bool {
    let request = ureq::get(format!("{}/api/photos/{photo}", round.url()));
    let request = request.header("Authorization", format!("Bearer {}", desk.token()));
    let answer = request.config().timeout_global(Some(DEADLINE)).build().call();
    answer.is_ok_and(|mut answer| {
        answer.body_mut().read_to_vec().is_ok_and(|bytes| PhotoHash::of(&bytes) == *photo)
    })
}

/// Everything that was acknowledged so far is there.
fn check(round: &Round, desk: &Api, known: &[Acknowledged]) {
    let schools: BTreeMap<&str, String> =
        SCHOOLS.iter().map(|school| (*school, rooms(desk, school))).collect();
    for Acknowledged { school, room, photo } in known {
        assert!(schools[school].contains(&format!("\"{room}\"")), "the room {room} of {school} is lost");
        assert!(is_whole(round, desk, photo), "the photo {photo} of room {room} is lost");
    }
}

fn collect(told: &Receiver<Acknowledged>, known: &mut Vec<Acknowledged>, at_least: usize) {
    let wanted = known.len() + at_least;
    while known.len() < wanted {
        known.push(told.recv_timeout(DEADLINE).expect("a device gets a receipt"));
    }
    known.extend(told.try_iter());
}

#[test]
fn what_has_a_receipt_survives_every_kill() {
    let mut round = Round::open();
    let desk = round.desk("supervisor", "supervisor");
    let devices: Vec<(Device, PathBuf)> = SCHOOLS
        .iter()
        .enumerate()
        .map(|(number, school)| {
            let name = format!("inspector-{number}");
            (round.device(&name, &[school]), round.path(&format!("sheets-{number}")))
        })
        .collect();
    let (stop, next) = (AtomicBool::new(false), AtomicU64::new(7_000_001));
    let (tell, told) = mpsc::channel();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut known = Vec::new();
    std::thread::scope(|scope| {
        for ((device, sheets), school) in devices.iter().zip(SCHOOLS) {
            let (tell, stop, next) = (tell.clone(), &stop, &next);
            scope.spawn(move || keep_working(device, sheets, school, stop, next, &tell));
        }
        let asked = std::env::var("DUXUE_KILLS").ok();
        let asked: Option<usize> = asked.map(|count| count.parse().expect("a number of kills"));
        let begun = Instant::now();
        let mut kills = 0;
        while asked.map_or(kills < LEAST || begun.elapsed() < ENOUGH, |asked| kills < asked) {
            collect(&told, &mut known, 1);
            // At a moment that nobody chose.
            let moment = Duration::from_millis(random.next_u64() % 700);
            known.extend(told.recv_timeout(moment).ok());
            round.kill();
            known.extend(told.try_iter());
            round.start();
            check(&round, &desk, &known);
            kills += 1;
        }
        stop.store(true, Ordering::SeqCst);
        println!("{kills} kills in {:?}, {} receipts", begun.elapsed(), known.len());
    });
    drop(tell);
    known.extend(told.iter());
    // With peace everything arrives.
    for (device, _) in &devices {
        let _ = device.run(&["sync"]);
        let _ = device.run(&["receipts", "--verify"]);
    }
    let captured = next.load(Ordering::SeqCst) - 7_000_001;
    let all: String = SCHOOLS.iter().map(|school| rooms(&desk, school)).collect();
    let missing =
        (0..captured).map(|n| (7_000_001 + n).to_string()).find(|room| !all.contains(&format!("\"{room}\"")));
    assert_eq!(missing, None, "captured and not there in the end");
    check(&round, &desk, &known);
}
