// Accepting and returning: verdicts on entries exactly as they are shown.

import { shallowReactive } from 'vue'
import { Failed } from '../../core/client'
import type { Problem, Subject } from '../../core/types'
import { decide } from '../engine'
import { seen, type EntryRow } from '../parts/entries'

export interface Judging {
  /** What was decided here and is not in the server's reading yet, by path. */
  sending: Map<string, 'accepted' | 'returned'>
  problem: Problem | null
  busy: boolean
}

export function useJudging(subject: () => Subject): Judging & {
  accept: (rows: EntryRow[]) => Promise<boolean>
  giveBack: (rows: EntryRow[], reason: string) => Promise<boolean>
  /** Forgets what the server's reading holds by now. */
  settle: (rows: EntryRow[]) => void
} {
  const state = shallowReactive<Judging>({ sending: shallowReactive(new Map()), problem: null, busy: false })

  async function judge(rows: EntryRow[], reason: string | null): Promise<boolean> {
    state.busy = true
    state.problem = null
    try {
      const outcome = reason === null ? { outcome: 'accepted' as const } : { outcome: 'returned' as const, reason }
      const entries = Object.fromEntries(rows.map((row) => [row.path, seen(row.entry)]))
      await decide({ command: 'judge', subject: subject(), entries, outcome })
      for (const row of rows) state.sending.set(row.path, outcome.outcome)
      return true
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      state.problem = error.problem
      return false
    } finally {
      state.busy = false
    }
  }

  return Object.assign(state, {
    accept: (rows: EntryRow[]) => judge(rows, null),
    giveBack: (rows: EntryRow[], reason: string) => judge(rows, reason),
    settle: (rows: EntryRow[]) => {
      for (const { path, entry } of rows) {
        if (entry.review.state !== 'unreviewed' && entry.review.state === state.sending.get(path)) state.sending.delete(path)
      }
    },
  })
}
