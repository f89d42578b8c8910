// What only those who manage a round ask of the server.

import { ask, at } from '../api'
import type { Role } from '../types'

export interface DeviceView {
  device: string
  name: string
  enrolled_ms: number
  revoked_ms: number | null
}

export interface PersonView {
  person: string
  name: string
  /** Shown to administrators only. */
  login: string | null
  administrator: boolean
  assignments: { round: string; role: Role; schools: string[] }[]
  devices: DeviceView[]
}

/** Changes that are outside their documents. */
export interface Waiting {
  held: number
  set_aside: number
}

type Signal = AbortSignal | undefined

/** Everyone, for administrators; those with a role in a round, for its bureau too. */
export const people = (round: string | null, signal?: Signal): Promise<PersonView[]> =>
  ask(round === null ? at('people') : `${at('people')}?round=${encodeURIComponent(round)}`, { signal })
export const revoke = (device: string): Promise<void> => ask(at('devices', device), { method: 'DELETE' })
export const waiting = (round: string, signal?: Signal): Promise<Waiting> => ask(at('rounds', round, 'waiting'), { signal })
