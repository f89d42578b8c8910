//! The main job on real input, with real processes: a county's register is
//! imported, three inspectors capture offline, their devices sync over a link
//! that breaks while the server is killed, the bureau rules, and every school
//! and the county get an assessment that equals an independent computation.

use std::path::PathBuf;

use duxue_tests::link::Link;
use duxue_tests::processes::{ADMINISTRATOR_PASSWORD, Api, Device, Server, lines};
use duxue_tests::reference;
use serde_json::{Value, json};

const ROUND: &str = "main-job";
/// The school that two inspectors visit, and the teaching point of the third.
const SHARED: &str = "9901010012";
const POINT: &str = "9901010024";

struct World {
    folder: tempfile::TempDir,
    link: Link,
    server: Option<Server>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        xtask::demo::write(&folder.path().join("county")).unwrap_or_else(|error| panic!("{error}"));
        let mut world = Self { folder, link: Link::open(), server: None };
        world.start();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) {
        let server = Server::start(&self.path("server"));
        self.link.lead_to(Some(server.address));
        self.server = Some(server);
    }

    fn kill(&mut self) {
        self.link.lead_to(None);
        self.server.take().expect("a running server").kill();
    }

    fn device(&self, name: &str) -> Device {
        Device::new(self.path(name))
    }

    fn administrator(&self) -> Api {
        Api::login(&self.link.url(), "admin", ADMINISTRATOR_PASSWORD)
    }

    fn add_desk_user(&self, administrator: &Api, name: &str, role: &str) -> Device {
        let login = json!({ "name": name, "password": format!("password of {name}") });
        administrator.post("/people", &json!({ "person": name, "name": name, "login": login }));
        let assignment = json!({ "person": name, "role": role, "schools": [] });
        administrator.post(&format!("/rounds/{ROUND}/assignments"), &assignment);
        let device = self.device(name);
        device.login(&self.link.url(), name, &format!("password of {name}"));
        let _ = device.run(&["packet"]);
        device
    }

    fn enrol(&self, administrator: &Api, person: &str, school: &str) -> Device {
        let enrolment =
            json!({ "person_name": person, "person": person, "round": ROUND, "schools": [school] });
        let code = administrator.post("/enrolments", &enrolment);
        let device = self.device(person);
        let code = code["code"].as_str().expect("a code");
        let _ = device.run(&["enrol", "--server", &self.link.url(), "--code", code]);
        let _ = device.run(&["packet"]);
        device
    }

    fn capture(&self, device: &Device, person: &str, school: &str) {
        let sheet = self.path(&format!("county/field/{person}.jsonl"));
        let _ = device.run(&["capture", school, "--batch", sheet.to_str().expect("a plain path")]);
    }
}

#[test]
fn from_offline_measurements_to_the_countys_verdict() {
    let mut world = World::new();
    let administrator = world.administrator();
    open_round(&administrator);
    import(&world, &administrator);
    let bureau = world.add_desk_user(&administrator, "bureau", "bureau");
    let wang = world.enrol(&administrator, "wang-min", SHARED);
    let li = world.enrol(&administrator, "li-qiang", SHARED);
    let chen = world.enrol(&administrator, "chen-jing", POINT);

    capture_offline(&mut world, &wang, &li, &chen);
    sync_over_a_breaking_link(&mut world, &wang, &li, &chen);
    rule_on_everything(&bureau);
    compare_with_the_reference(&world, &bureau);
}

fn open_round(administrator: &Api) {
    let settings = json!({ "as_of": "2026-09-01", "synthetic": true });
    let round = json!({
        "id": ROUND, "name": "主线测试（合成数据）", "jurisdiction": xtask::demo::COUNTY_CODE,
        "standard": "cn-youzhi-2017", "settings": settings,
    });
    administrator.post("/rounds", &round);
}

/// A register with an error writes nothing and names the cell; the mended one
/// is written whole.
fn import(world: &World, administrator: &Api) {
    let operator = world.device("operator");
    operator.login(&world.link.url(), "admin", ADMINISTRATOR_PASSWORD);
    let good = std::fs::read_to_string(world.path("county/register.csv")).expect("the register");
    let bad = world.path("bad.csv");
    std::fs::write(&bad, good.replacen(",1680,", ",一千六百八十,", 1)).expect("a writable folder");
    let refused = operator.attempt(&["--round", ROUND, "import", bad.to_str().expect("a plain path")]);
    assert!(!refused.status.success());
    let report = lines(&refused);
    let report = report.iter().find(|line| line["errors"].is_array()).expect("a report");
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(1), "{report}");
    assert!(report["errors"][0]["cell"].as_str().is_some_and(|cell| cell.ends_with('2')), "{report}");
    assert_eq!(administrator.get("/rounds")[0]["schools"], 0);

    let register = world.path("county/register.xlsx");
    let report = operator.value(&["--round", ROUND, "import", register.to_str().expect("a plain path")]);
    assert_eq!(report["written"], true, "{report}");
    assert_eq!(administrator.get("/rounds")[0]["schools"], report["schools"]);
    assert!(report["schools"].as_u64() >= Some(40));
}

/// Everything works without the server: capture, preview, and the account of
/// what waits.
fn capture_offline(world: &mut World, wang: &Device, li: &Device, chen: &Device) {
    world.kill();
    world.capture(wang, "wang-min", SHARED);
    world.capture(li, "li-qiang", SHARED);
    world.capture(chen, "chen-jing", POINT);
    let preview = wang.value(&["preview", SHARED]);
    assert!(preview.to_string().contains("\"L7\""), "{preview}");
    let waiting = wang.value(&["outbox"]);
    assert!(waiting.to_string().contains("bytes"), "{waiting}");
    let offline = wang.attempt(&["sync", "--timeout", "1"]);
    assert!(!offline.status.success(), "a sync without a server must not claim success");
    world.start();
}

/// Wang's photo is cut in the middle and the server killed; the upload goes
/// on where it was. Every device ends with receipts that hold.
fn sync_over_a_breaking_link(world: &mut World, wang: &Device, li: &Device, chen: &Device) {
    let _ = chen.run(&["sync"]);

    let photo = std::fs::metadata(world.path("county/photos/iphone-6-plus.jpg")).expect("the photo").len();
    let before_cut = photo / 2;
    let _ = world.link.take_bytes_up();
    world.link.cut_after(i64::try_from(before_cut).expect("a small photo"));
    let cut = wang.attempt(&["sync", "--timeout", "2"]);
    assert!(!cut.status.success(), "{}", String::from_utf8_lossy(&cut.stdout));
    world.kill();
    world.link.mend();
    world.start();

    let _ = li.run(&["sync"]);
    let _ = world.link.take_bytes_up();
    let _ = wang.run(&["sync"]);
    let again = world.link.take_bytes_up();
    assert!(again < photo, "{again} bytes went up after {before_cut} of a photo of {photo} had: not resumed");

    for device in [wang, li, chen] {
        let _ = device.run(&["sync"]);
        let _ = device.run(&["receipts", "--verify"]);
        let freed = device.value(&["photo", "free"]);
        assert_eq!(freed["freed"].as_array().map(Vec::len), Some(1), "{freed}");
    }
}

fn conflicts(bureau: &Device) -> Vec<Value> {
    let listed = bureau.value(&["--round", ROUND, "conflicts"]);
    listed.as_array().expect("a list of conflicts").clone()
}

/// The number of multimedia rooms decides the school and comes with its
/// candidates and their effects; the rooms that both saw are merged, and the
/// merged room's size is a conflict in its turn.
fn rule_on_everything(bureau: &Device) {
    let open = conflicts(bureau);
    let count = open
        .iter()
        .find(|conflict| conflict["subject"]["path"] == "quantities/multimedia_rooms:whole")
        .unwrap_or_else(|| panic!("the counts differ: {open:?}"));
    assert_eq!(count["school"], SHARED);
    assert_eq!(count["flips"], true, "{count}");
    let candidates = count["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2, "{count}");
    let by = |candidate: &Value| candidate["by"]["person"].as_str().map(str::to_owned);
    let mut people: Vec<_> = candidates.iter().map(by).collect();
    people.sort();
    assert_eq!(people, [Some("li-qiang".to_owned()), Some("wang-min".to_owned())]);
    assert!(candidates.iter().all(|candidate| candidate["effects"].get("L7/primary").is_some()), "{count}");

    let fifteen = candidates
        .iter()
        .find(|candidate| candidate["candidate"]["value"]["value"] == "15")
        .expect("the candidate of fifteen");
    let op = fifteen["op"].as_str().expect("an op id");
    let path = "quantities/multimedia_rooms:whole";
    let _ = bureau.run(&["rule", SHARED, path, "--select", op, "--reason", "清点照片后确认 15 间"]);

    // Each ruling may open another conflict, so the list is read again.
    for _ in 0..20 {
        let Some(next) = conflicts(bureau).into_iter().next() else { return };
        settle(bureau, &next);
    }
    panic!("conflicts without end: {:?}", conflicts(bureau));
}

fn settle(bureau: &Device, conflict: &Value) {
    let subject = &conflict["subject"];
    match subject["kind"].as_str() {
        Some("duplicate") => {
            let items: Vec<&str> = subject["duplicate"]["items"]
                .as_array()
                .expect("items")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let kind = subject["duplicate"]["kind"].as_str().expect("a kind");
            let name = format!("{kind}/{}", items.join("+"));
            let _ = bureau.run(&["rule", SHARED, &name, "--merge", "--reason", "同一间教室"]);
        }
        Some("entry") => {
            // Of the two lengths of the music room the bureau takes the longer.
            let longest = conflict["candidates"].as_array().and_then(|candidates| {
                candidates.iter().find(|found| found["candidate"]["value"]["length_m"] == "12")
            });
            let op = longest.unwrap_or(&conflict["candidates"][0])["op"].as_str().expect("an op id");
            let path = subject["path"].as_str().expect("a path");
            let _ = bureau.run(&["rule", SHARED, path, "--select", op, "--reason", "以墙面净距为准"]);
        }
        _ => panic!("an unexpected conflict: {conflict}"),
    }
}

fn compare_with_the_reference(world: &World, bureau: &Device) {
    let sheet = |person: &str| world.path(&format!("county/field/{person}.jsonl"));
    let case = json!({
        "as_of": "2026-09-01",
        "register": world.path("county/register.csv"),
        "county": world.path("county/county.csv"),
        "visits": [
            { "school": SHARED, "sheets": [sheet("wang-min"), sheet("li-qiang")],
              "ruled": { "multimedia_rooms:whole": "15", "教学楼/301/music": "96" } },
            { "school": POINT, "sheets": [sheet("chen-jing")], "ruled": {} },
        ],
    });
    let expected = reference::assess(&case, world.folder.path());
    let found = bureau.value(&["--round", ROUND, "assessment"]);
    let found_again = bureau.value(&["--round", ROUND, "assessment"]);
    assert_eq!(found, found_again, "the same inputs give the same result");
    for stage in ["primary", "junior"] {
        compare_schools(stage, &expected[stage]["schools"], &found["schools"]);
        compare_county(stage, &expected[stage]["county"], &found["county"]);
    }
    compare_items(&expected, &found["county"]);
    compare_forms(&expected, &found["schools"], &bureau.value(&["--round", ROUND, "forms"]));
    assert_eq!(found["made_from"]["inputs"]["synthetic"], true);
}

fn by_id<'a>(list: &'a Value, id: &str) -> &'a Value {
    let found = list.as_array().and_then(|list| list.iter().find(|entry| entry["id"] == id));
    found.unwrap_or_else(|| panic!("no {id} in {list}"))
}

fn compare_schools(stage: &str, expected: &Value, found: &Value) {
    let expected = expected.as_object().expect("schools");
    let mut compared = 0;
    for school in found.as_array().expect("schools") {
        let id = school["school"]["id"].as_str().expect("an id");
        let Some(row) =
            school["stages"].as_array().and_then(|rows| rows.iter().find(|row| row["stage"] == stage))
        else {
            continue;
        };
        let Some(expected) = expected.get(id) else {
            assert_ne!(row["counts"], true, "{id} {stage} counts here and not there");
            continue;
        };
        compared += 1;
        assert_eq!(row["counts"], true, "{id} {stage}");
        assert_eq!(row["rule"]["outcome"], expected["result"], "{id} {stage}: {}", row["rule"]);
        for (item, printed) in expected["printed"].as_object().expect("items") {
            let indicator = by_id(&row["indicators"], item);
            match printed.as_str() {
                Some(printed) => {
                    assert_eq!(
                        indicator["conditions"][0]["value"]["printed"], printed,
                        "{id} {stage} {item}"
                    );
                }
                None => assert_eq!(indicator["outcome"], "undetermined", "{id} {stage} {item}"),
            }
        }
    }
    assert_eq!(compared, expected.len(), "every school that counts is assessed");
}

/// The fifteen and nine items, satisfaction, vetoes, dimensions, the verdict.
fn compare_items(expected: &Value, county: &Value) {
    let of = |key: &str| county[key].as_array().into_iter().flatten();
    let found: std::collections::BTreeMap<&str, &Value> = of("indicators")
        .chain(of("school_indicators"))
        .chain(of("dimensions"))
        .map(|entry| (entry["id"].as_str().unwrap_or_default(), &entry["outcome"]))
        .collect();
    for part in ["items", "dimensions"] {
        for (id, expected) in expected[part].as_object().expect("results") {
            assert_eq!(found.get(id.as_str()), Some(&expected), "{id}");
        }
    }
    assert_eq!(county["outcome"], expected["outcome"]);
}

fn compare_county(stage: &str, expected: &Value, found: &Value) {
    let summary =
        found["stages"].as_array().and_then(|stages| stages.iter().find(|row| row["stage"] == stage));
    let summary = summary.expect("a summary of the stage");
    for (item, expected) in expected.as_object().expect("items") {
        let coefficient = by_id(&summary["coefficients"], item);
        if expected.is_null() {
            assert_eq!(coefficient["outcome"], "undetermined", "{stage} {item}");
            continue;
        }
        assert_eq!(coefficient["printed"], expected["coefficient"], "{stage} {item}");
        assert_eq!(coefficient["six_decimals"], expected["six_decimals"], "{stage} {item}");
        assert_eq!(coefficient["county_mean"]["printed"], expected["mean"], "{stage} {item}: {coefficient}");
        let met = if expected["met"] == true { "met" } else { "not_met" };
        assert_eq!(coefficient["outcome"], met, "{stage} {item}");
    }
}

/// What would be filed: 表Ⅱ-2 school by school, and 表Ⅲ. What the independent
/// computation cannot know is open there, and never 0.
fn compare_forms(expected: &Value, schools: &Value, found: &Value) {
    assert_eq!(found["final"], found["open_cells"] == 0 && found["open_conflicts"] == 0);
    let cell = |cell: &Value, expected: &Value, place: &str| match expected.as_str() {
        Some(printed) => assert_eq!(cell["printed"], printed, "{place}"),
        None => {
            let printed = cell["printed"].as_str().expect("a text");
            assert!(
                cell["open"].is_object() && printed.trim_matches(['0', '.']).is_empty() == printed.is_empty()
            );
        }
    };
    let rows: Vec<&Value> = by_id(&found["forms"], "II-2")["rows"].as_array().expect("rows").iter().collect();
    let mut compared = 0;
    for (stage, first) in
        [("primary", 0), ("junior", expected["primary"]["schools"].as_object().expect("schools").len())]
    {
        for (id, school) in expected[stage]["schools"].as_object().expect("schools") {
            let register =
                schools.as_array().expect("schools").iter().find(|one| one["school"]["id"] == *id.as_str());
            let name = &register.expect("a school")["school"]["name"];
            let row = rows.iter().skip(first).find(|row| row[1]["printed"] == *name).expect("a row");
            for (number, (item, printed)) in (6..).zip(school["printed"].as_object().expect("items")) {
                cell(&row[number], printed, &format!("{id} {stage} {item}"));
            }
            compared += 1;
        }
    }
    assert_eq!(compared, rows.len(), "every row is a school that counts");
    let lines = &by_id(&found["forms"], "III")["rows"];
    for (stage, line) in [("primary", 0), ("junior", 2)] {
        for (number, (item, county)) in (2..).zip(expected[stage]["county"].as_object().expect("items")) {
            if county.is_null() {
                assert!(lines[line + 1][number]["open"].is_object(), "{stage} {item}");
                continue;
            }
            cell(&lines[line][number], &county["mean"], &format!("{stage} {item} mean"));
            cell(&lines[line + 1][number], &county["coefficient"], &format!("{stage} {item}"));
        }
    }
}
