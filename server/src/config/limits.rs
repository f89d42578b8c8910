//! The `[limits]` section: everything that a peer or a person can be over,
//! each with its unit, default and reason, and what is counted when it is.

use std::path::PathBuf;
use std::time::Duration;

use duxue_protocol::scan::ScanLimits;
use duxue_protocol::wire;
use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::hub::quota::Amount;
use crate::hub::{DocumentMax, HubLimits};
use crate::import;
use crate::photos;
use crate::transport;

/// What clients of ours are made for too, so these numbers are the protocol's.
const WIRE: wire::Limits = wire::Limits::DEFAULT;
const SCAN: ScanLimits = ScanLimits::DEFAULT;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:expr;)+) => {
        /// The `[limits]` section of the settings. Each must be at least 1.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $doc])+ #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")] pub $name: u64,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// The names of all limits.
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        impl Limits {
            /// Each limit's name and value.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

limits! {
    /// Connections at once, open WebSockets among them; more wait in the system's queue. A county has some 300
    /// people with a few connections each, and all may come back at once after a break of the network.
    connections = 10_000;
    /// WebSockets of one person at once: some tabs and devices, each with a dying predecessor. One person cannot
    /// take everybody's place. A log-in that an office shares has one for each open window and two while one of them
    /// reconnects, so this does for an office of thirty.
    connections_per_person = 64;
    /// Connections at once from one address, for IPv6 from one /64; more are closed. A bureau behind one address has
    /// some 300 people with a few connections each, and the phones of a county may share a few addresses of their
    /// network. This machine itself and the `trusted_proxies` of the settings speak for others and may have any.
    connections_per_address = 1_024;
    /// Requests worked on at once, WebSockets and running answers apart; more are refused, because each holds a body.
    requests = 1_024;
    /// Requests at once without a token that stands, which have these turns and no others: a county that logs in on
    /// one morning does so with a dozen in a second.
    stranger_requests = 256;
    /// Seconds for the body of such a request, which holds no turn before it is here: a few hundred bytes on a bad line.
    stranger_seconds = 10;
    /// Seconds that a peer may take nothing of an answer, or of a frame of its socket: what is to be sent to it is in
    /// memory for as long. A phone that leaves a lift takes something again in less.
    send_seconds = 30;
    /// Bytes of the app's files that are kept in memory, compressed: both entries with their parts have some four
    /// million.
    web_bytes = 64 << 20;
    /// Seconds that a request may take, uploads of files apart.
    request_seconds = 60;
    /// Bytes of a JSON body: an assessment of "what if" names every school of a large county.
    json_bytes = 4 << 20;
    /// Bytes of a JSON body before anyone has logged in: a name, a password, a key.
    stranger_json_bytes = 4 << 10;
    /// Heads and photos that one request for a receipt may ask about, each a look-up: the work of a device for a term.
    receipt_questions = 20_000;
    /// Changes of one "what if": it is tried on a copy of the whole county.
    what_if_changes = 1_000;
    /// Schools of a round. One commit of an import takes them all, and China's largest county has some two thousand.
    schools_per_round = 10_000;
    /// Bytes of a request's path and headers, which also bounds the read buffer of a connection. Of HTTP/2 what is twice
    /// as much is refused by the library, which tells nobody, so it is not counted.
    header_bytes = 16 << 10;
    /// Seconds for a request's headers, and between requests; a client that sends a byte a minute would keep its place.
    header_seconds = 15;
    /// Seconds for the TLS handshake: three round trips on a bad mobile line.
    tls_seconds = 10;
    /// Requests at once on one HTTP/2 connection; a page loads some twenty. Counted when all are taken: what comes then
    /// waits at the peer, or is refused by the library, which tells nobody.
    streams = 64;
    /// Seconds for running requests and sockets to end when the server stops; service managers wait 30 to 90.
    /// That it was not enough stands in the log, for nobody reads the metrics of a server that has stopped.
    stop_seconds = 20;

    /// Bytes of a sync frame. A first upload of a school measured 2.6 kB per 40 changes; this is a thousand visits.
    frame_bytes = WIRE.frame_bytes as u64;
    /// Bytes of one text in a frame: peer ids are 30, heads 50.
    frame_text_bytes = WIRE.text_bytes as u64;
    /// Containers inside containers of a frame; the protocol needs four.
    frame_depth = WIRE.depth as u64;
    /// Keys, values and list members of a frame. A desk that follows a large county sends some two thousand.
    frame_items = WIRE.items as u64;

    /// Operations of one change. An imported equipment list of a large school has some thousands.
    scan_ops_per_change = SCAN.ops_per_change;
    /// Operations of one sync message: Automerge takes about 700 bytes for each, so this allows it 70 MB.
    scan_ops = SCAN.ops;
    /// Changes of one sync message. A device that was offline for a term brings some thousands.
    scan_changes = SCAN.changes;
    /// Bytes that the deflated parts of one sync message may inflate to, and that its changes may take by themselves:
    /// twice a frame, and a quarter of what the store takes as one record.
    scan_inflated_bytes = SCAN.inflated_bytes;
    /// Actors that one chunk may name.
    scan_actors = SCAN.actors;
    /// Bytes of one actor; ours have 16.
    scan_actor_bytes = SCAN.actor_bytes;
    /// Dependencies of one change: heads that were merged at once.
    scan_deps = SCAN.deps;
    /// Operations that the operations of one chunk may replace.
    scan_replaced = SCAN.replaced;
    /// Bytes of a key or commit message; Automerge repeats a key for each operation of a run.
    scan_text_bytes = SCAN.text_bytes;
    /// Bytes that a change may carry for later versions.
    scan_extra_bytes = SCAN.extra_bytes;
    /// Hashes in one list of a sync message: heads, `need`, last sync. Each costs a look-up.
    scan_hashes = SCAN.hashes;
    /// Summaries of what the peer has; every implementation sends one.
    scan_haves = SCAN.haves;
    /// Bytes of a Bloom filter: 10 bits for each change that was not synced yet.
    scan_bloom_bytes = SCAN.bloom_bytes;

    /// Bytes of an imported file: the register of the largest county with all figures has two.
    import_bytes = 20 << 20;
    /// Bytes of all parts of a workbook once inflated: each cell costs some forty there.
    import_inflated_bytes = 200 << 20;
    /// Inflated to compressed size of one part of a workbook. Excel's own files stay below 60.
    import_ratio = 200;
    /// Parts of a workbook: each sheet has a few, and pictures are parts too.
    import_parts = 2_000;
    /// Sheets of a workbook. The national forms are ten.
    import_sheets = 30;
    /// Rows of a sheet: ten thousand schools by two stages.
    import_rows = 20_000;
    /// Columns of a sheet. The national forms have some hundred and fifty.
    import_columns = 400;
    /// Cells with something in them, over all sheets; each costs about a hundred bytes.
    import_cells = 1_000_000;
    /// Characters of a cell: remarks are a few hundred.
    import_cell_chars = 4_000;

    /// Events that may wait for one document. Who sends more waits in the socket.
    document_events = 64;
    /// Documents that one connection may subscribe to. A desk of a large county follows some two thousand.
    documents_per_connection = 4_096;
    /// Bytes of sync messages, inflated, that are worked on at once. What is over it waits as it came, within
    /// `received_bytes`, and all that is behind it in the socket.
    in_flight_bytes = 64 << 20;
    /// Bytes of sync messages of more than 4 KiB that are on their way in or wait to be worked on, of all connections at
    /// once: sixteen of the largest. A socket whose message finds no room is read on when there is some; meanwhile small
    /// messages go on. One that has room keeps it for as long as it brings 512 bytes in a second.
    received_bytes = 64 << 20;
    /// The part of each that one person may take, as large as the largest message: somebody's term of work goes message by
    /// message, beside everybody else's edits.
    in_flight_bytes_per_person = 8 << 20;
    /// Bytes of a message before a log-in: a `join` has some two hundred.
    stranger_frame_bytes = 4 << 10;
    /// Bytes of the `senderId` that a socket joins with; automerge-repo's have 30.
    sender_bytes = 128;
    /// Frames that may wait for one socket. What does not fit is not queued: it is computed again when there is room.
    outbound_frames = 8;
    /// Bytes of frames that may wait for one socket before no more are computed. A single message may be larger, and it is
    /// computed alone where it may be a whole document.
    outbound_bytes = 1 << 20;
    /// Bytes of documents that may wait whole for all sockets together; who comes when there are so many waits a moment.
    outbound_bytes_in_all = 256 << 20;
    /// Bytes that one socket may hold while a part of a message is written, which has 16 KiB.
    socket_write_bytes = 256 << 10;
    /// Bytes of a socket's read buffer; it is resident for each idle client, and most frames are smaller.
    socket_read_bytes = 1 << 10;
    /// Bytes of an ephemeral message: a cursor or a presence.
    ephemeral_bytes = 16 << 10;
    /// Ephemeral messages of one connection in a second; each goes to all who have the document open.
    ephemeral_per_second = 50;
    /// Seconds from the upgrade to the first message of a socket.
    join_seconds = 10;
    /// Seconds between two pings; a socket that is silent for two of them ends, so a phone that went away costs
    /// at most two.
    ping_seconds = 5;
    /// Seconds that a document without subscribers stays open, so that a phone that comes back finds it loaded.
    document_idle_seconds = 60;

    /// Operations of one document: each takes some 700 bytes in memory where it is open, and devices take 400 000 at
    /// once. The survey of a school with 200 rooms, each measured four times, has some 100 000.
    document_operations = 300_000;
    /// Changes of one document: each takes some 600 bytes in memory even if there is nothing in it. The same survey has some
    /// 20 000.
    document_changes = 100_000;
    /// Actors that wrote one document: one for each device and log-in, for npm clients one for each start.
    document_actors = 5_000;
    /// Heads of one document: changes that do not know of each other. The next change of anyone depends on all of them, and
    /// has to stay below `scan_deps` wherever it goes.
    document_heads = 256;
    /// Bytes of one document, of which a new client gets everything in one message.
    document_bytes = 24 << 20;
    /// Changes of one document that wait for others which have not come. Whoever sends in order has none; every change
    /// that is applied looks through them.
    document_waiting_changes = 2_000;

    /// Bytes of changes that one person may have written into the journal, which keeps each by itself and inflated, so
    /// that they may cost their sender little. A day's worth comes back in a day, evenly. The survey of a school with 200
    /// rooms, each measured four times, has some eight million; this is sixty of them in a day. Receipts and uploads whose
    /// bytes are not what was declared count too, for what is recorded of them. Counted since the start.
    journal_bytes_per_person = 512 << 20;
    /// Changes of one person that may be set aside because they can never be applied: as many as one message has. They are
    /// the lost end of what a device wrote before it, or the server, went back to a backup, and nobody decides about them, so
    /// a day's worth comes back in a day. Their hashes are in memory while their document is open. Counted since the start.
    set_aside_changes_per_person = 20_000;
    /// Changes that one person may leave in the held area, over all documents.
    held_changes_per_person = 20_000;
    /// Bytes that one person may leave in the held area.
    held_bytes_per_person = 16 << 20;
    /// Changes that may be held of one document; their hashes are in memory while it is open.
    held_changes_per_document = 50_000;
    /// Bytes that may be held of one document: more than one person may leave, so that nobody can fill it alone.
    held_bytes_per_document = 64 << 20;

    /// Bytes of one photo: phones make 3 to 12 MB.
    photo_bytes = 40 << 20;
    /// Unfinished uploads of one person: a day without network.
    uploads_per_person = 500;
    /// Declared bytes of the unfinished uploads of one person.
    upload_bytes_per_person = 4 << 30;
    /// Seconds that an unfinished upload is kept: a week in the field.
    upload_seconds = 604_800;
    /// Seconds that an upload's connection may send nothing.
    upload_idle_seconds = 60;
    /// Bytes kept of uploads whose hash did not match.
    upload_aside_bytes = 1 << 30;
    /// Files kept of them, two for each upload: a mismatch is a fault, and a thousand tell what it is.
    upload_aside_files = 2_000;
    /// Bytes of the disk that photos leave free: four times what the journal does, so that measurements come in long after
    /// photos have to wait. In use is what is free.
    photo_reserve_bytes = 256 << 20;
    /// Finished uploads whose addresses still answer, for clients that did not hear the last answer.
    uploads_remembered = 10_000;
    /// Photos that one person may have brought in one round: two hundred a day for three months.
    photos_per_person = 20_000;
    /// Bytes of them; nobody may fill the disk alone.
    photo_bytes_per_person = 64 << 30;
    /// Pixels of a side of a picture that is decoded. Panoramas of phones have twelve thousand.
    image_side = 12_000;
    /// Pixels of a picture that is decoded: twice the largest sensors of phones count as one would expect.
    image_pixels = 100_000_000;
    /// Bytes that decoding may take, of all pictures at once: of each its file three times, 8 MiB for its decoder, its
    /// pixels, and what the decoder keeps of all of these. Pictures wait for each other; one that takes more alone is
    /// kept without a thumbnail. A phone's 50 million pixels take some 200 MiB.
    image_memory_bytes = 400 << 20;

    /// Failed log-ins with one name from one address within `login_seconds` before it has to wait.
    login_failures = 10;
    /// Failed log-ins with one name from all addresses before each has a single try: somebody guesses, and its owner
    /// comes in with the right password all the same.
    login_failures_per_name = 100;
    /// Seconds after which failures are forgotten.
    login_seconds = 300;
    /// Names and addresses with failures that are remembered; of more the oldest are forgotten.
    login_names = 10_000;
    /// Refused log-ins within `login_seconds` that are written to the journal; the rest is only counted, or strangers
    /// could fill the disk.
    login_refusals_noted = 300;
    /// Sessions of one device at once; one lasts thirty days. The oldest end, so that a device that lost its token
    /// is never locked out.
    sessions_per_device = 4;
    /// Sessions of one person at once, over all devices and desks: thirty windows of an office and some that expire.
    sessions_per_person = 256;
    /// Sessions that one person may open in a day, which come back evenly: each is about a kilobyte of the journal until
    /// it has ended, and a script that logs in for every call of a minute opens some three thousand. Counted since the start.
    sessions_opened_per_person = 5_000;
}

impl Limits {
    /// Whether every limit can be kept.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn check(&self) -> Result<(), String> {
        if let Some((name, _)) = self.all().into_iter().find(|(_, value)| *value == 0) {
            return Err(format!("limits.{name} 必须至少为 1。 · limits.{name} must be at least 1."));
        }
        Ok(())
    }

    /// Of a frame.
    #[must_use]
    pub fn wire(&self) -> wire::Limits {
        wire::Limits {
            frame_bytes: size(self.frame_bytes),
            text_bytes: size(self.frame_text_bytes),
            depth: size(self.frame_depth),
            items: size(self.frame_items),
        }
    }

    /// Of what is in a sync message.
    #[must_use]
    pub fn scan(&self) -> ScanLimits {
        ScanLimits {
            ops_per_change: self.scan_ops_per_change,
            ops: self.scan_ops,
            changes: self.scan_changes,
            inflated_bytes: self.scan_inflated_bytes,
            actors: self.scan_actors,
            actor_bytes: self.scan_actor_bytes,
            deps: self.scan_deps,
            replaced: self.scan_replaced,
            text_bytes: self.scan_text_bytes,
            extra_bytes: self.scan_extra_bytes,
            hashes: self.scan_hashes,
            haves: self.scan_haves,
            bloom_bytes: self.scan_bloom_bytes,
        }
    }

    /// Of the sync hub.
    #[must_use]
    pub fn hub(&self) -> HubLimits {
        HubLimits {
            wire: self.wire(),
            scan: self.scan(),
            sessions_per_person: size(self.connections_per_person),
            documents: size(self.documents_per_connection),
            events: size(self.document_events),
            in_flight: size(self.in_flight_bytes),
            received: size(self.received_bytes),
            outbound_all: size(self.outbound_bytes_in_all),
            in_flight_per_person: size(self.in_flight_bytes_per_person),
            sender_bytes: size(self.sender_bytes),
            send: Duration::from_secs(self.send_seconds),
            outbound_frames: size(self.outbound_frames),
            outbound_bytes: size(self.outbound_bytes),
            ephemeral_bytes: size(self.ephemeral_bytes),
            ephemeral_rate: u32::try_from(self.ephemeral_per_second).unwrap_or(u32::MAX),
            idle: Duration::from_secs(self.document_idle_seconds),
            ping: Duration::from_secs(self.ping_seconds),
            handshake: Duration::from_secs(self.join_seconds),
            of_document: DocumentMax {
                operations: size(self.document_operations),
                changes: size(self.document_changes),
                actors: size(self.document_actors),
                heads: size(self.document_heads),
                bytes: size(self.document_bytes),
                waiting: size(self.document_waiting_changes),
            },
            journal_per_person: self.journal_bytes_per_person,
            set_aside_per_person: self.set_aside_changes_per_person,
            held_per_person: Amount {
                changes: self.held_changes_per_person,
                bytes: self.held_bytes_per_person,
            },
            held_per_document: Amount {
                changes: self.held_changes_per_document,
                bytes: self.held_bytes_per_document,
            },
        }
    }

    /// Of the bodies of requests.
    #[must_use]
    pub fn bodies(&self) -> Bodies {
        Bodies {
            json: size(self.json_bytes),
            stranger: size(self.stranger_json_bytes),
            questions: size(self.receipt_questions),
            changes: size(self.what_if_changes),
        }
    }

    /// Schools of a round.
    #[must_use]
    pub fn schools(&self) -> usize {
        size(self.schools_per_round)
    }

    /// Of imported files.
    #[must_use]
    pub fn import(&self) -> import::Limits {
        let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        import::Limits {
            bytes: size(self.import_bytes),
            inflated_bytes: self.import_inflated_bytes,
            ratio: self.import_ratio,
            parts: size(self.import_parts),
            sheets: size(self.import_sheets),
            rows: count(self.import_rows),
            columns: count(self.import_columns),
            cells: size(self.import_cells),
            cell_chars: size(self.import_cell_chars),
        }
    }

    /// Of sessions.
    #[must_use]
    pub fn sessions(&self) -> accounts::Limits {
        accounts::Limits {
            of_device: size(self.sessions_per_device),
            of_person: size(self.sessions_per_person),
            opened: self.sessions_opened_per_person,
            attempts: accounts::attempts::Limits {
                failures: u32::try_from(self.login_failures).unwrap_or(u32::MAX),
                of_name: u32::try_from(self.login_failures_per_name).unwrap_or(u32::MAX),
                window_ms: i64::try_from(self.login_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX),
                remembered: size(self.login_names),
                noted: u32::try_from(self.login_refusals_noted).unwrap_or(u32::MAX),
            },
        }
    }

    /// Of connections and requests.
    #[must_use]
    pub fn transport(&self) -> transport::Limits {
        transport::Limits {
            connections: size(self.connections),
            connections_per_address: size(self.connections_per_address),
            requests: size(self.requests),
            stranger_requests: size(self.stranger_requests),
            stranger_body_bytes: size(self.stranger_json_bytes),
            stranger_body: Duration::from_secs(self.stranger_seconds),
            send: Duration::from_secs(self.send_seconds),
            tls_handshake: Duration::from_secs(self.tls_seconds),
            headers: Duration::from_secs(self.header_seconds),
            header_bytes: size(self.header_bytes),
            streams: u32::try_from(self.streams).unwrap_or(u32::MAX),
            stop: Duration::from_secs(self.stop_seconds),
            ping_every: transport::HTTP2_PING,
            ping_answer: transport::HTTP2_PING,
            compress_above: transport::COMPRESS_ABOVE,
        }
    }

    /// Of a WebSocket.
    #[must_use]
    pub fn socket(&self) -> transport::SocketLimits {
        transport::SocketLimits {
            message_bytes: size(self.frame_bytes),
            frame_bytes: size(self.frame_bytes),
            read_buffer_bytes: size(self.socket_read_bytes),
            write_buffer_bytes: size(self.socket_write_bytes),
            stranger_bytes: size(self.stranger_frame_bytes),
        }
    }

    /// Of uploads, kept in a folder.
    #[must_use]
    pub fn photos(&self, folder: PathBuf) -> photos::Settings {
        photos::Settings {
            folder,
            photo_bytes: self.photo_bytes,
            uploads_per_person: size(self.uploads_per_person),
            staged_bytes_per_person: self.upload_bytes_per_person,
            expiry_ms: i64::try_from(self.upload_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX),
            idle: Duration::from_secs(self.upload_idle_seconds),
            aside_bytes: self.upload_aside_bytes,
            aside_files: self.upload_aside_files,
            remembered: size(self.uploads_remembered),
            reserve_bytes: self.photo_reserve_bytes,
            photos_per_person: self.photos_per_person,
            bytes_per_person: self.photo_bytes_per_person,
            decoder: self.decoder(),
        }
    }

    /// Of pictures that are decoded.
    #[must_use]
    pub fn decoder(&self) -> photos::Decoder {
        photos::Decoder {
            side: u32::try_from(self.image_side).unwrap_or(u32::MAX),
            pixels: self.image_pixels,
            memory_bytes: self.image_memory_bytes,
        }
    }

    /// Shows every limit in the metrics, and a count of refusals from zero.
    pub fn show(&self) {
        for (name, value) in self.all() {
            metrics::gauge!("duxue_limit", "limit" => name).set(shown(value));
            metrics::counter!("duxue_limit_refused_total", "limit" => name).increment(0);
        }
    }
}

/// What the bodies of requests may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bodies {
    /// Bytes of JSON of someone with a session.
    pub json: usize,
    /// Bytes of JSON before that.
    pub stranger: usize,
    /// Heads and photos of a request for a receipt.
    pub questions: usize,
    /// Changes of a "what if".
    pub changes: usize,
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Shows how much of a limit is in use: what is counted over all, or the most
/// that one connection, person or document has.
pub fn in_use(limit: &'static str, value: usize) {
    let value = shown(u64::try_from(value).unwrap_or(u64::MAX));
    metrics::gauge!("duxue_limit_in_use", "limit" => limit).set(value);
}

/// A number as metrics take it: exact up to 2^53.
fn shown(value: u64) -> f64 {
    let half = |value: u64| f64::from(u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX));
    half(value >> 32) * 4_294_967_296.0 + half(value)
}

/// Counts that something was over a limit, by the limit's name here.
pub fn refused(limit: &'static str) {
    metrics::counter!("duxue_limit_refused_total", "limit" => limit).increment(1);
}

/// The same for a limit of the frame (`frame_`) or the scan (`scan_`), by its
/// name there.
pub fn refused_within(prefix: &str, what: &str) {
    if let Some(limit) = NAMES.iter().find(|name| name.strip_prefix(prefix) == Some(what)) {
        refused(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that the parts of the server are given, as text.
    fn given(limits: &Limits) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            limits.hub(),
            limits.bodies(),
            limits.import(),
            limits.sessions(),
            limits.transport(),
            limits.socket(),
            limits.photos(PathBuf::new()),
            limits.decoder(),
            limits.schools(),
        )
    }

    #[test]
    fn every_limit_reaches_the_part_that_it_bounds() {
        // Read where the routes are made.
        let elsewhere = ["request_seconds", "web_bytes"];
        for (name, value) in Limits::default().all() {
            let other = value + 7;
            let text = format!("{name} = {other}");
            let changed: Limits =
                figment::Figment::from(figment::providers::Serialized::defaults(Limits::default()))
                    .merge(<figment::providers::Toml as figment::providers::Format>::string(&text))
                    .extract()
                    .expect("reads");
            let given = (given(&Limits::default()), given(&changed));
            assert_eq!(given.0 == given.1, elsewhere.contains(&name), "{name}");
            // In seconds or in thousandths of one where it is a time.
            assert!(elsewhere.contains(&name) || given.1.contains(&other.to_string()), "{name}");
        }
    }

    /// What nobody can be over, so that there is nothing to count, and why.
    const NOT_COUNTED: [(&str, &str); 4] = [
        ("document_idle_seconds", "what is closed is to be closed: `duxue_open_documents` shows it"),
        ("login_seconds", "a window in which others are counted"),
        ("socket_read_bytes", "a buffer; what does not fit is read next"),
        ("socket_write_bytes", "a buffer; what does not fit waits within `send_seconds`"),
    ];

    /// The sources below a folder: those of the code, and those of its tests.
    fn sources(folder: &std::path::Path, code: &mut String, tests: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                sources(&path, code, tests);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("config/limits.rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let here = [Some(path.as_path()), path.parent()].into_iter().flatten();
                let mut names = here.filter_map(|part| part.file_name()?.to_str());
                let all_tests = names.any(|name| name.starts_with("tests"));
                let (own, tested) = match text.split_once("#[cfg(test)]\nmod tests {") {
                    _ if all_tests => ("", text.as_str()),
                    Some(parts) => parts,
                    None => (text.as_str(), ""),
                };
                code.push_str(own);
                tests.push_str(tested);
            }
        }
    }

    /// A limit that bites without a count looks like one that does not.
    #[test]
    fn every_limit_is_counted_where_it_bites_and_a_test_says_so() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut code, mut tests, mut protocol) = (String::new(), String::new(), String::new());
        sources(&root.join("src"), &mut code, &mut tests);
        sources(&root.join("tests"), &mut String::new(), &mut tests);
        sources(&root.join("../schemas/protocol/src"), &mut protocol, &mut String::new());
        for name in NAMES {
            let named = |text: &str, name: &str| text.contains(&format!("\"{name}\""));
            // By the name there: [`refused_within`].
            let within = ["frame_", "scan_"].iter().find_map(|prefix| name.strip_prefix(prefix));
            let counted = named(&code, name) || within.is_some_and(|within| named(&protocol, within));
            let reason = NOT_COUNTED.iter().find(|(limit, _)| limit == name);
            assert!(counted != reason.is_some(), "{name}: {reason:?}");
            assert!(reason.is_some() || named(&tests, name), "no test names {name}");
        }
    }

    #[test]
    fn what_the_protocol_fixes_has_the_protocols_numbers() {
        let limits = Limits::default();
        assert_eq!(limits.wire(), wire::Limits::DEFAULT);
        assert_eq!(limits.scan(), ScanLimits::DEFAULT);
    }

    #[test]
    fn metrics_show_large_numbers_as_they_are() {
        for value in [0, 1, u64::from(u32::MAX), 1 << 32, 64 << 30, (1 << 53) - 1] {
            assert_eq!(format!("{}", shown(value)), value.to_string());
        }
    }

    #[test]
    fn a_limit_of_nothing_is_an_error_with_its_name() {
        for (name, _) in Limits::default().all() {
            let text = format!("{name} = 0");
            let limits: Limits =
                figment::Figment::from(figment::providers::Serialized::defaults(Limits::default()))
                    .merge(<figment::providers::Toml as figment::providers::Format>::string(&text))
                    .extract()
                    .expect("reads");
            assert!(limits.check().is_err_and(|error| error.contains(name)), "{name}");
        }
    }
}
