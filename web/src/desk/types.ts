// The answers of the server's HTTP interface (server/openapi.yaml), with the
// names of `duxue_protocol::api`. Numbers of measurements are decimals as text.

import type { ItemKind, Problem, Section, Text, Value } from '../core/types'

export type { ItemKind, Problem, Section, Text, Value }

export type Role = 'inspector' | 'supervisor' | 'bureau' | 'administrator'
export type Stage = 'primary' | 'junior'
export type Outcome = 'met' | 'not_met' | 'undetermined' | 'conditional'
export type DocumentKind = 'survey' | 'review' | 'ruling' | 'county' | 'plan'

export interface Session {
  token: string
  person: string
  device: string | null
  expires_ms: number
  server_key: string
  server_time_ms: number
}

export interface Me {
  person: string
  name: string
  device: string | null
  roles: Record<string, Role[]>
}

export interface Round {
  id: string
  name: string
  jurisdiction: string
  standard: string
  overlays: string[]
  settings: { as_of: string; tolerance?: Record<string, string>; require_acceptance?: boolean; synthetic?: boolean; keep_originals?: boolean }
  schools: number
}

export interface School {
  id: string
  name: string
  jurisdiction: string
  kind: string
  parent?: string
  attached?: string[]
  setting: 'urban' | 'town' | 'rural'
  sponsor: number
  built_year?: number
  boarding: boolean
  dense_centre: boolean
  place?: [string, string]
}

export interface Declared {
  figures: Record<string, string>
  rooms?: { name: string; purpose: string; area_m2: string }[]
  classes?: { stage: Stage; pupils: number }[]
  answers?: Record<string, boolean>
}

export interface ActorBinding {
  person: string
  person_name: string
  device: string | null
  /** What its owner calls the device, with evidence. */
  device_name?: string
}

/** Whose an actor's changes are, by the actor in hex. */
export type Actors = Record<string, ActorBinding>

export interface SchoolRow {
  school: School
  documents: Partial<Record<DocumentKind, string>>
  sections_complete: number
  entries: number
  conflicts: number
  findings: number
  photos: number
  photos_here: number
}

export interface Captured {
  device_time_ms: number
  clock_offset_ms: number | null
  boot_id: string
  counter: number
  place: { latitude: string; longitude: string; accuracy_m: string } | null
}

export interface Claim {
  value: Value
  captured: Captured
  photos: string[]
  note: string | null
}

export interface Candidate extends Claim {
  op: string
}

export type ValueState =
  | { state: 'missing' }
  | { state: 'agreed' | 'within_tolerance'; op: string; value: Value }
  | { state: 'conflicting'; ruled_before: Value | null; contradicting?: Value[] }
  | { state: 'settled'; ruling: string; value: Value; op: string | null }

export type ReviewState =
  | { state: 'unreviewed' }
  | { state: 'awaiting' | 'accepted' | 'disputed'; verdicts: string[] }
  | { state: 'returned'; verdicts: string[]; reason: string; overruled: boolean }

export interface Entry {
  candidates: Candidate[]
  value: ValueState
  review: ReviewState
}

export interface Item {
  kind: ItemKind
  members: string[]
  fields: Record<string, Entry>
  removal: { state: 'present' | 'removed' } | { state: 'edited_after_removal'; unseen: string[] }
}

export interface Duplicate {
  kind: ItemKind
  key: string
  items: string[]
  possible: boolean
}

export interface Finding {
  code: string
  path: string
  detail: string
}

export interface SchoolView {
  consolidated: {
    school: School
    declared: Declared
    items: Record<string, Item>
    entries: Record<string, Entry>
    complete: Section[]
    duplicates: Duplicate[]
    findings: Finding[]
  }
  heads: Record<string, string[]>
  actors: Actors
  replaced: string[]
}

export interface PastClaim {
  op: string
  hash: string
  live: boolean
  superseded_by: string[]
  claim: Claim
}

export interface EntryHistory {
  path: string
  claims: PastClaim[]
  actors: Actors
}

export interface CandidateView {
  op: string | null
  choice: 'merge' | 'separate' | 'removed' | 'present' | 'ruled_before' | null
  value: Value | null
  candidate: Candidate | null
  by: ActorBinding | null
  /** Indicator (`L4/primary`) to result in words, only where candidates differ. */
  effects: Record<string, string>
}

export type ConflictSubject =
  | { kind: 'entry'; path: string }
  | { kind: 'duplicate'; duplicate: Duplicate }
  | { kind: 'removal'; item: string }

export interface ConflictView {
  id: string
  school: string
  school_name: string
  subject: ConflictSubject
  candidates: CandidateView[]
  flips: boolean
  folded: boolean
  pupils: number
  review: ReviewState | null
  verdicts: string[]
  rulings: string[]
}

export interface Verdict {
  entry: string
  saw: string[]
  outcome: { outcome: 'accepted' } | { outcome: 'returned'; reason: string }
  supersedes: string[]
  captured: Captured
}

export interface Ruling {
  subject:
    | { subject: 'entry'; path: string; choice: { choice: 'select'; with: string } | { choice: 'set'; with: Value }; saw: string[]; verdicts: string[] }
    | { subject: 'merge' | 'separate'; items: string[] }
    | { subject: 'removal'; item: string; present: boolean; saw: string[] }
  reason: string
  supersedes: string[]
  captured: Captured
}

/** A verdict or ruling, whether or not it still stands. */
export interface DecisionView {
  id: string
  school: string
  by: ActorBinding | null
  superseded_by: string[]
  decision: { verdict: Verdict } | { ruling: Ruling }
}

export interface CountyView {
  consolidated: { declared: Declared; entries: Record<string, Entry>; findings: Finding[] }
  conflicts: { id: string; path: string; candidates: CandidateView[]; flips: boolean }[]
  heads: Record<string, string[]>
  actors: Actors
}

export interface Range {
  low: string
  high: string | null
  printed: string
}

export interface Lacking {
  least: string
  most?: string
  unit: Text
  text: Text
}

/** Comparing the value as rounded would give the opposite result. */
export interface RoundingFlag {
  decimals: number
  rounded: string
  limit: string
  would_be_met: boolean
}

export interface ConditionResult {
  name?: Text
  outcome: Outcome
  value?: Range
  threshold?: string
  lacking?: Lacking[]
  lacking_to_floor?: Lacking[]
  rounding?: RoundingFlag[]
  reliefs?: { id: string; name: Text; clause: string; due_years: number; due: string }[]
}

export interface FigureRef {
  /** Empty for the county's own. */
  school: string
  key: string
}

export interface IndicatorResult {
  id: string
  outcome: Outcome
  conditions: ConditionResult[]
  figures: FigureRef[]
  missing?: { figure: FigureRef; gaps: string[]; text: Text }[]
  open?: Open[]
}

/** An open conflict that bears on a result; the school is empty for the county's own. */
export interface Open {
  school: string
  subject: { kind: 'entry'; path: string } | { kind: 'duplicate'; items: string[] } | { kind: 'removal'; item: string }
}

export interface Bounds {
  low: string
  high: string | null
}

export type Source = 'observed_register' | 'observed_items' | 'declared' | 'assumed' | 'missing'

export interface EntryRef {
  path: string
  ops: string[]
  photos: string[]
  unreviewed: boolean
  gap: string | null
}

/** A part of a figure; one that is not certain may be nothing. */
export interface Piece {
  certain: boolean
  size: Bounds
}

export interface Figure {
  source: Source
  fixed: Piece[]
  /** What depends on open conflicts: of each group one case comes true. */
  open: { cases: Piece[][] }[]
  entries: EntryRef[]
  gaps: string[]
  beside: { source: Source; value: Bounds; items: number }[]
}

export interface StageAssessment {
  stage: Stage
  counts: boolean | null
  not_counted?: { code: string; text: Text }
  pupils: string
  /** Items certainly met, and items that may be. */
  rule?: { outcome: Outcome; met: [number, number]; remark: Text; open?: Open[] }
  indicators: IndicatorResult[]
}

export interface Alarm {
  code: string
  key: string
  text: Text
}

export interface ReviewCount {
  entries: number
  unreviewed: number
}

export interface MadeFrom {
  engine: string
  standard: { id: string; version: string; sha256: string }[]
  as_of: string
  inputs: { round: string; synthetic: boolean; documents: Record<string, string[]> } & Record<string, unknown>
}

export interface SchoolAssessment {
  made_from?: MadeFrom
  school: School
  branches?: string[]
  stages: StageAssessment[]
  indicators: IndicatorResult[]
  /** By campus, then by key. */
  figures: Record<string, Record<string, Figure>>
  alarms?: Alarm[]
  review: ReviewCount
}

export interface IndicatorTally {
  id: string
  outcome: Outcome
  tally: { all: number; met: number; conditional: number; not_met: number; undetermined: number }
  failing: string[]
}

/** Of one item and stage; `mean` is the mean of all, which is not tested. */
export interface Coefficient {
  id: string
  outcome?: Outcome
  county_mean?: Range
  printed: string
  six_decimals: string
  limit?: string
  rounding?: RoundingFlag[]
}

export interface CountyAssessment {
  outcome: Outcome
  dimensions: { id: string; name: Text; outcome: Outcome; because: string[] }[]
  stages: {
    stage: Stage
    rows: number
    rows_open: number
    items: IndicatorTally[]
    coefficients: Coefficient[]
  }[]
  school_indicators: IndicatorTally[]
  indicators: IndicatorResult[]
  missing?: Text[]
  review: ReviewCount
}

export interface Assessment {
  made_from: MadeFrom
  county: CountyAssessment
  schools: SchoolAssessment[]
}

/** What leaves a cell of a form open. */
export interface FormReason {
  school?: string
  school_name?: string
  text: Text
}

export interface FormCell {
  /** In Chinese; empty where nothing is known, a range where it is open. */
  printed: string
  /** The same in English, where that differs. */
  en?: string
  open?: { reasons: FormReason[]; more?: number }
  note?: Text
}

/** One of the national forms, filled in. */
export interface Form {
  id: string
  name: Text
  head: { text: Text; down: number; across: number }[][]
  columns: { name: Text; mark?: string; number: boolean }[]
  /** In so many columns from the left a cell that repeats the one above is one with it. */
  grouped: number
  rows: FormCell[][]
  notes: Text[]
  open_cells: number
}

export interface NationalForms {
  made_from: MadeFrom
  final: boolean
  open_conflicts: number
  open_cells: number
  review: ReviewCount
  forms: Form[]
}

/** A workbook to fill in: sheets of texts, the first row of each is its head. */
export interface ImportTemplate {
  sheets: { name: string; rows: string[][] }[]
}

export type WhatIfChange = { change: 'move_pupils' | 'set_quantity' | 'add_quantity' | 'add_room' | 'buy_equipment' } & Record<string, unknown>

export interface Shown {
  outcome?: Outcome
  value?: string
}

export interface WhatIf {
  changes: WhatIfChange[]
  before: CountyAssessment
  after: Assessment
  differences: { school?: string; result: string; before: Shown; after: Shown }[]
}

export interface FeedChange {
  journal: number
  what: 'document' | 'held' | 'register' | 'reset'
  school: string | null
  kind: DocumentKind | null
}

export interface HeldView {
  number: number
  document: string
  kind: DocumentKind
  school: string | null
  by: ActorBinding
  reason: 'right_ended' | 'other_actor' | 'depends'
  received_ms: number
  hashes: string[]
  admitted: boolean | null
  /** Who may decide, about nothing of their own; nobody once it is decided. */
  released_by: Role[]
}

/** What became of a decision on held changes. */
export interface HeldDecided {
  set_aside: number
}

/** What held changes say, read from a copy of their document. */
export interface HeldPreview {
  number: number
  total: number
  /** Changes that do not fit without what they depend on: fragments only. */
  loose: number
  statements: HeldStatement[]
}

export type HeldStatement = { change: string; by: ActorBinding | null } & (
  | { says: 'claim'; path: string; op: string; claim: Claim }
  | { says: 'decision'; decision: { verdict: Verdict } | { ruling: Ruling } }
  | { says: 'fragment'; field: string; value: string }
)

export interface SetAsideView {
  hash: string
  document: string
  kind: DocumentKind
  school: string | null
  by: ActorBinding | null
  reason: string
  received_ms: number
  journal: number
  released_by: never[]
  instead: 'stated_again'
}

export interface AuditView {
  journal: number
  at_ms: number
  kind: string
  by: ActorBinding | null
  round: string | null
  school: string | null
  detail: Record<string, unknown>
}

export interface AuditPage {
  rows: AuditView[]
  through: number
  more: boolean
}

export interface CellError {
  sheet: string
  cell: string
  problem: Problem
}

export interface ImportReport {
  written: boolean
  schools: number
  figures: number
  errors: CellError[]
  warnings: CellError[]
}

export interface NewRound {
  id: string
  name: string
  jurisdiction: string
  standard: string
  overlays: string[]
  settings: Round['settings']
}

export interface Assignment {
  person: string
  role: Exclude<Role, 'administrator'>
  schools: string[]
  ended?: boolean
}

export interface NewEnrolment {
  person_name: string
  person: string | null
  round: string
  schools: string[]
}

export interface Enrolment {
  code: string
  person: string
  expires_ms: number
}

export interface NewPerson {
  person?: string | null
  name: string
  login?: { name: string; password: string } | null
  administrator?: boolean
}

export interface PersonSummary {
  person: string
  name: string
}

export interface PersonView {
  person: string
  name: string
  login: string | null
  administrator: boolean
  assignments: { round: string; role: Role; schools: string[] }[]
  devices: { device: string; name: string; enrolled_ms: number; revoked_ms: number | null }[]
}

export interface Standard {
  id: string
  name: Text
  quantities: Record<string, { id: string; name: Text; unit: Text; county: boolean; parts: string[]; decimals: number; clause: string }>
  dimensions: { id: string; name: Text; clause: string }[]
  indicators: {
    id: string
    dimension: string
    name: Text
    level: 'stage' | 'school' | 'county'
    clause: string
    decimals: number
    conditions: { name?: Text; rule?: Record<string, unknown> }[]
  }[]
}

export interface WorkPacket {
  round: Round
  roles: Role[]
  schools: { school: School; declared: Declared; assigned: boolean }[]
  county?: Declared
  standards: string[]
  actors: Actors
  server_time_ms: number
  journal: number
}
