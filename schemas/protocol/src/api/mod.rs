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

mod audit;
mod conflicts;
mod held;
mod imports;
mod people;
mod receipts;
mod rounds;
mod schools;
mod sessions;

pub use audit::{AuditPage, AuditView, FeedChange};
pub use conflicts::{CandidateView, ConflictSubject, ConflictView};
pub use held::{
    HeldDecided, HeldDecision, HeldPreview, HeldStatement, HeldView, HeldWords, Instead, SetAsideView,
};
pub use imports::{CellError, ImportReport, ImportTemplate, TemplateSheet};
pub use people::{AssignmentView, DeviceView, NewPerson, PersonSummary, PersonView};
pub use receipts::{ReceiptAnswer, ReceiptRequest};
pub use rounds::{
    ActorBinding, Assignment, NewRound, PacketSchool, RoundSettings, RoundSummary, Waiting, WorkPacket,
};
pub use schools::{
    CountyConflictView, CountyView, Decision, DecisionView, EntryHistory, SchoolRow, SchoolView,
};
pub use sessions::{
    Challenge, DeviceSession, Enrol, Enrolment, Login, Me, NewChallenge, NewEnrolment, Role, Session,
};
