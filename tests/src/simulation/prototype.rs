//! The county that every world begins with: set up once, copied many times.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use duxue_client_core::Subject;
use duxue_client_core::identity::{Identity, hex};
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{DocumentId, DocumentKind, PersonId};
use duxue_protocol::api::{Assignment, NewRound, Role, RoundSettings};
use duxue_server::accounts::{Caller, NewPerson};
use duxue_server::app::App;
use duxue_server::audit::By;
use duxue_server::clock::now_ms;
use duxue_server::receipts::KEY_FILE;
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::Disk;
use duxue_server::transport::Source;

use super::machine::Machine;

/// Inspectors who have a device each.
pub const INSPECTORS: usize = 4;
/// Who works at a desk, after the inspectors.
pub const DESK: [Role; 2] = [Role::Supervisor, Role::Bureau];
/// Where the devices believe the server to be.
pub const SERVER: &str = "https://server.test";
/// Any point of the curve: no device signs anything here.
const PUBLIC_KEY: &str = "5866666666666666666666666666666666666666666666666666666666666666";

/// A server's data after its set-up, and the devices that joined.
pub struct Prototype {
    /// The journal's files.
    pub files: Vec<(String, Vec<u8>)>,
    /// The text of the receipt key's file.
    pub key: String,
    /// The key that receipts are checked with.
    pub server_key: String,
    /// Who is on each device: the inspectors, then those of [`DESK`].
    pub identities: Vec<Identity>,
    /// Who admits what is held, and judges nothing.
    pub supervisor: PersonId,
}

/// The school that everyone works on.
#[must_use]
pub fn subject() -> Subject {
    Subject { round: fixed("round-1"), school: fixed("3402070001") }
}

/// The documents that every device keeps, by kind.
#[must_use]
pub fn documents() -> Vec<(DocumentId, DocumentKind)> {
    let subject = subject();
    let kinds = [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling];
    kinds.map(|kind| (DocumentId::derive(&subject.round, subject.school.as_str(), kind), kind)).to_vec()
}

/// Those, and the county's, which the bureau keeps too.
#[must_use]
pub fn all_documents() -> Vec<(DocumentId, DocumentKind)> {
    let (round, county) = (subject().round, DocumentKind::County);
    let county = (DocumentId::derive(&round, round.as_str(), county), county);
    documents().into_iter().chain([county]).collect()
}

fn fixed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is well formed"))
}

/// The school's row in the register.
#[must_use]
pub fn school() -> School {
    School {
        id: subject().school,
        name: "镜湖小学".to_owned(),
        jurisdiction: fixed("340207"),
        kind: SchoolKind::Primary,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Urban,
        sponsor: 4,
        built_year: None,
        boarding: false,
        dense_centre: false,
        place: None,
    }
}

/// What the identity of this number may do.
#[must_use]
pub fn role(number: usize) -> Role {
    number.checked_sub(INSPECTORS).map_or(Role::Inspector, |desk| DESK[desk])
}

/// What a device was given to work with, as JSON. Without the standard: nobody
/// assesses here, and reading it costs more than all else.
#[must_use]
pub fn packet(role: Role) -> serde_json::Value {
    serde_json::json!({
        "round": {
            "id": subject().round,
            "name": "试验",
            "jurisdiction": "340207",
            "standard": "cn-youzhi-2017",
            "overlays": [],
            "settings": RoundSettings::default(),
            "schools": 1,
        },
        "roles": [role],
        "schools": [{ "school": school(), "declared": Declared::default(), "assigned": role == Role::Inspector }],
        "standards": [],
        "actors": {},
        "server_time_ms": 0,
        "journal": 0,
    })
}

/// The prototype; made at the first call.
///
/// # Panics
/// If the server cannot be set up.
pub fn prototype() -> &'static Prototype {
    static PROTOTYPE: OnceLock<Prototype> = OnceLock::new();
    PROTOTYPE.get_or_init(make)
}

fn make() -> Prototype {
    let disk = SimulatedDisk::new(0);
    let mut machine = Machine::empty(disk.clone());
    machine.start(false);
    let (identities, supervisor) = machine.setting_up(|app| Box::pin(set_up(app)));
    let server_key = machine.server_key();
    machine.kill();
    let names = disk.list().unwrap_or_default();
    let files = names.into_iter().filter_map(|name| Some((name.clone(), disk.bytes(&name)?))).collect();
    let key = std::fs::read_to_string(machine.folder().join(KEY_FILE)).expect("the server made its key");
    let with_key = |identity| Identity { server_key: server_key.clone(), ..identity };
    let identities = identities.into_iter().map(with_key).collect();
    Prototype { files, key, server_key, identities, supervisor }
}

/// Makes the round, its school, and its people.
pub(crate) async fn set_up(app: &App) -> (Vec<Identity>, PersonId) {
    let round = NewRound {
        id: subject().round,
        name: "试验".to_owned(),
        jurisdiction: fixed("340207"),
        standard: "cn-youzhi-2017".to_owned(),
        overlays: Vec::new(),
        settings: RoundSettings::default(),
    };
    app.open_round(round, &By::CommandLine).await.expect("a round");
    let schools = vec![(school(), Declared::default())];
    app.rounds.import(&subject().round, schools, None, &By::CommandLine, 0).await.expect("a school");
    let operator = Caller {
        person: person(app, "operator", true).await,
        device: None,
        administrator: true,
        expires_ms: i64::MAX,
    };
    let supervisor = person(app, "supervisor", false).await;
    let assignment = assignment(supervisor.clone(), Role::Supervisor, true);
    app.rounds.assign(&subject().round, assignment, &By::CommandLine, 0).await.expect("an assignment");
    let mut identities = Vec::new();
    for number in 0..INSPECTORS {
        let inspector = person(app, &format!("inspector-{number}"), false).await;
        let schools = BTreeSet::from([subject().school]);
        let round = &subject().round;
        let code = app.accounts.new_code(&app.rounds, &operator, &inspector, round, schools, now_ms()).await;
        let (code, _) = code.expect("a code");
        let session =
            app.accounts.enrol(&app.rounds, &code, PUBLIC_KEY, &format!("device {number}"), now_ms()).await;
        let session = session.expect("a session");
        identities.push(Identity {
            server: SERVER.to_owned(),
            token: session.token,
            person: session.caller.person,
            device: session.caller.device,
            expires_ms: i64::MAX,
            server_key: String::new(),
            clock_offset_ms: 0,
            device_secret: None,
        });
    }
    for (number, role) in (INSPECTORS..).zip(DESK) {
        identities.push(at_desk(app, number, role).await);
    }
    (identities, supervisor)
}

/// Someone with an account, who logs in.
async fn at_desk(app: &App, number: usize, role: Role) -> Identity {
    let (name, password) = (format!("desk-{number}"), "a long password".to_owned());
    let login = Some((name.clone(), password.clone()));
    let new = NewPerson { id: Some(fixed(&name)), name: name.clone(), login, administrator: false };
    let person = app.accounts.add_person(new, &By::CommandLine, now_ms()).await.expect("a person").id;
    let assignment = assignment(person, role, true);
    app.rounds.assign(&subject().round, assignment, &By::CommandLine, 0).await.expect("an assignment");
    let session = app.accounts.login(&name, password, Source::of([127, 0, 0, 1].into()), now_ms()).await;
    let session = session.expect("a session");
    Identity {
        server: SERVER.to_owned(),
        token: session.token,
        person: session.caller.person,
        device: None,
        expires_ms: i64::MAX,
        server_key: String::new(),
        clock_offset_ms: 0,
        device_secret: None,
    }
}

/// What gives someone the right to the school, or ends it.
#[must_use]
pub fn assignment(person: PersonId, role: Role, stands: bool) -> Assignment {
    let inspects = role == Role::Inspector && stands;
    let schools = inspects.then_some(subject().school).into_iter().collect();
    Assignment { person, role, schools, ended: !stands && role != Role::Inspector }
}

async fn person(app: &App, name: &str, administrator: bool) -> PersonId {
    let new = NewPerson { id: Some(fixed(name)), name: name.to_owned(), login: None, administrator };
    app.accounts.add_person(new, &By::CommandLine, now_ms()).await.expect("a person").id
}

/// A key as it is written on a device.
#[must_use]
pub fn key_text(bytes: &[u8]) -> String {
    hex(bytes)
}
