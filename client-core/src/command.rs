//! What the user can ask of the engine, and the answers.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::decision::{self, Outcome};
use duxue_document::path::{ItemKey, ItemKind, Section};
use duxue_document::{
    Decimal, DecisionId, DeviceId, EntryPath, FieldId, ItemId, OpId, PersonId, PhotoHash, Place, RoundId,
    SchoolId, Value,
};
use duxue_protocol::api::Session;

/// A school in a round: what survey commands are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The round.
    pub round: RoundId,
    /// The school.
    pub school: SchoolId,
}

/// A value to state about an entry; time and device are the engine's to add.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// What is stated.
    pub value: Value,
    /// Photos that support it; each must have been added before.
    #[serde(default)]
    pub photos: Vec<PhotoHash>,
    /// A remark.
    #[serde(default)]
    pub note: Option<String>,
    /// Where, if the device knows.
    #[serde(default)]
    pub place: Option<Place>,
    /// When by the device's clock, where that is not now: a photo may be stated
    /// long after it was taken.
    #[serde(default)]
    pub at_ms: Option<i64>,
}

/// A photo whose bytes the shell has stored durably under its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPhoto {
    /// SHA-256 of the bytes.
    pub photo: PhotoHash,
    /// Number of bytes.
    pub length: u64,
    /// Media type, such as `image/jpeg`.
    pub media: String,
    /// How it came to the device, where that is known.
    #[serde(default)]
    pub taken: Option<Taken>,
    /// Entries that it supports besides those whose claims name it.
    #[serde(default)]
    pub supports: BTreeSet<EntryPath>,
    /// A remark about it.
    #[serde(default)]
    pub note: Option<String>,
}

impl NewPhoto {
    /// A photo of which nothing else is known.
    #[must_use]
    pub fn new(photo: PhotoHash, length: u64, media: String) -> Self {
        Self { photo, length, media, taken: None, supports: BTreeSet::new(), note: None }
    }
}

/// How a photo came to the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// When, by the device's clock, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Where the device was then, if it knew.
    #[serde(default)]
    pub place: Option<Place>,
    /// From where.
    pub method: TakenBy,
}

/// From where a photo came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenBy {
    /// The camera, at that moment.
    Camera,
    /// The device's pictures: it may be older, and from elsewhere.
    Gallery,
}

impl TakenBy {
    /// The word in the evidence entry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Gallery => "gallery",
        }
    }
}

/// A draft that is stored together with claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The draft's form.
    pub form: String,
    /// Its text.
    pub text: String,
}

/// What was shown of an entry when someone judged it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// All candidates.
    pub ops: BTreeSet<OpId>,
    /// The verdicts that stood; the new one supersedes them and no others.
    #[serde(default)]
    pub verdicts: BTreeSet<DecisionId>,
}

/// Something the user wants. As JSON `{"put_claims": {…}}`: with the name among
/// the fields, reading it would cost a phone twice the code.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Joins a server with a one-time code.
    Enrol {
        /// The server's address, `https://host`.
        server: String,
        /// The code.
        code: String,
        /// What the owner calls the device.
        device_name: String,
    },
    /// Logs a desk user in.
    Login {
        /// The server's address.
        server: String,
        /// Account.
        name: String,
        /// Password; not kept.
        password: String,
    },
    /// Goes on with a session that the shell opened, as where it asks the
    /// server for other things by it too.
    TakeSession {
        /// The server's address.
        server: String,
        /// The session.
        session: Session,
    },
    /// Forgets the session's token and goes offline, as at a log-out. What was
    /// captured or decided stays, and goes out with the person's next session.
    ForgetSession,
    /// Fetches the work packet of a round.
    FetchPacket {
        /// The round; absent for all rounds that the server lists.
        round: Option<RoundId>,
    },
    /// States values about entries: all or none are saved, in one change where
    /// the server takes that many at once.
    PutClaims {
        /// The school.
        subject: Subject,
        /// The entries with their values.
        claims: Vec<(EntryPath, Statement)>,
        /// Photos that come with it.
        #[serde(default)]
        photos: Vec<NewPhoto>,
        /// A draft stored in the same batch, so that both or neither happen:
        /// how far a longer work is.
        #[serde(default)]
        mark: Option<Mark>,
    },
    /// Adds a room, class, ground or piece of equipment.
    AddItem {
        /// The school.
        subject: Subject,
        /// The kind.
        kind: ItemKind,
        /// Its fields; `identity` is needed.
        fields: BTreeMap<FieldId, Statement>,
        /// Photos that come with it.
        #[serde(default)]
        photos: Vec<NewPhoto>,
        /// As in [`Command::PutClaims`].
        #[serde(default)]
        mark: Option<Mark>,
    },
    /// Adds an item like another, with some fields changed.
    CopyItem {
        /// The school.
        subject: Subject,
        /// The item to copy.
        item: ItemKey,
        /// What is different; `identity` is needed, since two equal things are one.
        changes: BTreeMap<FieldId, Statement>,
    },
    /// Says that an item is not there.
    RemoveItem {
        /// The school.
        subject: Subject,
        /// The item.
        item: ItemKey,
        /// Why.
        reason: String,
    },
    /// States again what the entry held before the last claim of this device.
    Undo {
        /// The school.
        subject: Subject,
        /// The entry.
        path: EntryPath,
    },
    /// Marks a section complete, or not.
    MarkSection {
        /// The school.
        subject: Subject,
        /// The section.
        section: Section,
        /// The mark.
        complete: bool,
    },
    /// Links a photo to the entries that it supports.
    AttachPhoto {
        /// The school.
        subject: Subject,
        /// The photo.
        photo: NewPhoto,
        /// The entries.
        entries: BTreeSet<EntryPath>,
        /// Where it was taken, if known.
        #[serde(default)]
        place: Option<Place>,
    },
    /// States the county's own figures and answers, as [`Command::PutClaims`] does.
    PutCounty {
        /// The round.
        round: RoundId,
        /// The entries with their values: quantities and answers.
        claims: Vec<(EntryPath, Statement)>,
        /// As in [`Command::PutClaims`].
        #[serde(default)]
        mark: Option<Mark>,
    },
    /// Accepts or returns entries.
    Judge {
        /// The school.
        subject: Subject,
        /// The entries, each with what was shown of it.
        entries: BTreeMap<EntryPath, Seen>,
        /// The word.
        outcome: Outcome,
    },
    /// Rules on a conflict.
    Rule {
        /// The school.
        subject: Subject,
        /// What is decided, with what was shown of it: the ruling settles
        /// exactly that.
        about: decision::Subject,
        /// The rulings that were shown; this one supersedes them and no others.
        #[serde(default)]
        rulings: BTreeSet<DecisionId>,
        /// Why.
        reason: String,
    },
    /// Keeps what is being typed, through restarts.
    SaveDraft {
        /// The form, in the shell's words.
        form: String,
        /// What was typed; empty deletes the draft.
        text: String,
    },
    /// Keeps documents of a school in sync though nothing of ours waits in them.
    Open {
        /// The school.
        subject: Subject,
    },
    /// Goes online, or offline.
    Online {
        /// Whether to be online.
        wanted: bool,
    },
    /// Lets photos wait, or go on: on a network that is paid by volume. What was
    /// measured goes either way.
    PausePhotos {
        /// Whether they wait. Not kept through a restart.
        paused: bool,
    },
    /// Tries a stuck photo again.
    RetryPhoto {
        /// The photo.
        photo: PhotoHash,
    },
    /// Deletes local copies of photos that a receipt covers.
    FreePhotos,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done.
    Done,
    /// On disk.
    Saved(Saved),
    /// Logged in.
    Session {
        /// Who.
        person: PersonId,
        /// The device, if it is enrolled.
        device: Option<DeviceId>,
        /// When the log-in ends, server time.
        expires_ms: i64,
    },
    /// Packets fetched.
    Packets {
        /// The rounds.
        rounds: Vec<RoundId>,
        /// Number of schools in them.
        schools: usize,
    },
    /// Photos freed.
    Freed {
        /// Which.
        photos: Vec<PhotoHash>,
        /// Bytes.
        bytes: u64,
    },
}

/// What was saved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The new item, if one was added.
    pub item: Option<ItemId>,
    /// The claims written, in the order given.
    pub claims: Vec<(EntryPath, Option<OpId>)>,
    /// What looks wrong but is kept.
    pub warnings: Vec<Warning>,
}

/// Something that looks wrong. Warnings never block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Where.
    pub path: EntryPath,
    /// What.
    pub problem: duxue_protocol::problem::Problem,
    /// The number that is unusual, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual: Option<Unusual>,
}

/// A number outside what is usual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusual {
    /// The value's field, such as `length_m`.
    pub field: String,
    /// What was stated, in the field's unit.
    pub found: Decimal,
    /// The least that is usual.
    pub low: Decimal,
    /// The most.
    pub high: Decimal,
}
