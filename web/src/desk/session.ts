// Who is logged in at this browser's desk. All windows share it; the words of
// the server in `me` are read again with every start.

import { computed, shallowRef } from 'vue'
import type { Me, Role, Round, Session } from './types'

interface Kept extends Session {
  /** The account's name, to fill the log-in form again. */
  login: string
}

const KEY = 'duxue-desk-session'

function stored(): Kept | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Kept | null
    return kept && typeof kept.token === 'string' && kept.expires_ms > Date.now() ? kept : null
  } catch {
    // Whatever stands there is no session.
    return null
  }
}

export const session = shallowRef<Kept | null>(stored())
export const me = shallowRef<Me | null>(null)
export const rounds = shallowRef<Round[]>([])
/** Whether the last session ended by itself. */
export const ended = shallowRef(false)

/** Until when the server would still take the last session, where it did not hear of the log-out. */
export const unheard = shallowRef<number | null>(null)

window.addEventListener('storage', (event) => {
  if (event.key !== KEY) return
  session.value = stored()
  if (!session.value) forget()
})

export function begin(login: string, opened: Session): void {
  const kept = { ...opened, login }
  localStorage.setItem(KEY, JSON.stringify(kept))
  ended.value = false
  unheard.value = null
  session.value = kept
}

/** Ends the session in this browser; `expired` where the server said so. */
export function end(expired: boolean): void {
  localStorage.removeItem(KEY)
  ended.value = expired
  session.value = null
  forget()
}

function forget(): void {
  me.value = null
  rounds.value = []
}

/** The roles in a round; an administrator has that role in every round. */
export function rolesIn(round: string): Role[] {
  return me.value?.roles[round] ?? []
}

export function may(round: string, roles: Role[] | undefined): boolean {
  const own = rolesIn(round)
  return !roles || roles.some((role) => own.includes(role))
}

/** Also where there is no round yet that could say so: then only an administrator has something to do. */
export const isAdministrator = computed(() => {
  const roles = Object.values(me.value?.roles ?? {})
  return me.value !== null && (roles.length === 0 || roles.some((own) => own.includes('administrator')))
})

export function roundOf(id: string): Round | undefined {
  return rounds.value.find((round) => round.id === id)
}
