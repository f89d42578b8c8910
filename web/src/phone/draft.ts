// What is being typed, kept by the core through restarts. Until the core has
// it, it is in localStorage, which a page that is closed at once still writes.

import { ref, watch, type Ref } from 'vue'
import { Failed } from '../core/client'
import { words } from './i18n'
import { core, state } from './state'

const PAUSE_MS = 250
const KEY = 'duxue-draft:'

export interface Draft<T> {
  value: Ref<T>
  problem: Ref<string>
  /** Saves what is not saved yet, and ends when it is. */
  settle: () => Promise<void>
  /** The form goes: what is not saved yet is saved. */
  done: () => void
  /** What was typed became a claim, which emptied the draft with it. */
  forget: () => void
}

/** A form's draft. `text` of nothing worth keeping is empty. */
export function draft<T extends object>(form: string, empty: T, isEmpty: (value: T) => boolean): Draft<T> {
  const key = KEY + form
  const before = localStorage.getItem(key) ?? state.status?.drafts[form]
  const value = ref(before ? (JSON.parse(before) as T) : empty) as Ref<T>
  const problem = ref('')
  let pause: ReturnType<typeof setTimeout> | undefined
  let over = false

  const text = (): string => (isEmpty(value.value) ? '' : JSON.stringify(value.value))
  async function save(): Promise<void> {
    const saving = text()
    // What a screen finds that opens before the next refresh.
    if (state.status) state.status.drafts[form] = saving
    try {
      await core.command({ command: 'save_draft', form, text: saving })
      if (localStorage.getItem(key) === saving) localStorage.removeItem(key)
      problem.value = ''
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      problem.value = words(error.problem)
    }
  }
  async function settle(): Promise<void> {
    if (pause === undefined || over) return
    clearTimeout(pause)
    pause = undefined
    await save()
  }
  const now = (): void => void settle()
  const stop = (): void => {
    over = true
    clearTimeout(pause)
    document.removeEventListener('visibilitychange', now)
    removeEventListener('pagehide', now)
  }
  const stopWatching = watch(
    value,
    () => {
      keepAside(key, text())
      clearTimeout(pause)
      pause = setTimeout(now, PAUSE_MS)
    },
    { deep: true },
  )
  // A phone puts an app away without a word but this one.
  document.addEventListener('visibilitychange', now)
  addEventListener('pagehide', now)
  return {
    value,
    problem,
    settle,
    done: () => {
      now()
      stop()
    },
    forget: () => {
      stop()
      stopWatching()
      localStorage.removeItem(key)
      if (state.status) state.status.drafts[form] = ''
    },
  }
}

function keepAside(key: string, text: string): void {
  try {
    localStorage.setItem(key, text)
  } catch {
    // Full: the core says so when it saves.
  }
}
