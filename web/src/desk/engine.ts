// What is decided at the desk is a claim in a document: it goes through the
// core in this browser, which saves it here and delivers it.

import { shallowReactive } from 'vue'
import { Core, Failed } from '../core/client'
import type { Command, Notice, Outbox, Problem, Reply, Subject } from '../core/types'
import CoreWorker from '../core/worker?worker'
import { problemOf } from './api'
import { end, session } from './session'
import type { Session } from './types'

export interface Engine {
  /** `elsewhere`: another window of this person holds the store. */
  phase: 'off' | 'starting' | 'elsewhere' | 'ready' | 'broken'
  online: boolean
  /** Decisions that no receipt covers yet. */
  waiting: number
  /** Why something cannot be delivered, or what went wrong last. */
  problem: Problem | null
}

export const engine = shallowReactive<Engine>({ phase: 'off', online: false, waiting: 0, problem: null })

/** Whether the store can be used; one that breaks tells all who wait for it. */
interface Readiness {
  promise: Promise<void>
  ready: () => void
  failed: (problem: Problem) => void
}

function readiness(): Readiness {
  let ready: Readiness['ready'] = () => undefined
  let refuse: (error: Failed) => void = () => undefined
  const promise = new Promise<void>((resolve, reject) => {
    ready = resolve
    refuse = reject
  })
  // Whoever waits hears of it; that nobody does is no error.
  promise.catch(() => undefined)
  return { promise, ready, failed: (problem) => refuse(new Failed(problem)) }
}

let core: Core | undefined
let worker: Worker | undefined
let begun = readiness()

const storeOf = (opened: Session): string => `duxue-desk-${opened.person}`

/** Begins with a session; each person has a store of their own in this browser. */
export function start(opened: Session): void {
  stop()
  engine.phase = 'starting'
  const mine = new Core(
    () => (worker = new CoreWorker({ name: storeOf(opened) })),
    (notice) => {
      if (core === mine) noticed(notice, opened)
    },
    () => {
      if (core === mine) elsewhere()
    },
  )
  core = mine
}

/** What is saved stays and goes out when the person logs in again. */
export function stop(): void {
  worker?.terminate()
  core = undefined
  worker = undefined
  begun = readiness()
  Object.assign(engine, { phase: 'off', online: false, waiting: 0, problem: null })
}

/** Another window of this person has the store. Whoever decides here waits for it. */
function elsewhere(): void {
  if (engine.phase === 'ready') begun = readiness()
  engine.phase = 'elsewhere'
  engine.online = false
}

/** Has the other window hand the store over to this one. */
export function takeOver(): void {
  core?.takeOver()
}

/** Tries again to open the store. */
export function restart(): void {
  if (session.value) start(session.value)
}

/** Ends with the person's session: its token is forgotten, and so is all that the
 * server has where nothing waits to be delivered. */
export async function leave(opened: Session): Promise<void> {
  const mine = core
  // The token may be in the store already.
  if (engine.phase === 'starting') await begun.promise.catch(() => undefined)
  if (core !== mine) return
  if (!mine || engine.phase !== 'ready') return stop()
  let isEmpty = false
  try {
    await mine.command({ command: 'forget_session' })
    isEmpty = (await mine.query({ query: 'outbox' })).items.length === 0
  } catch (error) {
    // What could not be forgotten ends by itself, when the session does.
    problemOf(error)
  }
  // Somebody has logged in meanwhile.
  if (core !== mine) return
  stop()
  if (isEmpty) indexedDB.deleteDatabase(storeOf(opened))
}

function broke(problem: Problem): void {
  engine.phase = 'broken'
  engine.problem = problem
  begun.failed(problem)
}

function noticed(notice: Notice, opened: Session): void {
  switch (notice.notice) {
    case 'ready':
      void ready(opened)
      return
    case 'broken':
      broke(notice.problem)
      return
    case 'trouble':
      engine.problem = notice.problem
      break
    case 'login_needed':
      if (session.value?.token === opened.token) end(true)
      return
    case 'online':
      engine.online = true
      engine.problem = null
      break
    case 'offline':
      engine.online = false
      break
    default:
      break
  }
  // An engine that breaks meanwhile says so by itself.
  count().catch(problemOf)
}

async function ready(opened: Session): Promise<void> {
  const mine = core
  try {
    await command({ command: 'take_session', server: location.origin, session: opened })
    engine.phase = 'ready'
    // What the person may decide; the last answer is used where there is none now.
    await command({ command: 'fetch_packet', round: null }).catch(problemOf)
    await command({ command: 'online', wanted: true })
    if (core === mine) begun.ready()
  } catch (error) {
    const problem = problemOf(error)
    if (core === mine) broke(problem)
  }
  await count().catch(problemOf)
}

async function command(wanted: Command): Promise<Reply> {
  if (!core) throw new Error('the core is not started')
  return core.command(wanted)
}

async function count(): Promise<void> {
  if (!core || engine.phase !== 'ready') return
  const outbox: Outbox = await core.query({ query: 'outbox' })
  const changes = outbox.items.filter((item) => item.what.what === 'changes')
  engine.waiting = changes.reduce((sum, { what }) => sum + (what.what === 'changes' ? what.count : 0), 0)
  const stuck = changes.map(({ reason }) => reason).find((reason) => reason.why === 'unusable' || reason.why === 'stuck')
  if (stuck && 'problem' in stuck) engine.problem = stuck.problem
}

/** Saves a decision in this browser, from where it is delivered by itself.
 * @throws Failed, with the core's problem, or that of the store. */
export async function decide(wanted: Command): Promise<Reply> {
  await begun.promise
  const reply = await command(wanted)
  await count().catch(problemOf)
  return reply
}

/** Keeps a school's documents in sync, so that a decision knows what is there. */
export async function open(subject: Subject): Promise<void> {
  await begun.promise
  await command({ command: 'open', subject })
}
