// The server's HTTP interface with the session's token. What fails is a
// `Refused` that holds the server's problem with its Chinese and English words.

import { end, session } from './session'
import type * as T from './types'

export class Refused extends Error {
  constructor(
    /** 0 where there was no answer. */
    readonly status: number,
    readonly problem: T.Problem,
  ) {
    super(`${problem.code}: ${problem.message_en}`)
  }
}

const NO_ANSWER: T.Problem = {
  code: 'server.unreachable',
  message_zh: '连不上服务器，请检查网络',
  message_en: 'the server cannot be reached: check the network',
}
const NO_SENSE: T.Problem = {
  code: 'server.answer',
  message_zh: '服务器的回答无法识别',
  message_en: "the server's answer cannot be read",
}

/** The problem of anything that was thrown; what is no problem is thrown on. */
export function problemOf(error: unknown): T.Problem {
  if (error instanceof Error && 'problem' in error) return error.problem as T.Problem
  throw error
}

export interface Asked {
  method?: 'GET' | 'POST' | 'DELETE'
  /** Sent as JSON, or as it is where it is bytes. */
  body?: unknown
  signal?: AbortSignal | undefined
  headers?: Record<string, string>
}

/** An address from its parts, each percent-encoded: `at('rounds', round, 'schools')`. */
export function at(...parts: string[]): string {
  return `/api/${parts.map(encodeURIComponent).join('/')}`
}

/** Asks, and gives the answer if it is a good one.
 * @throws Refused, or the signal's reason. */
export async function send(url: string, asked: Asked = {}): Promise<Response> {
  const { body, signal } = asked
  const headers = new Headers(asked.headers)
  const token = session.value?.token
  if (token) headers.set('authorization', `Bearer ${token}`)
  const bytes = body instanceof Blob
  if (body !== undefined) headers.set('content-type', bytes ? 'application/octet-stream' : 'application/json')
  let answer: Response
  try {
    answer = await fetch(url, {
      method: asked.method ?? 'GET',
      headers,
      credentials: 'omit',
      ...(body !== undefined && { body: bytes ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw new Refused(0, { ...NO_ANSWER, detail: String(error) })
  }
  if (answer.ok) return answer
  const problem = await answer
    .json()
    .then((json: unknown) => json as T.Problem)
    .catch(() => ({ ...NO_SENSE, detail: String(answer.status) }))
  // The session that the server does not know any more, not one begun since.
  if (answer.status === 401 && problem.code === 'session.missing' && token === session.value?.token) end(true)
  throw new Refused(answer.status, problem)
}

export async function ask<Answer>(url: string, asked: Asked = {}): Promise<Answer> {
  const answer = await send(url, asked)
  if (answer.status === 204) return undefined as Answer
  try {
    return (await answer.json()) as Answer
  } catch (error) {
    asked.signal?.throwIfAborted()
    throw new Refused(answer.status, { ...NO_SENSE, detail: String(error) })
  }
}

type Signal = AbortSignal | undefined
const post = <Answer>(url: string, body: unknown, signal?: Signal): Promise<Answer> => ask(url, { method: 'POST', body, signal })

export const api = {
  login: (name: string, password: string) => post<T.Session>(at('login'), { name, password }),
  logout: () => ask<void>(at('session'), { method: 'DELETE' }),
  me: () => ask<T.Me>(at('me')),
  rounds: () => ask<T.Round[]>(at('rounds')),
  openRound: (round: T.NewRound) => post<T.Round>(at('rounds'), round),
  standard: (round: string, signal?: Signal) => ask<T.Standard>(at('rounds', round, 'standard'), { signal }),
  waiting: (round: string, signal?: Signal) => ask<{ held: number; set_aside: number }>(at('rounds', round, 'waiting'), { signal }),
  people: (round?: string, signal?: Signal) =>
    ask<T.PersonView[]>(at('people') + (round ? `?round=${encodeURIComponent(round)}` : ''), { signal }),
  revokeDevice: (device: string) => ask<void>(at('devices', device), { method: 'DELETE' }),
  packet: (round: string, signal?: Signal) => ask<T.WorkPacket>(at('rounds', round, 'packet'), { signal }),
  schools: (round: string, signal?: Signal) => ask<T.SchoolRow[]>(at('rounds', round, 'schools'), { signal }),
  school: (round: string, school: string, signal?: Signal) => ask<T.SchoolView>(at('rounds', round, 'schools', school), { signal }),
  history: (round: string, school: string, path: string, signal?: Signal) =>
    ask<T.EntryHistory>(at('rounds', round, 'schools', school, 'entries', path, 'history'), { signal }),
  schoolAssessment: (round: string, school: string, signal?: Signal) =>
    ask<T.SchoolAssessment>(at('rounds', round, 'schools', school, 'assessment'), { signal }),
  assessment: (round: string, signal?: Signal) => ask<T.Assessment>(at('rounds', round, 'assessment'), { signal }),
  forms: (round: string, signal?: Signal) => ask<T.NationalForms>(at('rounds', round, 'forms'), { signal }),
  county: (round: string, signal?: Signal) => ask<T.CountyView>(at('rounds', round, 'county'), { signal }),
  conflicts: (round: string, school?: string, signal?: Signal) =>
    ask<T.ConflictView[]>(at('rounds', round, 'conflicts') + (school ? `?school=${encodeURIComponent(school)}` : ''), { signal }),
  decisions: (round: string, school?: string, signal?: Signal) =>
    ask<T.DecisionView[]>(at('rounds', round, 'decisions') + (school ? `?school=${encodeURIComponent(school)}` : ''), { signal }),
  whatIf: (round: string, changes: T.WhatIfChange[], signal?: Signal) =>
    post<T.WhatIf>(at('rounds', round, 'what-if'), { changes }, signal),
  held: (round: string, signal?: Signal) => ask<T.HeldView[]>(at('rounds', round, 'held'), { signal }),
  heldPreview: (round: string, number: number, from: number, signal?: Signal) =>
    ask<T.HeldPreview>(`${at('rounds', round, 'held', String(number))}?from=${from}`, { signal }),
  setAside: (round: string, signal?: Signal) => ask<T.SetAsideView[]>(at('rounds', round, 'set-aside'), { signal }),
  decideHeld: (round: string, number: number, admit: boolean, together: number[] = []) =>
    post<T.HeldDecided>(at('rounds', round, 'held', String(number)), { admit, with: together }),
  audit: (after: number, limit: number, signal?: Signal) => ask<T.AuditPage>(`${at('audit')}?after=${after}&limit=${limit}`, { signal }),
  addPerson: (person: T.NewPerson) => post<T.PersonSummary>(at('people'), person),
  newEnrolment: (enrolment: T.NewEnrolment) => post<T.Enrolment>(at('enrolments'), enrolment),
  assign: (round: string, assignment: T.Assignment) => post<void>(at('rounds', round, 'assignments'), assignment),
  importTemplate: (round: string) => ask<T.ImportTemplate>(at('rounds', round, 'import', 'template')),
  importRegister: (round: string, file: Blob, filename: string, dryRun: boolean) =>
    ask<T.ImportReport>(`${at('rounds', round, 'import')}?filename=${encodeURIComponent(filename)}${dryRun ? '&dry_run=true' : ''}`, {
      method: 'POST',
      body: file,
    }),
  photo: (hash: string, thumbnail: boolean, signal?: Signal) =>
    send(thumbnail ? at('photos', hash, 'thumbnail') : at('photos', hash), { signal }).then((answer) => answer.blob()),
}
