// What the screens show, kept true by the core's notices.

import { reactive, shallowReactive, watch } from 'vue'
import { Core, Failed } from '../core/client'
import type { Notice, Outbox, Problem, Receipt, Round, SchoolProgress, Status, Subject } from '../core/types'
import { engineWorker } from './engine'
import { paused } from './metered'
import { lookAtRoom } from './storage'

export interface State {
  phase: 'starting' | 'waiting' | 'ready' | 'broken'
  /** Rounds and schools are what was shown last; the engine has not read the store yet. */
  remembered: boolean
  problem: Problem | null
  /** The last trouble that came by itself; a tap hides it. */
  trouble: Problem | null
  loginNeeded: boolean
  lastContact: number | null
  /** Why there is no connection, and when it is tried again. */
  offline: { reason: Problem; retryMs: number | null } | null
  /** Why the last try to fetch the assignments failed. */
  noPacket: Problem | null
  status: Status | null
  rounds: Round[]
  schools: SchoolProgress[]
  outbox: Outbox
  receipts: Receipt[]
  /** Grows with every change of a document; screens read again. */
  version: number
  /** Grows with every start of the core: it knows what is on the disk and nothing else. */
  starts: number
  /** Grows when what did not get onto the disk at first is there. */
  savedLate: number
}

const CONTACT = 'duxue-last-contact'

const LAST = 'duxue-today'
/** This person's schools only: the others are below them. */
type Last = Pick<State, 'rounds' | 'schools'>

/** What the start page showed last, so that it is there before the engine is. */
function last(): Last | null {
  try {
    return JSON.parse(localStorage.getItem(LAST) ?? 'null') as Last | null
  } catch {
    return null
  }
}

let written = ''
function remember(): void {
  const mine = state.schools.filter(({ assigned }) => assigned)
  const text = JSON.stringify(state.status?.person ? ({ rounds: state.rounds, schools: mine } satisfies Last) : null)
  if (text === written) return
  try {
    localStorage.setItem(LAST, text)
    written = text
  } catch {
    // No room: an old page that shows for a moment would be wrong, none is not.
    localStorage.removeItem(LAST)
  }
}

const before = last()

export const state: State = shallowReactive<State>({
  phase: 'starting',
  remembered: before !== null,
  problem: null,
  trouble: null,
  loginNeeded: false,
  lastContact: Number(localStorage.getItem(CONTACT)) || null,
  offline: null,
  noPacket: null,
  status: null,
  rounds: before?.rounds ?? [],
  schools: before?.schools ?? [],
  outbox: { items: [], bytes: 0 },
  receipts: [],
  version: 0,
  starts: 0,
  savedLate: 0,
})

/** Photos on their way: bytes that the server has, by hash. */
export const sent = reactive(new Map<string, number>())

export let core: Core

export function begin(): void {
  core = new Core(engineWorker, noticed, () => {
    state.phase = 'waiting'
  })
  addEventListener('online', () => void nudge())
  // A phone that was in a pocket asks when it is looked at.
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void nudge()
  })
  watch(paused, () => void tellPaused())
}

function contact(): void {
  state.lastContact = Date.now()
  localStorage.setItem(CONTACT, String(state.lastContact))
}

function noticed(notice: Notice): void {
  switch (notice.notice) {
    case 'ready':
      void ready()
      return
    case 'broken':
      state.phase = 'broken'
      state.problem = notice.problem
      return
    case 'trouble':
      state.trouble = notice.problem
      void lookAtRoom()
      break
    case 'saved_late':
      state.savedLate += 1
      break
    case 'login_needed':
      state.loginNeeded = true
      break
    case 'online':
      contact()
      state.offline = null
      state.loginNeeded = false
      void newWork()
      break
    case 'offline':
      state.offline = { reason: notice.reason, retryMs: notice.retry_ms }
      break
    case 'photo':
      contact()
      sent.set(notice.photo, notice.sent)
      break
    case 'settled':
      contact()
      break
    default:
      break
  }
  soon()
}

/** The engine forgets it with every start. */
async function tellPaused(): Promise<void> {
  await quietly(core.command({ command: 'pause_photos', paused: paused.value }))
  soon()
}

async function ready(): Promise<void> {
  await refresh()
  state.starts += 1
  state.phase = 'ready'
  void lookAtRoom()
  if (paused.value) await tellPaused()
  if (state.status?.person) {
    await openAssigned()
    await nudge()
  }
}

/** Asks for the connection and for new work now rather than when their time comes. */
export async function nudge(): Promise<void> {
  if (state.phase !== 'ready' || !state.status?.person) return
  await Promise.all([quietly(core.command({ command: 'online', wanted: true })), newWork()])
}

let fetching: Promise<void> | undefined
/** The packet changes when schools are assigned or declared figures come. */
export function newWork(): Promise<void> {
  fetching ??= fetchWork().finally(() => {
    fetching = undefined
  })
  return fetching
}
async function fetchWork(): Promise<void> {
  try {
    await core.command({ command: 'fetch_packet', round: null })
    state.noPacket = null
  } catch (error) {
    if (!(error instanceof Failed)) throw error
    state.noPacket = error.problem
  }
  await quietly(refresh())
  await openAssigned()
}

/** Keeps the schools of this person in sync. */
async function openAssigned(): Promise<void> {
  const mine = state.schools.filter((school) => school.assigned)
  await Promise.all(mine.map(({ subject }) => quietly(core.command({ command: 'open', subject }))))
}

/** What fails here is tried again with the next connection. */
async function quietly(asked: Promise<unknown>): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (!(error instanceof Failed)) throw error
  }
}

let wanted: ReturnType<typeof setTimeout> | undefined
/** Notices come in crowds; the screens follow a few times a second. */
export function soon(): void {
  wanted ??= setTimeout(() => {
    wanted = undefined
    void quietly(refresh())
  }, 150)
}

export async function refresh(): Promise<void> {
  const [status, [rounds, schools], outbox, receipts] = await Promise.all([
    core.query({ query: 'status' }),
    core.query({ query: 'schools' }),
    core.query({ query: 'outbox' }),
    core.query({ query: 'receipts' }),
  ])
  Object.assign(state, { status, rounds, schools, outbox, receipts, remembered: false, version: state.version + 1 })
  remember()
}

/** Safe on the server, whatever becomes of it. */
const DELIVERED = new Set(['held', 'left_out', 'set_aside'])

/** How much is on this device only. */
export function onlyHere(): number {
  return state.outbox.items.filter(({ reason }) => !DELIVERED.has(reason.why)).length
}

export function schoolOf(subject: Subject): SchoolProgress | undefined {
  return state.schools.find(({ subject: known }) => known.round === subject.round && known.school === subject.school)
}

/** Whether this person may write a school's survey. */
export function isAssigned(subject: Subject): boolean {
  return schoolOf(subject)?.assigned ?? false
}

/** Whether a round keeps photos as they were taken. */
export function keepsOriginals(subject: Subject): boolean {
  return roundOf(subject)?.settings.keep_originals === true
}

export function roundOf(subject: Subject): Round | undefined {
  return state.rounds.find(({ id }) => id === subject.round)
}
