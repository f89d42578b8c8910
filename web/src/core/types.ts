// The JSON that goes in and out of the core, as far as the screens use it. The
// names are those of the Rust types: client-core's commands and views.

export interface Problem {
  code: string
  message_zh: string
  message_en: string
  detail?: string | null
}

export interface Subject {
  round: string
  school: string
}

export type Section = 'classes' | 'rooms' | 'grounds' | 'equipment' | 'quantities' | 'checklist'
export type ItemKind = 'classes' | 'rooms' | 'grounds' | 'equipment'
export type Scalar = boolean | string
export type Value = Record<string, Scalar>

export interface Statement {
  value: Value
  photos?: string[]
  note?: string | null
  place?: Place | null
}

/** Where, as exact decimals: degrees by WGS 84, and metres of uncertainty. */
export interface Place {
  latitude: string
  longitude: string
  accuracy_m: string
}

export interface NewPhoto {
  photo: string
  length: number
  media: string
  taken?: Taken
  /** Paths of entries that it supports besides those whose claims name it. */
  supports?: string[]
  note?: string | null
}

export interface Taken {
  at_ms: number
  place: Place | null
  method: TakenBy
}

/** By the camera at that moment, or from the pictures of the phone. */
export type TakenBy = 'camera' | 'gallery'

/** A photo that is in the store now. */
export interface AddedPhoto extends NewPhoto {
  /** An earlier photo that is the same, or looks the same. */
  like: { photo: string; same: boolean } | null
}

export interface Mark {
  form: string
  text: string
}

/** A claim's address with what is stated, such as `quantities/pupils:primary`. */
export type ClaimOf = [path: string, statement: Statement]

export type Command =
  | { command: 'enrol'; server: string; code: string; device_name: string }
  | { command: 'fetch_packet'; round: null }
  | { command: 'put_claims'; subject: Subject; claims: ClaimOf[]; photos?: NewPhoto[]; mark?: Mark }
  | { command: 'add_item'; subject: Subject; kind: ItemKind; fields: Record<string, Statement>; photos?: NewPhoto[]; mark?: Mark }
  | { command: 'remove_item'; subject: Subject; item: string; reason: string }
  | { command: 'undo'; subject: Subject; path: string }
  | { command: 'mark_section'; subject: Subject; section: Section; complete: boolean }
  | { command: 'save_draft'; form: string; text: string }
  | { command: 'open'; subject: Subject }
  | { command: 'take_session'; server: string; session: unknown }
  | { command: 'forget_session' }
  | { command: 'put_county'; round: string; claims: ClaimOf[]; mark?: Mark }
  | { command: 'judge'; subject: Subject; entries: Record<string, Seen>; outcome: Judgement }
  | { command: 'rule'; subject: Subject; about: RulingSubject; rulings: string[]; reason: string }
  | { command: 'online'; wanted: boolean }
  | { command: 'retry_photo'; photo: string }
  | { command: 'pause_photos'; paused: boolean }
  | { command: 'free_photos' }

/** What was shown of an entry when someone judged it. */
export interface Seen {
  ops: string[]
  verdicts: string[]
}

export type Judgement = { outcome: 'accepted' } | { outcome: 'returned'; reason: string }

/** What a ruling is about and says; `saw` is what was shown. */
export type RulingSubject =
  | { subject: 'entry'; path: string; choice: { choice: 'select'; with: string } | { choice: 'set'; with: Value }; saw: string[]; verdicts: string[] }
  | { subject: 'merge' | 'separate'; items: string[] }
  | { subject: 'removal'; item: string; present: boolean; saw: string[] }

export interface Warning {
  path: string
  problem: Problem
  /** The number that is unusual, in its field's unit, and what is usual. */
  unusual?: { field: string; found: string; low: string; high: string }
}

export type Reply =
  | { reply: 'done' }
  | { reply: 'saved'; item: string | null; claims: unknown[]; warnings: Warning[] }
  | { reply: 'session'; person: string; device: string | null; expires_ms: number }
  | { reply: 'packets'; rounds: string[]; schools: number }
  | { reply: 'freed'; photos: string[]; bytes: number }

export type Notice =
  | { notice: 'ready' | 'online' | 'login_needed' }
  | { notice: 'broken' | 'trouble'; problem: Problem }
  | { notice: 'changed' | 'saved_late'; document: string }
  | { notice: 'offline'; reason: Problem; retry_ms: number | null }
  | { notice: 'photo'; photo: string; sent: number; length: number }
  | { notice: 'settled'; clean: boolean }

export interface Text {
  zh: string
  en: string
}

export interface Status {
  ready: boolean
  person: string | null
  device: string | null
  server: string | null
  link: 'off' | 'trying' | 'online'
  drafts: Record<string, string>
}

export interface School {
  id: string
  name: string
  kind: string
  setting: string
  attached?: string[]
}

export interface SchoolProgress {
  subject: Subject
  school: School
  assigned: boolean
  complete: number
  entries: number
  conflicts: number
  returned: number
  photos_waiting: number
}

export interface Round {
  id: string
  name: string
  standard: string
  settings: { as_of: string; synthetic?: boolean; keep_originals?: boolean }
}

export type ValueState =
  | { state: 'missing' }
  | { state: 'agreed' | 'within_tolerance' | 'settled'; value: Value }
  | { state: 'conflicting' }

export type ReviewState =
  | { state: 'unreviewed' | 'awaiting' | 'accepted' | 'disputed' }
  | { state: 'returned'; reason: string; overruled: boolean }

export interface Entry {
  candidates: { op: string; value: Value; photos: string[]; note: string | null }[]
  value: ValueState
  review: ReviewState
}

export interface Item {
  kind: ItemKind
  members: string[]
  fields: Record<string, Entry>
  removal: { state: 'present' | 'removed' | 'edited_after_removal' }
}

export type OpenPoint =
  | { point: 'section'; section: Section }
  | { point: 'returned'; path: string; reason: string }
  | { point: 'conflict'; conflict: { id: string; subject: ConflictSubject } }
  | { point: 'finding'; finding: { code: string; path: string; detail: string } }

export type ConflictSubject =
  | { kind: 'entry'; path: string; within_tolerance: boolean }
  | { kind: 'duplicate'; duplicate: { kind: ItemKind; items: string[] } }
  | { kind: 'removal'; item: string }

export interface SurveyView {
  consolidated: {
    school: School
    declared: { figures: Record<string, string>; answers?: Record<string, boolean> }
    items: Record<string, Item>
    entries: Record<string, Entry>
    complete: Section[]
  }
  open: OpenPoint[]
}

export interface Quantity {
  id: string
  name: Text
  unit: Text
  county: boolean
  parts: string[]
  sources: string[]
  decimals: number
}

export interface Standard {
  id: string
  quantities: Record<string, Quantity>
  indicators: { id: string; name: Text; clause: string }[]
  questions: { id: string; indicator: string; name: Text }[]
}

export type Outcome = 'met' | 'not_met' | 'undetermined' | 'conditional'

export interface Cell {
  id: string
  outcome: Outcome
  conditions: { name: Text | null; outcome: Outcome; printed: string | null; threshold: string | null; lacking: Text[] }[]
  missing: Text[]
  open: number
}

export interface Strip {
  provisional: boolean
  standard: string
  warnings: Warning[]
  rows: { stage: 'primary' | 'junior' | null; indicators: Cell[] }[]
}

export type Waiting =
  | { why: 'not_saved' | 'offline' | 'paused' | 'no_receipt' | 'denied' | 'held' | 'left_out' | 'set_aside' }
  | { why: 'sending'; sent: number }
  | { why: 'unusable' | 'stuck'; problem: Problem }

export interface OutboxItem {
  what: { what: 'changes'; document: string; kind: string; count: number } | { what: 'photo'; photo: string }
  subject: Subject | null
  bytes: number
  reason: Waiting
}

export interface Outbox {
  items: OutboxItem[]
  bytes: number
}

/** A photo that this device took, with how far it is. */
export interface PhotoRecord {
  photo: string
  length: number
  subject: Subject
  state: { state: 'waiting' | 'uploading' | 'sent' | 'receipted' | 'freed' | 'stuck' }
}

export interface Receipt {
  server_time_ms: number
  journal: number
  documents: number
  photos: number
}

/** What a supervisor left out of this person's work in one document. */
export interface LeftOut {
  round: string
  school: string | null
  /** By the server's clock. */
  at_ms: number
  claims: [path: string, claim: { value: Value; photos: string[]; note: string | null }][]
}

/** Questions with their answers. */
export interface Answers {
  status: Status
  schools: [Round[], SchoolProgress[]]
  school: SurveyView
  standard: Standard
  strip: Strip
  /** Paths of entries with something to undo. */
  undoable: string[]
  outbox: Outbox
  receipts: Receipt[]
  left_out: LeftOut[]
  photos: PhotoRecord[]
}

export type Query =
  | { query: 'status' | 'schools' | 'outbox' | 'receipts' | 'left_out' | 'photos' }
  | { query: 'school'; subject: Subject }
  | { query: 'standard'; round: string }
  | { query: 'undoable'; subject: Subject; paths: string[] }
  | { query: 'strip'; subject: Subject; claims: ClaimOf[] }
