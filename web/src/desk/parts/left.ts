// How tables were left on a place of the browser's history: whoever comes back
// finds them so, and whoever opens the page anew finds them fresh.

import type { Order } from './table'

export interface Left {
  order: Order | undefined
  filters: Record<string, string>
  sought: string
  page: number
  size: number
}

const KEY = 'tables'

/** The router keeps what else is in the state of a place. */
function all(): Record<string, Left> {
  const state = history.state as Record<string, unknown> | null
  return (state?.[KEY] as Record<string, Left> | undefined) ?? {}
}

export function leftAs(table: string): Left | undefined {
  return all()[table]
}

/** Browsers allow so many writes in a while: who types fast is written down now and then. */
const REST_MS = 300
let written = 0
const waiting = new Map<string, ReturnType<typeof setTimeout>>()

const place = (): unknown => (history.state as { position?: number } | null)?.position

export function leaveAs(table: string, left: Left): void {
  const here = place()
  const write = (): void => {
    // Another place by now: what was left is the other one's no more.
    if (place() !== here) return
    written = Date.now()
    history.replaceState({ ...(history.state as object | null), [KEY]: { ...all(), [table]: left } }, '')
  }
  clearTimeout(waiting.get(table))
  const rest = written + REST_MS - Date.now()
  if (rest <= 0) write()
  else waiting.set(table, setTimeout(write, rest))
}
