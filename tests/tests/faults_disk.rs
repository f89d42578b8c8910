//! A full disk under a real server: a clear error, reading goes on, writing
//! goes on without a restart once there is room, and nothing acknowledged is
//! lost.

use std::path::PathBuf;

use duxue_document::PhotoHash;
use duxue_tests::processes::{Api, Device, Start, request};
use duxue_tests::round::{ROUND, Round, password};
use duxue_tests::small_disk::SmallDisk;
use duxue_tests::tus;
use serde_json::Value;

/// A school of the demonstration county.
const SCHOOL: &str = "9901010012";
/// The server leaves 64 MiB free for its index; there has to be more.
const DISK_MEBIBYTES: u32 = 160;

/// What people see of the school and of photos.
struct Desk {
    api: Api,
    url: String,
}

impl Desk {
    fn has_room(&self, number: &str) -> bool {
        let school = self.api.get(&format!("/rounds/{ROUND}/schools/{SCHOOL}"));
        school["consolidated"]["items"].to_string().contains(&format!("\"{number}\""))
    }

    /// A request's status and the code of its problem.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
        let url = format!("{}{path}", self.url);
        let mut answer = request(self.api.token(), method, &url, headers, body).expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_vec().expect("a body"))
    }

    fn is_whole(&self, photo: &PhotoHash) -> bool {
        let (status, bytes) = self.ask("GET", &format!("/api/photos/{photo}"), &[], &[]);
        status == 200 && PhotoHash::of(&bytes) == *photo
    }

    fn health(&self) -> Value {
        serde_json::from_slice(&self.ask("GET", "/health", &[], &[]).1).expect("JSON")
    }

    /// The problem's code with which a log-in is refused, which writes a session.
    fn log_in_is_told(&self) -> (u16, String) {
        let body = serde_json::json!({ "name": "supervisor", "password": password("supervisor") });
        let headers = [("content-type", "application/json")];
        let (status, answer) = self.ask("POST", "/api/login", &headers, body.to_string().as_bytes());
        let problem: Value = serde_json::from_slice(&answer).unwrap_or_default();
        (status, problem["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Captures a room with a photo of so many bytes.
fn capture(round: &Round, device: &Device, number: &str, bytes: usize) -> PhotoHash {
    let tail = number.as_bytes().iter().copied().cycle().take(bytes);
    let photo: Vec<u8> = [0xff, 0xd8, 0xff, 0xe0].into_iter().chain(tail).collect();
    let picture = format!("{number}.jpg");
    std::fs::write(round.path(&picture), &photo).expect("a photo");
    let sheet: PathBuf = round.path(&format!("{number}.jsonl"));
    let room = serde_json::json!({
        "type": "room", "number": number, "purpose": "music", "length_m": "9.2", "width_m": "8",
        "photos": [picture],
    });
    std::fs::write(&sheet, room.to_string()).expect("a sheet");
    let _ = device.run(&["capture", SCHOOL, "--batch", sheet.to_str().expect("a plain path")]);
    PhotoHash::of(&photo)
}

#[test]
fn a_full_disk_is_told_reading_goes_on_and_writing_too_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, county) = (folder.path().join("server"), folder.path().join("county"));
    let disk = SmallDisk::mount(&data, DISK_MEBIBYTES);
    xtask::demo::write(&county).unwrap_or_else(|error| panic!("{error}"));
    let limits = vec![("photo_reserve_bytes", 70 << 20)];
    let start = Start { within: disk.within(), limits, ..Start::default() };
    let mut round = Round::open_in(folder, data, start, &county.join("register.csv"));
    let desk = Desk { api: round.desk("supervisor", "supervisor"), url: round.url() };
    let device = round.device("inspector", &[SCHOOL]);
    let first = capture(&round, &device, "7000101", 20_000);
    let _ = device.run(&["sync"]);

    // What the server leaves free is gone too, down to nothing.
    for (left, number) in [(32 << 20, "7000102"), (0, "7000103")] {
        disk.fill(left);
        let photo = capture(&round, &device, number, 2 << 20);
        let refused = device.attempt(&["sync", "--timeout", "4"]);
        assert!(!refused.status.success(), "nothing can be acknowledged");
        let said = [refused.stdout, refused.stderr].concat();
        // In the words that the client has for `store.full`.
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("服务器暂时无法保存"), "{said}");
        assert_eq!(desk.log_in_is_told(), (507, "store.full".to_owned()));
        assert_eq!(desk.health()["store"], "failing");
        assert!(desk.has_room("7000101") && desk.is_whole(&first), "reading goes on");
        assert!(!desk.has_room(number), "and shows nothing that is not durable");

        disk.clear();
        let _ = device.run(&["sync"]);
        let _ = device.run(&["receipts", "--verify"]);
        assert_eq!(desk.health()["store"], "ok");
        assert!(desk.has_room(number) && desk.is_whole(&photo), "{number} came");
    }

    // `kill` fails if the server has ended before: there was no restart.
    round.kill();
    round.start();
    assert!(["7000101", "7000102", "7000103"].iter().all(|number| desk.has_room(number)));
    assert!(desk.is_whole(&first));
    let _ = device.run(&["receipts", "--verify"]);
}

/// Bytes of each photo that fills the disk.
const LARGE: usize = 8 << 20;
/// The code of a photo that there is no room for.
const NO_ROOM: &str = "photo.no_room";

/// Why a photo would not be taken now; nothing if it would be.
fn photo_is_refused(inspector: &Desk) -> Option<String> {
    let metadata = tus::metadata(&PhotoHash::of(b"never sent").to_string(), SCHOOL);
    let length = LARGE.to_string();
    let headers =
        [("tus-resumable", "1.0.0"), ("upload-length", length.as_str()), ("upload-metadata", &metadata)];
    let (status, answer) = inspector.ask("POST", "/api/files", &headers, &[]);
    let problem: Value = serde_json::from_slice(&answer).unwrap_or_default();
    (status >= 400).then(|| problem["code"].as_str().unwrap_or_default().to_owned())
}

/// What fills the disk here is what the server itself writes.
#[test]
fn photos_fill_the_disk_to_what_is_kept_for_measurements_and_no_further() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, county) = (folder.path().join("server"), folder.path().join("county"));
    let disk = SmallDisk::if_allowed(&data, DISK_MEBIBYTES);
    xtask::demo::write(&county).unwrap_or_else(|error| panic!("{error}"));
    // Without a disk of its own the server takes the machine's for too small.
    let (reserve, fits) = if disk.is_some() { (70 << 20, true) } else { (1 << 60, false) };
    if !fits {
        println!(
            "NOT TESTED: a disk that fills, since nothing can be mounted here; only what the reserve refuses"
        );
    }
    let within = disk.as_ref().map(SmallDisk::within).unwrap_or_default();
    let start = Start { within, limits: vec![("photo_reserve_bytes", reserve)], ..Start::default() };
    let mut round = Round::open_in(folder, data, start, &county.join("register.csv"));
    let desk = Desk { api: round.desk("supervisor", "supervisor"), url: round.url() };
    round.inspector("second", &[SCHOOL]);
    let second = Desk { api: Api::login(&round.url(), "second", &password("second")), url: round.url() };
    let device = round.device("inspector", &[SCHOOL]);
    let mut taken = Vec::new();
    let mut number = 7_000_200;
    while photo_is_refused(&second).is_none() {
        number += 1;
        let photo = capture(&round, &device, &number.to_string(), LARGE);
        let _ = device.run(&["sync"]);
        taken.push(photo);
        assert!(taken.len() * LARGE < (DISK_MEBIBYTES as usize) << 20, "the disk is not as small as that");
    }
    assert_eq!(photo_is_refused(&second).as_deref(), Some(NO_ROOM));
    assert_eq!(!taken.is_empty(), fits, "{} photos were taken", taken.len());

    // Measurements come, and the photo with them waits on the device.
    let waits = capture(&round, &device, "7000299", LARGE);
    let refused = device.attempt(&["sync", "--timeout", "4"]);
    assert!(!refused.status.success(), "the photo waits");
    assert!(desk.has_room("7000299") && !desk.is_whole(&waits));
    assert_eq!(desk.health()["store"], "ok", "nothing but photos is refused");
    round.kill();
    round.start();
    assert!(desk.has_room("7000299") && taken.iter().all(|photo| desk.is_whole(photo)));
    assert_eq!(photo_is_refused(&second).as_deref(), Some(NO_ROOM));
}
