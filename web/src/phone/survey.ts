// One school's survey, read again whenever something changed.

import { shallowRef, ref, watch, type Ref, type ShallowRef } from 'vue'
import { Failed } from '../core/client'
import type { Command, Reply, Subject, SurveyView } from '../core/types'
import { words } from './i18n'
import { core, refresh, state } from './state'

export interface Survey {
  survey: ShallowRef<SurveyView | null>
  problem: Ref<string>
  /** The last failure's code: the core goes on trying to store what met `store.…`. */
  code: Ref<string>
  read: () => Promise<void>
  /** Runs a command; gives nothing where it failed, with the problem in words. */
  run: (command: Command) => Promise<Reply | null>
}

export function useSurvey(subject: Subject): Survey {
  const survey = shallowRef<SurveyView | null>(null)
  const problem = ref('')
  const code = ref('')
  async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      const done = await work()
      problem.value = ''
      return done
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      problem.value = words(error.problem)
      code.value = error.problem.code
      return null
    }
  }
  async function read(): Promise<void> {
    const found = await attempt(() => core.query({ query: 'school', subject }))
    if (found) survey.value = found
  }
  async function run(command: Command): Promise<Reply | null> {
    const reply = await attempt(() => core.command(command))
    if (reply) {
      await read()
      // At once: what waits must never look as if it were sent.
      void attempt(refresh)
    }
    return reply
  }
  watch(() => state.version, () => void read(), { immediate: true })
  return { survey, problem, code, read, run }
}

/** Those of some entries that have something to undo; `paths` is asked again when what it reads changes. */
export function useUndoable(subject: Subject, paths: () => string[]): ShallowRef<string[]> {
  const found = shallowRef<string[]>([])
  watch(
    paths,
    async (asked, _, over) => {
      let old = false
      over(() => (old = true))
      try {
        const undoable = asked.length > 0 ? await core.query({ query: 'undoable', subject, paths: asked }) : []
        if (!old) found.value = undoable
      } catch (error) {
        // An engine that began anew is asked with the next reading.
        if (!(error instanceof Failed)) throw error
      }
    },
    { immediate: true },
  )
  return found
}
