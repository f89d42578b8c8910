// What is being typed, kept by the core through restarts.

import { ref, watch, type Ref } from 'vue'
import { Failed } from '../core/client'
import { words } from './i18n'
import { core, state } from './state'

const PAUSE_MS = 250

export interface Draft<T> {
  value: Ref<T>
  /** Whether it was found from before. */
  found: boolean
  problem: Ref<string>
  /** The form goes: what is not saved yet is saved. */
  done: () => void
  /** What was typed became a claim, which emptied the draft with it. */
  forget: () => void
}

/** A form's draft. `text` of nothing worth keeping is empty. */
export function draft<T extends object>(form: string, empty: T, isEmpty: (value: T) => boolean): Draft<T> {
  const before = state.status?.drafts[form]
  const value = ref(before ? (JSON.parse(before) as T) : empty) as Ref<T>
  const problem = ref('')
  let pause: ReturnType<typeof setTimeout> | undefined
  let over = false

  async function save(): Promise<void> {
    const text = isEmpty(value.value) ? '' : JSON.stringify(value.value)
    // What a screen finds that opens before the next refresh.
    if (state.status) state.status.drafts[form] = text
    try {
      await core.command({ command: 'save_draft', form, text })
      problem.value = ''
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      problem.value = words(error.problem)
    }
  }
  const now = (): void => {
    if (pause === undefined || over) return
    clearTimeout(pause)
    pause = undefined
    void save()
  }
  const stop = (): void => {
    over = true
    clearTimeout(pause)
    removeEventListener('visibilitychange', now)
    removeEventListener('pagehide', now)
  }
  watch(
    value,
    () => {
      clearTimeout(pause)
      pause = setTimeout(now, PAUSE_MS)
    },
    { deep: true },
  )
  // A phone puts an app away without a word but this one.
  addEventListener('visibilitychange', now)
  addEventListener('pagehide', now)
  return {
    value,
    found: Boolean(before),
    problem,
    done: () => {
      now()
      stop()
    },
    forget: () => {
      stop()
      if (state.status) state.status.drafts[form] = ''
    },
  }
}
