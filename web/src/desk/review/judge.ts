// Accepting and returning: verdicts on entries exactly as they were looked at.

import { shallowReactive } from 'vue'
import { Failed } from '../../core/client'
import type { Problem, Seen, Subject } from '../../core/types'
import { decide } from '../engine'
import { sameIds, seen, type EntryRow } from '../parts/entries'

type Outcome = 'accepted' | 'returned'

/** A verdict that was made here. */
interface Made {
  outcome: Outcome
  saw: Seen
}

export interface Judging {
  /** What was decided here and is not in the server's reading yet, by path. */
  sending: Map<string, Made>
  /** Paths whose verdict came to nothing: the entry had changed before it arrived. */
  overtaken: Set<string>
  problem: Problem | null
  busy: boolean
}

export function useJudging(subject: () => Subject): Judging & {
  /** Returns with the reason, accepts without; false where it was not saved. */
  judge: (entries: [EntryRow, Seen][], reason: string | null) => Promise<boolean>
  /** Compares with the server's reading; gives the paths whose verdict it holds by now. */
  settle: (rows: EntryRow[]) => string[]
} {
  const state = shallowReactive<Judging>({
    sending: shallowReactive(new Map()),
    overtaken: shallowReactive(new Set()),
    problem: null,
    busy: false,
  })

  async function judge(entries: [EntryRow, Seen][], reason: string | null): Promise<boolean> {
    state.busy = true
    state.problem = null
    try {
      const outcome = reason === null ? { outcome: 'accepted' as const } : { outcome: 'returned' as const, reason }
      const saw = entries.map(([{ path }, looked]) => [path, looked] as const)
      await decide({ command: 'judge', subject: subject(), entries: Object.fromEntries(saw), outcome })
      for (const [path, looked] of saw) {
        state.sending.set(path, { outcome: outcome.outcome, saw: looked })
        state.overtaken.delete(path)
      }
      return true
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      state.problem = error.problem
      return false
    } finally {
      state.busy = false
    }
  }

  function settle(rows: EntryRow[]): string[] {
    const read = new Map(rows.map((row) => [row.path, row.entry]))
    const held: string[] = []
    for (const [path, { outcome, saw }] of state.sending) {
      const entry = read.get(path)
      const state_ = entry?.review.state
      const fits = entry !== undefined && sameIds(seen(entry).ops, saw.ops)
      // Not here yet; another person's verdict may be.
      if (fits && state_ !== outcome && state_ !== 'disputed') continue
      state.sending.delete(path)
      if (state_ === outcome) held.push(path)
      else if (!fits) state.overtaken.add(path)
    }
    return held
  }

  return Object.assign(state, { judge, settle })
}
