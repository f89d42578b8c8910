// How tables were left on a place of the browser's history: whoever comes back
// finds them so, and whoever opens the page anew finds them fresh.

import type { Order } from './table'

export interface Left {
  order?: Order | undefined
  filters?: Record<string, string>
  sought?: string
  page?: number
  size?: number
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

export function leaveAs(table: string, left: Left): void {
  try {
    history.replaceState({ ...(history.state as object | null), [KEY]: { ...all(), [table]: left } }, '')
  } catch {
    // Browsers allow so many in a while: one of the next is written.
  }
}
