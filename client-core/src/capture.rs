//! Commands that write the survey.

use duxue_document::collections::{BTreeMap, BTreeSet};

use duxue_document::consolidated::{Candidate, ValueState, fields};
use duxue_document::path::{ItemKey, ItemKind};
use duxue_document::{
    Captured, Claim, DocumentKind, EntryPath, FieldId, ItemId, PhotoHash, Place, Scalar, Value, history,
    write,
};
use duxue_protocol::problem::Problem;

use crate::command::{Command, Mark, NewPhoto, Reply, Saved, Statement, Subject, Warning};
use crate::desk::needs_reason;
use crate::document::About;
use crate::engine::{Engine, Turn, json};
use crate::error::CommandError;
use crate::event::CommandId;
use crate::photo::{PhotoRecord, PhotoState};
use crate::{bounds, identity, keys, validate};

/// A copy that says nothing of what it is would be the same thing again.
const COPY_NEEDS_IDENTITY: &str = "identity: 请写明新的一项是什么，如 identity.number=102 / say what the new item is, as identity.number=102";

const NOT_COPIED: Problem = Problem::new(
    "capture.not_copied",
    "原来的一项中这个条目没有定下来的值，没有复制：请量过后补填",
    "the item copied has no settled value here, so it was left out: measure and state it",
);

/// What is written into a survey together.
struct Capture {
    claims: Vec<(EntryPath, Statement)>,
    photos: Vec<NewPhoto>,
    /// The new item, if there is one.
    item: Option<ItemId>,
    mark: Option<Mark>,
    /// What is known to look wrong before the values are looked at.
    warnings: Vec<Warning>,
}

impl Capture {
    fn of(claim: (EntryPath, Statement)) -> Self {
        Self { claims: vec![claim], photos: Vec::new(), item: None, mark: None, warnings: Vec::new() }
    }
}

impl Engine {
    /// Runs a capture command; the reply follows when the change is on disk.
    pub(crate) fn capture(
        &mut self,
        id: CommandId,
        command: Command,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        match command {
            Command::PutClaims { subject, claims, photos, mark } => self.put(
                id,
                &subject,
                Capture { claims, photos, item: None, mark, warnings: Vec::new() },
                turn,
            ),
            Command::AddItem { subject, kind, fields, photos, mark } => {
                let item = new_item(turn)?;
                let claims = item_claims(kind, &item, fields)?;
                self.put(
                    id,
                    &subject,
                    Capture { claims, photos, item: Some(item), mark, warnings: Vec::new() },
                    turn,
                )
            }
            Command::CopyItem { subject, item, changes } => {
                self.copy_item(id, &subject, &item, changes, turn)
            }
            Command::RemoveItem { subject, item, reason } => {
                self.remove_item(id, &subject, &item, &reason, turn)
            }
            Command::Undo { subject, path } => {
                let statement = self.before_last(&subject, &path)?;
                self.put(id, &subject, Capture::of((path, statement)), turn)
            }
            Command::MarkSection { subject, section, complete } => {
                let value = single("complete", Scalar::Bool(complete))?;
                let claim = (EntryPath::Section(section), Statement { value, ..Statement::default() });
                self.put(id, &subject, Capture::of(claim), turn)
            }
            Command::AttachPhoto { subject, photo, entries, place } => {
                let statement = evidence(&photo, &entries, place)?;
                let claim = (EntryPath::Evidence(photo.photo), statement);
                self.put(id, &subject, Capture { photos: vec![photo], ..Capture::of(claim) }, turn)
            }
            // The other commands are answered before they come here.
            _ => Err(CommandError::NotReady),
        }
    }

    /// Writes claims together, stored all or none. Photos that come with them get an evidence
    /// entry that links them to the entries whose claims name them and to those that they name.
    fn put(
        &mut self,
        id: CommandId,
        subject: &Subject,
        capture: Capture,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let Capture { mut claims, photos, item, mark, mut warnings } = capture;
        let survey = About::of(subject, DocumentKind::Survey);
        self.may_write(&survey)?;
        self.check_photos(subject, &claims, &photos)?;
        let again = photos.iter().any(|photo| self.photos.contains_key(&photo.photo));
        let known = again.then(|| self.consolidated(subject)).transpose()?;
        for photo in &photos {
            if !claims.iter().any(|(path, _)| *path == EntryPath::Evidence(photo.photo)) {
                let entries = claims
                    .iter()
                    .filter(|(_, statement)| statement.photos.contains(&photo.photo))
                    .map(|(path, _)| path)
                    .chain(&photo.supports)
                    .cloned()
                    .collect();
                // Where nothing else is known: where the claims that it supports were made.
                let place = claims
                    .iter()
                    .filter(|(_, statement)| statement.photos.contains(&photo.photo))
                    .find_map(|(_, statement)| statement.place.clone());
                let path = EntryPath::Evidence(photo.photo);
                let before = known.as_ref().and_then(|known| known.entry(&path)?.candidates.first());
                let statement = match before {
                    Some(before) => evidence_again(photo, entries, before)?,
                    None => evidence(photo, &entries, place)?,
                };
                claims.push((path, statement));
            }
        }
        for (path, statement) in &claims {
            validate::check_statement(path, statement)?;
            warnings.extend(self.implausible(subject, path, &statement.value));
        }
        let claims: Vec<(EntryPath, Claim)> =
            claims.into_iter().map(|(path, statement)| (path, self.claim(statement, turn.now_ms))).collect();
        let records = self.photo_records(subject, &photos);
        let (local, mut puts) = self.writable(survey, turn)?;
        let before = local.doc.get_heads();
        let ops = bounds::put_claims(&mut local.doc, &claims).map_err(|error| write_error(&error))?;
        if let Some(mark) = &mark {
            puts.push((keys::draft(&mark.form), mark.text.clone().into_bytes()));
        }
        puts.extend(records.iter().map(|record| (keys::photo(&record.photo), json(record))));
        let claims = claims.into_iter().map(|(path, _)| path).zip(ops.into_iter().map(Some)).collect();
        let saved = Saved { item, claims, warnings };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        self.drafts.extend(mark.map(|mark| (mark.form, mark.text)));
        self.photos.extend(records.into_iter().map(|record| (record.photo, record)));
        Ok(())
    }

    fn copy_item(
        &mut self,
        id: CommandId,
        subject: &Subject,
        item: &ItemKey,
        changes: BTreeMap<FieldId, Statement>,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let consolidated = self.consolidated(subject)?;
        let known = consolidated
            .items
            .iter()
            .find(|(key, known)| key.kind == item.kind && known.members.contains(&item.item))
            .map(|(_, known)| known)
            .ok_or(CommandError::UnknownItem)?;
        let missing = changes.keys().all(|field| field.as_str() != fields::IDENTITY);
        if missing {
            return Err(CommandError::BadValue(COPY_NEEDS_IDENTITY.to_owned()));
        }
        let new = new_item(turn)?;
        let mut all: BTreeMap<FieldId, Statement> = BTreeMap::new();
        let mut warnings = Vec::new();
        for (field, entry) in known.fields.iter().filter(|(field, _)| field.as_str() != fields::REMOVED) {
            // Where people differ, one side of it was not seen in the new item.
            let agreed = matches!(entry.value, ValueState::Agreed { .. } | ValueState::Settled { .. })
                .then(|| entry.possible_values());
            match agreed.as_deref() {
                Some([value, ..]) => {
                    let value = (*value).clone();
                    all.insert(field.clone(), Statement { value, ..Statement::default() });
                }
                _ if changes.contains_key(field) => {}
                _ => {
                    let path = EntryPath::Item { kind: item.kind, item: new.clone(), field: field.clone() };
                    let problem = NOT_COPIED.with_detail(format!("{item}/{field}"));
                    warnings.push(Warning { path, problem, unusual: None });
                }
            }
        }
        all.extend(changes);
        let claims = item_claims(item.kind, &new, all)?;
        let capture = Capture { claims, photos: Vec::new(), item: Some(new), mark: None, warnings };
        self.put(id, subject, capture, turn)
    }

    fn remove_item(
        &mut self,
        id: CommandId,
        subject: &Subject,
        item: &ItemKey,
        reason: &str,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let survey = About::of(subject, DocumentKind::Survey);
        self.may_write(&survey)?;
        needs_reason(reason)?;
        let captured = self.captured(None, turn.now_ms);
        let (local, puts) = self.writable(survey, turn)?;
        let before = local.doc.get_heads();
        let op =
            write::remove_item(&mut local.doc, item, reason, &captured).map_err(|error| match error {
                write::WriteError::NoItem(_) => CommandError::UnknownItem,
                error => write_error(&error),
            })?;
        let saved =
            Saved { claims: vec![(field_path(item, fields::REMOVED)?, Some(op))], ..Saved::default() };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        Ok(())
    }

    /// What the entry held before this device's last claim on it, as a new
    /// statement.
    fn before_last(&self, subject: &Subject, path: &EntryPath) -> Result<Statement, CommandError> {
        let document = About::of(subject, DocumentKind::Survey).id();
        let local = self.documents.get(&document).ok_or(CommandError::NothingToUndo)?;
        let actor = self.actors.get(&document).ok_or(CommandError::NothingToUndo)?;
        let is_ours = |candidate: &&Candidate| candidate.op.actor() == actor.actor;
        let ours = self.with_reading(subject, |reading, _| {
            let entry = reading.school().entry(path)?;
            entry.candidates.iter().find(is_ours).map(|candidate| candidate.op.clone())
        })?;
        let ours = ours.ok_or(CommandError::NothingToUndo)?;
        let mut before = history::before(&local.doc, path, &ours);
        let own = before.iter().position(|(op, _)| op.actor() == actor.actor).unwrap_or_default();
        if before.is_empty() {
            return Err(CommandError::NothingToUndo);
        }
        let (_, claim) = before.swap_remove(own);
        Ok(Statement {
            value: claim.value,
            photos: claim.photos,
            note: claim.note,
            place: claim.captured.place,
            at_ms: None,
        })
    }

    /// Which of these entries [`Command::Undo`] would change. Reads what is asked
    /// for and nothing else of the document.
    #[must_use]
    pub fn can_undo(&self, subject: &Subject, paths: &[EntryPath]) -> BTreeSet<EntryPath> {
        paths.iter().filter(|path| self.before_last(subject, path).is_ok()).cloned().collect()
    }

    fn check_photos(
        &self,
        subject: &Subject,
        claims: &[(EntryPath, Statement)],
        photos: &[NewPhoto],
    ) -> Result<(), CommandError> {
        // An undo states again what a colleague's photo may support.
        if photos.is_empty() {
            return Ok(());
        }
        let known = |photo: &PhotoHash| {
            self.photos.contains_key(photo) || photos.iter().any(|new| new.photo == *photo)
        };
        let mut unknown = claims
            .iter()
            .flat_map(|(_, statement)| &statement.photos)
            .filter(|photo| !known(photo))
            .peekable();
        if unknown.peek().is_none() {
            return Ok(());
        }
        // A colleague's photo goes on to support what a new one supports too.
        let survey = self.consolidated(subject)?;
        let stated = |photo: &PhotoHash| survey.entries.contains_key(&EntryPath::Evidence(*photo));
        if unknown.all(stated) { Ok(()) } else { Err(CommandError::UnknownPhoto) }
    }

    /// Records of photos that this device does not have yet.
    fn photo_records(&self, subject: &Subject, photos: &[NewPhoto]) -> Vec<PhotoRecord> {
        let new = photos.iter().filter(|photo| !self.photos.contains_key(&photo.photo));
        new.map(|photo| PhotoRecord {
            photo: photo.photo,
            length: photo.length,
            media: photo.media.clone(),
            subject: subject.clone(),
            state: PhotoState::Waiting,
        })
        .collect()
    }

    pub(crate) fn claim(&mut self, statement: Statement, now_ms: i64) -> Claim {
        Claim {
            value: statement.value,
            captured: self.captured(statement.place, statement.at_ms.unwrap_or(now_ms)),
            photos: statement.photos,
            note: statement.note.filter(|note| !note.trim().is_empty()),
        }
    }

    /// The circumstances of a claim made at a time of the device's clock.
    pub(crate) fn captured(&mut self, place: Option<Place>, at_ms: i64) -> Captured {
        self.counter += 1;
        Captured {
            device_time_ms: at_ms,
            clock_offset_ms: self.identity.as_ref().map(|identity| identity.clock_offset_ms),
            boot_id: self.boot_id.clone(),
            counter: self.counter,
            place,
        }
    }
}

fn new_item(turn: &mut Turn) -> Result<ItemId, CommandError> {
    ItemId::new(identity::hex(&turn.random::<10>()))
        .map_err(|error| CommandError::BadValue(error.to_string()))
}

fn item_claims(
    kind: ItemKind,
    item: &ItemId,
    fields: BTreeMap<FieldId, Statement>,
) -> Result<Vec<(EntryPath, Statement)>, CommandError> {
    if !fields.keys().any(|field| field.as_str() == fields::IDENTITY) {
        return Err(CommandError::BadValue("identity".to_owned()));
    }
    let path = |field| EntryPath::Item { kind, item: item.clone(), field };
    Ok(fields.into_iter().map(|(field, statement)| (path(field), statement)).collect())
}

fn field_path(item: &ItemKey, field: &str) -> Result<EntryPath, CommandError> {
    let field = FieldId::new(field).map_err(|error| CommandError::BadValue(error.to_string()))?;
    Ok(EntryPath::Item { kind: item.kind, item: item.item.clone(), field })
}

fn single(name: &str, scalar: Scalar) -> Result<Value, CommandError> {
    let field = FieldId::new(name).map_err(|error| CommandError::BadValue(error.to_string()))?;
    Ok(Value::from([(field, scalar)]))
}

/// The evidence entry of a photo: `entries` joined by spaces, `media`, and
/// `bytes` as text, so that a reader knows what to expect of a photo that has
/// not arrived. `method` says whether the camera took it then or it was chosen
/// from the device's pictures; time and place are those of that moment.
fn evidence(
    photo: &NewPhoto,
    entries: &BTreeSet<EntryPath>,
    place: Option<Place>,
) -> Result<Statement, CommandError> {
    let entries = entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut value = single("entries", Scalar::Text(entries))?;
    value.extend(single("media", Scalar::Text(photo.media.clone()))?);
    value.extend(single("bytes", Scalar::Text(photo.length.to_string()))?);
    let taken = photo.taken.as_ref();
    if let Some(taken) = taken {
        value.extend(single("method", Scalar::Text(taken.method.as_str().to_owned()))?);
    }
    Ok(Statement {
        value,
        photos: vec![photo.photo],
        note: photo.note.clone(),
        place: taken.map_or(place, |taken| taken.place.clone()),
        at_ms: taken.map(|taken| taken.at_ms),
    })
}

/// The evidence entry of a photo that was stated before: it supports what it
/// supported and more, and is of the moment of which it was.
fn evidence_again(
    photo: &NewPhoto,
    mut entries: BTreeSet<EntryPath>,
    before: &Candidate,
) -> Result<Statement, CommandError> {
    let field = |name: &str| FieldId::new(name).map_err(|error| CommandError::BadValue(error.to_string()));
    if let Some(Scalar::Text(linked)) = before.value.get(&field("entries")?) {
        entries.extend(linked.split(' ').filter_map(|path| path.parse().ok()));
    }
    let mut statement = evidence(photo, &entries, None)?;
    let method = field("method")?;
    statement.value.remove(&method);
    statement.value.extend(before.value.get(&method).map(|known| (method.clone(), known.clone())));
    statement.place.clone_from(&before.captured.place);
    statement.at_ms = Some(before.captured.device_time_ms);
    statement.note = photo.note.clone().or_else(|| before.note.clone());
    Ok(statement)
}

/// The writer's refusal with its own code.
pub(crate) fn write_error(error: &write::WriteError) -> CommandError {
    let (zh, en) = error.message();
    CommandError::Refused(Box::new(Problem {
        code: error.code().into(),
        message_zh: zh.into(),
        message_en: en.into(),
        detail: None,
    }))
}
