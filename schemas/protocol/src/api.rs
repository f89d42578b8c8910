//! The HTTP API's types. Times are milliseconds since 1970 UTC by the
//! server's clock unless a field says otherwise.
//!
//! | method and path | body → answer | who |
//! |---|---|---|
//! | POST `/api/login` | [`Login`] → [`Session`] | anyone |
//! | POST `/api/enrolments` | [`NewEnrolment`] → [`Enrolment`] | bureau, administrator |
//! | POST `/api/enrol` | [`Enrol`] → [`Session`] | anyone with a code |
//! | GET `/api/me` | → [`Me`] | any session |
//! | GET `/api/rounds` | → `[RoundSummary]` | any session |
//! | GET `/api/rounds/{round}/packet` | → [`WorkPacket`] | any role in the round |
//! | GET `/api/rounds/{round}/schools` | → `[SchoolRow]` | any role in the round |
//! | GET `/api/rounds/{round}/schools/{school}` | → [`SchoolView`] | rights on the school |
//! | GET `/api/rounds/{round}/conflicts?school=` | → `[ConflictView]`, by impact | desk roles |
//! | GET `/api/rounds/{round}/schools/{school}/entries/{path}/history` | → [`EntryHistory`] | rights on the school |
//! | GET `/api/rounds/{round}/decisions?school=` | → `[DecisionView]` | desk roles |
//! | GET `/api/rounds/{round}/county` | → [`CountyView`] | desk roles |
//! | GET `/api/rounds/{round}/schools/{school}/assessment` | → school assessment | rights on the school |
//! | GET `/api/rounds/{round}/assessment` | → county assessment | desk roles |
//! | GET `/api/rounds/{round}/forms` | → the national forms 表Ⅰ–Ⅵ | desk roles |
//! | POST `/api/rounds/{round}/what-if` | changes → assessment before and after | desk roles |
//! | POST `/api/rounds/{round}/import?dry_run=true` | XLSX or CSV bytes → [`ImportReport`] | bureau, administrator |
//! | GET `/api/rounds/{round}/import/template` | → [`ImportTemplate`] | bureau, administrator |
//! | POST `/api/rounds` | [`NewRound`] → [`RoundSummary`] | administrator |
//! | POST `/api/rounds/{round}/assignments` | [`Assignment`] → 204 | bureau, administrator |
//! | POST `/api/people` | [`NewPerson`] → [`PersonSummary`], 201 | administrator |
//! | GET `/api/people?round=` | → `[PersonView]` | administrator; with a round, bureau too |
//! | DELETE `/api/devices/{device}` | → 204 | administrator, bureau |
//! | GET `/api/rounds/{round}/standard` | → the standard with its overlays | any role in the round |
//! | GET `/api/rounds/{round}/waiting` | → [`Waiting`] | bureau, administrator |
//! | GET `/api/rounds/{round}/held` | → `[HeldView]` | supervisor |
//! | GET `/api/rounds/{round}/held/{number}?from=` | → [`HeldPreview`] | supervisor |
//! | GET `/api/rounds/{round}/set-aside` | → `[SetAsideView]` | supervisor |
//! | POST `/api/rounds/{round}/held/{number}` | [`HeldDecision`] → [`HeldDecided`] | supervisor |
//! | POST `/api/challenges` | [`NewChallenge`] → [`Challenge`] | anyone |
//! | POST `/api/device-sessions` | [`DeviceSession`] → [`Session`] | a device, by its key |
//! | DELETE `/api/session` | → 204 | any session, its own |
//! | POST `/api/receipts` | [`ReceiptRequest`] → [`ReceiptAnswer`] | any session |
//! | `/api/files` | tus 1.0 with metadata `sha256`, `round`, `school` | rights to write the survey |
//! | GET `/api/photos/{sha256}` and `…/thumbnail` | → image | rights on a school that it supports |
//! | GET `/api/rounds/{round}/feed` | server-sent events, id = journal number | desk roles |
//! | GET `/api/audit?after=&limit=` | → [`AuditPage`] | administrator |
//! | GET `/sync?token=` | WebSocket, automerge-repo protocol | any session |
//! | GET `/health`, `/ready`, `/metrics` | | anyone on loopback |
//! | GET `/openapi.yaml` | | anyone |
//!
//! Every other request carries `Authorization: Bearer <token>`. An entry's
//! path in an address is one percent-encoded segment: `rooms%2F01J%2Fsize`.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::consolidated::{ConsolidatedCounty, ConsolidatedSchool, ReviewState};
use duxue_document::decision::{Ruling, Verdict};
use duxue_document::history::PastClaim;
use duxue_document::school::{Declared, School};
use duxue_document::{
    Claim, Decimal, DecisionId, DeviceId, DocumentId, DocumentKind, EntryPath, JurisdictionCode, OpId,
    PersonId, PhotoHash, QuantityId, RoundId, SchoolId, Value,
};

use crate::receipt::Receipt;

/// What a person may do in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 督学: captures surveys of assigned schools.
    Inspector,
    /// 督导负责人: reviews.
    Supervisor,
    /// 教体局: rules on conflicts, county figures.
    Bureau,
    /// Operates accounts, rounds and imports; writes no document.
    Administrator,
}

/// Name and password of a desk user.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Account name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// What a log-in or enrolment gives.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// Opaque; shown once.
    pub token: String,
    /// Who is logged in.
    pub person: PersonId,
    /// The device, if the session belongs to one.
    pub device: Option<DeviceId>,
    /// When the token stops working.
    pub expires_ms: i64,
    /// The server's receipt key, lower-case hex.
    pub server_key: String,
    /// The server's clock now, for the clock offset.
    pub server_time_ms: i64,
}

/// Asks for a one-time code with which a device joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewEnrolment {
    /// The inspector's name as shown.
    pub person_name: String,
    /// The inspector's id; made from the name's account if absent.
    pub person: Option<PersonId>,
    /// Rounds and schools that the person is assigned to.
    pub round: RoundId,
    /// The schools.
    pub schools: BTreeSet<SchoolId>,
}

/// The one-time code.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrolment {
    /// 128 random bits as text; works once.
    pub code: String,
    /// Who it is for.
    pub person: PersonId,
    /// When it stops working.
    pub expires_ms: i64,
}

/// A device joins.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// The one-time code.
    pub code: String,
    /// The device's Ed25519 public key, lower-case hex.
    pub public_key: String,
    /// What the owner calls the device.
    pub device_name: String,
}

/// Who is logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Me {
    /// The person.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
    /// The device, if the session belongs to one.
    pub device: Option<DeviceId>,
    /// Roles by round.
    pub roles: BTreeMap<RoundId, BTreeSet<Role>>,
}

/// Opens a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewRound {
    /// Its id.
    pub id: RoundId,
    /// Its name.
    pub name: String,
    /// The county.
    pub jurisdiction: JurisdictionCode,
    /// Standard id with version, such as `cn-youzhi-2017`.
    pub standard: String,
    /// Overlay standards in order.
    #[serde(default)]
    pub overlays: Vec<String>,
    /// Settings.
    #[serde(default)]
    pub settings: RoundSettings,
}

/// Settings of a round that change results; named in every assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundSettings {
    /// The date that the assessment speaks of, `YYYY-MM-DD`; decides which
    /// dated reliefs apply.
    pub as_of: String,
    /// Largest difference between two measurements of a quantity or field
    /// that still counts as agreement, by name (`length_m`).
    #[serde(default)]
    pub tolerance: BTreeMap<QuantityId, Decimal>,
    /// Whether entries count only once a supervisor accepted them.
    #[serde(default)]
    pub require_acceptance: bool,
    /// Whether the county's figures are synthetic, shown on every result.
    #[serde(default)]
    pub synthetic: bool,
    /// Whether devices send photos as the camera made them. Otherwise they may
    /// limit the long side first, and keep time, place and camera.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_originals: bool,
}

/// What every round says that does not ask for it; its results stay the same
/// bytes.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for RoundSettings {
    fn default() -> Self {
        Self {
            as_of: "2026-09-01".to_owned(),
            tolerance: BTreeMap::new(),
            require_acceptance: false,
            synthetic: false,
            keep_originals: false,
        }
    }
}

/// A round in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoundSummary {
    /// Its id.
    pub id: RoundId,
    /// Its name.
    pub name: String,
    /// The county.
    pub jurisdiction: JurisdictionCode,
    /// Standard id with version.
    pub standard: String,
    /// Overlay standards in order.
    pub overlays: Vec<String>,
    /// Settings.
    pub settings: RoundSettings,
    /// Number of schools.
    pub schools: u32,
}

/// Assigns schools to a person in a role; replaces the earlier assignment of
/// that person and role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// Who.
    pub person: PersonId,
    /// As what.
    pub role: Role,
    /// Which schools; empty ends the assignment. Ignored for desk roles,
    /// which see the whole county.
    pub schools: BTreeSet<SchoolId>,
    /// Ends the assignment; the only way to end a desk role.
    #[serde(default)]
    pub ended: bool,
}

/// Everything a device needs to work offline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkPacket {
    /// The round.
    pub round: RoundSummary,
    /// The person's roles in it.
    pub roles: BTreeSet<Role>,
    /// The schools that the person may see.
    pub schools: Vec<PacketSchool>,
    /// What the county reported, for desk roles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub county: Option<Declared>,
    /// Standard files in order, base first, as TOML text.
    pub standards: Vec<String>,
    /// Who each known actor (hex) is.
    pub actors: BTreeMap<String, ActorBinding>,
    /// The server's clock.
    pub server_time_ms: i64,
    /// Journal number that the packet reflects.
    pub journal: u64,
}

/// A school in a work packet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PacketSchool {
    /// The register row.
    pub school: School,
    /// What was reported.
    pub declared: Declared,
    /// Whether the person may write its survey.
    pub assigned: bool,
}

/// Whose changes an actor's changes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorBinding {
    /// The person.
    pub person: PersonId,
    /// The person's name as shown.
    pub person_name: String,
    /// The device, if it came from an enrolled one.
    pub device: Option<DeviceId>,
}

/// A school in the desk's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchoolRow {
    /// The register row.
    pub school: School,
    /// Its documents' ids by kind.
    pub documents: BTreeMap<DocumentKind, DocumentId>,
    /// Sections marked complete, of six.
    pub sections_complete: u32,
    /// Entries with a value.
    pub entries: u32,
    /// Open conflicts.
    pub conflicts: u32,
    /// Findings.
    pub findings: u32,
    /// Photos known from the survey, and how many of them arrived.
    pub photos: u32,
    /// Photos whose originals are here.
    pub photos_here: u32,
}

/// The consolidated survey of a school.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchoolView {
    /// The one reading.
    pub consolidated: ConsolidatedSchool,
    /// Heads (hex) of the documents it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
    /// Entries in which a live claim took the place of another person's; the
    /// entry's history shows the claim that it replaced.
    #[serde(default)]
    pub replaced: BTreeSet<EntryPath>,
}

/// An open conflict with what each way to settle it would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConflictView {
    /// Stays the same while the conflict is open.
    #[serde(default)]
    pub id: String,
    /// The school.
    pub school: SchoolId,
    /// The school's name.
    pub school_name: String,
    /// What is in conflict.
    pub subject: ConflictSubject,
    /// The candidates with who made them.
    pub candidates: Vec<CandidateView>,
    /// Whether some choice changes a met / not met.
    pub flips: bool,
    /// Whether no choice changes any result, whatever else is open.
    #[serde(default)]
    pub folded: bool,
    /// Pupils in the stages that it may affect.
    pub pupils: u32,
    /// What supervisors said of the entry, if it is about one.
    #[serde(default)]
    pub review: Option<ReviewState>,
    /// Verdicts that hold for the entry's present candidates and that nothing
    /// supersedes; a ruling names them.
    #[serde(default)]
    pub verdicts: BTreeSet<DecisionId>,
    /// Rulings about the subject that nothing supersedes; the next ruling
    /// supersedes them, or it would contradict them.
    #[serde(default)]
    pub rulings: BTreeSet<DecisionId>,
}

/// What is in conflict.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConflictSubject {
    /// Candidates that differ.
    Entry {
        /// Where.
        path: EntryPath,
    },
    /// Two items that may be the same thing.
    Duplicate {
        /// The items.
        duplicate: duxue_document::consolidated::Duplicate,
    },
    /// An edit of a removed item.
    Removal {
        /// The item.
        item: duxue_document::path::ItemKey,
    },
}

/// One way to settle a conflict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidateView {
    /// The candidate's op.
    pub op: Option<OpId>,
    /// The choice in a word where there is no op: `merge`, `separate`,
    /// `removed`, `present`, `ruled_before`.
    pub choice: Option<String>,
    /// The value of `ruled_before`.
    #[serde(default)]
    pub value: Option<Value>,
    /// The candidate itself.
    pub candidate: Option<duxue_document::consolidated::Candidate>,
    /// Who made it.
    pub by: Option<ActorBinding>,
    /// What the assessment would be with this candidate fixed and all else
    /// open: indicator (`L4/primary`) to result in words, only where it
    /// differs between candidates.
    pub effects: BTreeMap<String, String>,
}

/// The county's own figures and answers, and what in them is in conflict. A
/// conflict is settled by writing the entry again, not by a ruling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountyView {
    /// The one reading.
    pub consolidated: ConsolidatedCounty,
    /// Its entries whose candidates differ, in the order of their paths.
    pub conflicts: Vec<CountyConflictView>,
    /// Heads (hex) of the document it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
}

/// An entry of the county document whose candidates differ.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountyConflictView {
    /// Stays the same while the conflict is open: `entry:quantities/…`.
    pub id: String,
    /// Where.
    pub path: EntryPath,
    /// The candidates in the order of their ops, with who made them. The
    /// effects may be empty.
    pub candidates: Vec<CandidateView>,
    /// Whether some choice changes a met / not met.
    #[serde(default)]
    pub flips: bool,
}

/// Everything that was ever stated about one entry of a survey.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryHistory {
    /// The entry.
    pub path: EntryPath,
    /// Every claim, in the order of the ops, whether or not it is a candidate
    /// now.
    pub claims: Vec<PastClaim>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
}

/// A verdict or ruling, whether or not it still stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its id.
    pub id: DecisionId,
    /// The school.
    pub school: SchoolId,
    /// Who decided, where the actor is known.
    pub by: Option<ActorBinding>,
    /// The decisions that took its place.
    pub superseded_by: BTreeSet<DecisionId>,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A supervisor's word on an entry.
    Verdict(Verdict),
    /// A bureau's decision on a conflict.
    Ruling(Ruling),
}

/// The errors and the effect of an import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether anything was written.
    pub written: bool,
    /// Schools read.
    pub schools: u32,
    /// Figures read.
    pub figures: u32,
    /// What is wrong; nothing is written if there is any.
    pub errors: Vec<CellError>,
    /// What looks wrong but is accepted.
    pub warnings: Vec<CellError>,
}

/// A workbook to fill in for an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportTemplate {
    /// Schools, the county's own figures, and the explanations, which an import
    /// passes over.
    pub sheets: Vec<TemplateSheet>,
}

/// One sheet of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSheet {
    /// Its name.
    pub name: String,
    /// Rows of texts; the first is the head.
    pub rows: Vec<Vec<String>>,
}

/// Something wrong in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellError {
    /// Sheet name, empty for CSV.
    pub sheet: String,
    /// Cell as `C12`, or a row as `12`.
    pub cell: String,
    /// The problem.
    pub problem: crate::problem::Problem,
}

/// Asks what is durable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReceiptRequest {
    /// Hex heads by document.
    #[serde(default)]
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Photos.
    #[serde(default)]
    pub photos: BTreeSet<PhotoHash>,
}

/// A receipt for what is durable, and what is not here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptAnswer {
    /// Signed; states only what is durable.
    pub receipt: Receipt,
    /// Heads that the server does not have.
    pub missing_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that are durable but held for a supervisor, by document.
    pub held_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that a supervisor left out. They are durable, and will not be in the
    /// document unless their actor's owner brings them.
    #[serde(default)]
    pub left_out_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that were set aside because they can never be applied, such as a
    /// second change with one actor and number, or one that depends on what was
    /// left out. They are durable, and sending them again changes nothing: who
    /// wrote them states them again in new changes.
    #[serde(default)]
    pub set_aside_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Photos that the server does not have.
    pub missing_photos: BTreeSet<PhotoHash>,
}

/// Adds a person with an account.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewPerson {
    /// The id; made by the server if absent.
    #[serde(default)]
    pub person: Option<PersonId>,
    /// The name as shown.
    pub name: String,
    /// Name and password for the desk; absent for people who only use devices.
    #[serde(default)]
    pub login: Option<Login>,
    /// Whether the person operates the server.
    #[serde(default)]
    pub administrator: bool,
}

/// A person with an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersonSummary {
    /// The id.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
}

/// A person as those who manage people see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// The id.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
    /// The name for logging in at the desk; shown to administrators only.
    pub login: Option<String>,
    /// Whether the person operates the server.
    pub administrator: bool,
    /// What the person does, where that has not ended.
    pub assignments: Vec<AssignmentView>,
    /// The person's devices, if the caller may give the person one.
    pub devices: Vec<DeviceView>,
}

/// What a person does in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentView {
    /// The round.
    pub round: RoundId,
    /// As what.
    pub role: Role,
    /// The schools; empty for roles that see the county.
    pub schools: BTreeSet<SchoolId>,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The id.
    pub device: DeviceId,
    /// What its owner calls it.
    pub name: String,
    /// When it joined.
    pub enrolled_ms: i64,
    /// When its right to speak was taken, if it was.
    pub revoked_ms: Option<i64>,
}

/// How many changes of a round are outside their documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Held, and nobody decided yet.
    pub held: u64,
    /// Set aside for good.
    pub set_aside: u64,
}

/// Asks for random bytes to sign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewChallenge {
    /// The device that will sign.
    pub device: DeviceId,
}

/// Random bytes to sign within a minute, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Lower-case hex.
    pub challenge: String,
}

/// An enrolled device opens its next session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceSession {
    /// The device.
    pub device: DeviceId,
    /// The challenge that it was given.
    pub challenge: String,
    /// Ed25519 over the text `duxue-device-1 <device> <challenge>`,
    /// lower-case hex.
    pub signature: String,
}

/// Changes that are durable but kept outside their document until someone
/// decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldView {
    /// Names the item.
    pub number: u64,
    /// The document that the changes belong to.
    pub document: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its school.
    pub school: Option<SchoolId>,
    /// Who delivered them.
    pub by: ActorBinding,
    /// Why they are held: `right_ended`, `other_actor` where they name an
    /// actor that is bound to another person or device, or `depends` on others
    /// that are.
    pub reason: String,
    /// When they arrived.
    pub received_ms: i64,
    /// Hashes (hex) of the changes.
    pub hashes: Vec<String>,
    /// The decision, if there is one: whether they were admitted.
    pub admitted: Option<bool>,
}

/// What held changes say, read from a copy of their document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldPreview {
    /// Names the item.
    pub number: u64,
    /// How many statements there are in all.
    pub total: u64,
    /// Changes that do not fit into the document as it is, because what they
    /// depend on is not here: of these only fragments can be read.
    pub loose: u64,
    /// Those from the one asked for on, as many as are answered at once.
    pub statements: Vec<HeldStatement>,
}

/// One thing that a held change says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldStatement {
    /// The hash (hex) of the change.
    pub change: String,
    /// Whose the change's actor is, where it is known.
    pub by: Option<ActorBinding>,
    /// What it says.
    #[serde(flatten)]
    pub words: HeldWords,
}

/// What a held change says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub enum HeldWords {
    /// A claim about an entry.
    Claim {
        /// The entry.
        path: EntryPath,
        /// The op that wrote it.
        op: OpId,
        /// What is stated.
        claim: Claim,
    },
    /// A verdict or ruling.
    Decision {
        /// What is decided.
        decision: Decision,
    },
    /// A value of a change that does not fit.
    Fragment {
        /// The key under which it is put.
        field: String,
        /// The value as text.
        value: String,
    },
}

/// A change that is durable but can never be applied. Nobody can admit it: the
/// person who captured it states it again, on a device whose copy is sound.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetAsideView {
    /// The change's hash (hex).
    pub hash: String,
    /// The document that it belongs to.
    pub document: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its school.
    pub school: Option<SchoolId>,
    /// Who delivered it; absent where only the chunk is known.
    pub by: Option<ActorBinding>,
    /// Why: `change.number_used` where its actor has another change with the
    /// same number, as after a store was copied or restored;
    /// `change.author_twice`; `change.depends` on one that was set aside;
    /// `chunk.not_applicable` and `chunk.panic` from Automerge.
    pub reason: String,
    /// When it was set aside.
    pub received_ms: i64,
    /// The journal number of the record that holds it.
    pub journal: u64,
}

/// A supervisor's decision on held changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldDecision {
    /// Whether the changes go into the document.
    pub admit: bool,
    /// Other items of the same document that the decision is about too: those
    /// that wait for one another can only be let in together.
    #[serde(default)]
    pub with: BTreeSet<u64>,
}

/// What became of a decision on held changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldDecided {
    /// How many changes can never be applied and were set aside: another change
    /// of their actor has their number, or they depend on what was left out.
    /// The device that wrote them states them again.
    pub set_aside: u64,
}

/// Something that happened in a round: the data of a server-sent event whose
/// name is `change` and whose id is the journal number. Delivered at least
/// once; a `reset` means that the reader was away too long and has to read
/// everything again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeedChange {
    /// Journal number.
    pub journal: u64,
    /// `document`, `held`, `register` or `reset`.
    pub what: String,
    /// The school, if it is about one.
    pub school: Option<SchoolId>,
    /// The kind of the document, if it is about one.
    pub kind: Option<DocumentKind>,
}

/// One thing that was done, from the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Journal number.
    pub journal: u64,
    /// When, by the server's clock.
    pub at_ms: i64,
    /// Stable code: `login`, `login.refused`, `logout`, `person.added`,
    /// `enrolment.code`, `enrolment.refused`, `enrolled`, `device.session`,
    /// `device.revoked`, `assigned`, `round.opened`, `round.imported`, `receipt`,
    /// `photo.hash_mismatch`, `survey.written`, `review.written` (verdicts),
    /// `ruling.written`, `county.written`, `plan.written`, `held`,
    /// `held.admitted`, `held.left`, `set_aside`.
    pub kind: String,
    /// Who did it; absent for strangers and for commands on the server's
    /// machine, which `detail` names by `via`.
    pub by: Option<ActorBinding>,
    /// The round, if it is about one.
    pub round: Option<RoundId>,
    /// The school, if it is about one.
    pub school: Option<SchoolId>,
    /// What it was done to: ids and figures, nothing secret.
    pub detail: BTreeMap<String, serde_json::Value>,
}

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// In the order of the journal.
    pub rows: Vec<AuditView>,
    /// The last journal number that was looked at; ask after it for the rest.
    pub through: u64,
    /// Whether there is more to look at now.
    pub more: bool,
}
