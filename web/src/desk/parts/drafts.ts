// What was typed and not sent, by what it is about: it is there again after the
// page was left or loaded anew. Each person has their own in this browser, and
// keeps them through a log-out: nobody else has them.

import { ref, watch, type Ref } from 'vue'
import { session } from '../session'

/** The oldest of more than these are forgotten. */
const MOST = 100
const KEY = 'duxue-desk-drafts-'

/** In the order of their writing. */
function stored(owner: string): Map<string, unknown> {
  try {
    return new Map(JSON.parse(localStorage.getItem(KEY + owner) ?? '[]') as [string, unknown][])
  } catch {
    // Whatever stands there are no drafts.
    return new Map()
  }
}

function store(owner: string, about: string, content: unknown): void {
  const drafts = stored(owner)
  drafts.delete(about)
  if (content !== undefined) drafts.set(about, content)
  try {
    localStorage.setItem(KEY + owner, JSON.stringify([...drafts].slice(-MOST)))
  } catch {
    // No room: it is on the page as before.
  }
}

export interface Draft<T> {
  content: Ref<T>
  /** Whether it was begun earlier. */
  kept: Ref<boolean>
  /** It was sent, or is not wanted any more; also where something else is shown meanwhile. */
  forget: (about?: string) => void
}

/** What is typed about something; for use in a component's setup. */
export function useDraft<T>(about: () => string, empty: () => T): Draft<T> {
  const owner = session.value?.person ?? ''
  const nothing = JSON.stringify(empty())
  let subject = about()
  const begun = (): T => (stored(owner).get(subject) as T | undefined) ?? empty()
  const content = ref(begun()) as Ref<T>
  const isEmpty = (): boolean => JSON.stringify(content.value) === nothing
  const kept = ref(!isEmpty())
  watch(content, () => store(owner, subject, isEmpty() ? undefined : content.value), { deep: true, flush: 'sync' })
  watch(about, (now) => {
    subject = now
    content.value = begun()
    kept.value = !isEmpty()
  })
  return {
    content,
    kept,
    forget: (which = subject) => {
      store(owner, which, undefined)
      if (which !== subject) return
      content.value = empty()
      kept.value = false
    },
  }
}
