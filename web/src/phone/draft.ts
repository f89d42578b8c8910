// What is being typed, kept by the core through restarts. Until the core has
// it, it is in localStorage, which a page that is closed at once still writes.
//
// A draft belongs to a person and a form, and outlives the screen that shows
// it: a photo that is still being stored when the screen goes is in it after.
//
// When a form is stated, its claims and the mark `stated:…` in place of its
// draft reach the disk together or not at all. Whether it was stated is
// therefore known after every accident, and nothing is stated twice.

import { effectScope, ref, watch, type Ref } from 'vue'
import { Failed } from '../core/client'
import type { Mark, NewPhoto, Subject } from '../core/types'
import { words } from './i18n'
import { photoTaker, type Taker } from './photos'
import { core, refresh, state } from './state'

const PAUSE_MS = 250
const KEY = 'duxue-draft:'
/** The mark of a form that was stated and is not known to be on the disk. */
const LATE = 'duxue-late:'
const STATED = 'stated:'

/** What every form holds: text by field, and photos where it takes some. */
export interface Content {
  typed: Record<string, string>
  photos?: NewPhoto[]
}

export interface Draft<T extends Content> {
  value: Ref<T>
  problem: Ref<string>
  /** It is stated and not on the disk yet: stating it again would make two of it. */
  late: Ref<boolean>
  /** It was stated while nobody waited for it. */
  landed: Ref<boolean>
  photos: Taker
  /** Saves what is not saved yet, and ends when it is. */
  settle: () => Promise<void>
  /** What goes in the place of the draft, with the claims that it became. */
  mark: () => Mark
  /** The screen goes: what is not saved yet is saved. */
  done: () => void
  /** The claims did not reach the disk: `code` says whether they still will. */
  failed: (code: string) => void
  /** What was typed became a claim, which emptied the draft with it. */
  forget: () => void
}

interface Kept extends Draft<Content> {
  subject: Subject
  users: number
  again: () => void
  /** Whether the core's draft is the mark of what was stated last. */
  isStated: () => boolean
  /** Ends the waiting: whether the claims are on the disk. */
  end: (onDisk: boolean) => void
}

const open = new Map<string, Kept>()

/** A form's name: nobody sees what somebody else typed on this device. */
export function formOf(kind: string, subject: Subject, ...rest: string[]): string {
  return [`${state.status?.person ?? ''}/${kind}`, subject.round, subject.school, ...rest].join(':')
}

const textOf = (stored: string | null | undefined): string => (!stored || stored.startsWith(STATED) ? '' : stored)

/** What was typed into a form, as it is kept; empty where nothing is. */
export function typedIn(form: string): string {
  // Its claims are in memory: the draft is kept aside for the case that they do not reach the disk.
  if (open.get(form)?.late.value) return ''
  const late = localStorage.getItem(LATE + form)
  if (late !== null && state.status?.drafts[form] === late) {
    // It reached the disk, and the page was gone before it heard of it.
    localStorage.removeItem(LATE + form)
    localStorage.removeItem(KEY + form)
  }
  return textOf(localStorage.getItem(KEY + form) ?? state.status?.drafts[form])
}

/** Names of forms with something in them, of everyone who works on this device. */
export function forms(): string[] {
  const aside = Object.keys(localStorage).flatMap((key) => (key.startsWith(KEY) ? [key.slice(KEY.length)] : []))
  const all = new Set([...Object.keys(state.status?.drafts ?? {}), ...aside])
  return [...all].filter((form) => typedIn(form) !== '')
}

/** Drafts as records of the store, for the rescue file: what a full disk did not take is here. */
export function draftRecords(): [form: string, text: string][] {
  return forms().map((form) => [form, typedIn(form)])
}

/** A form's draft; the same one for as long as anything of it is under way. */
export function draft<T extends Content>(form: string, subject: Subject, empty: T, isEmpty: (value: T) => boolean): Draft<T> {
  const known = open.get(form) ?? begin(form, subject, empty, (value) => isEmpty(value as T))
  known.users += 1
  return known as unknown as Draft<T>
}

function begin(form: string, subject: Subject, empty: Content, isEmpty: (value: Content) => boolean): Kept {
  const key = KEY + form
  const before = typedIn(form)
  const value = ref({ ...empty, ...(before ? (JSON.parse(before) as Content) : {}) }) as Ref<Content>
  const problem = ref('')
  const late = ref(false)
  const landed = ref(false)
  let stated = ''
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
    if (pause === undefined || over || late.value) return
    clearTimeout(pause)
    pause = undefined
    await save()
  }
  const now = (): void => void settle()
  const photos = photoTaker((photo) => {
    const list = value.value.photos ?? []
    if (!list.some((one) => one.photo === photo.photo)) value.value = { ...value.value, photos: [...list, photo] }
  })
  const scope = effectScope(true)
  scope.run(() => {
    watch(
      value,
      () => {
        if (over || late.value) return
        keepAside(key, text())
        clearTimeout(pause)
        pause = setTimeout(now, PAUSE_MS)
      },
      { deep: true, flush: 'sync' },
    )
    watch(photos.storing, leave)
  })
  // A phone puts an app away without a word but this one.
  document.addEventListener('visibilitychange', now)
  addEventListener('pagehide', now)

  function stop(): void {
    over = true
    clearTimeout(pause)
    scope.stop()
    document.removeEventListener('visibilitychange', now)
    removeEventListener('pagehide', now)
    if (open.get(form) === kept) open.delete(form)
  }
  /** Goes when nobody shows it and nothing of it is under way. */
  function leave(): void {
    if (kept.users > 0 || photos.storing.value > 0 || late.value) return
    now()
    stop()
  }
  function forget(): void {
    stop()
    late.value = false
    localStorage.removeItem(key)
    localStorage.removeItem(LATE + form)
    if (state.status) state.status.drafts[form] = ''
  }
  const kept: Kept = {
    value,
    problem,
    late,
    landed,
    photos,
    subject,
    users: 0,
    settle,
    again: () => void save(),
    isStated: () => state.status?.drafts[form] === stated,
    mark: () => {
      stated = STATED + crypto.randomUUID()
      return { form, text: stated }
    },
    done: () => {
      kept.users -= 1
      now()
      leave()
    },
    failed: (code) => {
      // Accepted into memory, or nobody knows: the core broke down meanwhile.
      late.value = code.startsWith('store.') || code === 'client.broke_down'
      if (late.value) keepAside(LATE + form, stated)
    },
    forget,
    end: (onDisk) => {
      late.value = false
      if (onDisk) {
        landed.value = true
        forget()
      } else {
        localStorage.removeItem(LATE + form)
        kept.again()
        leave()
      }
    },
  }
  open.set(form, kept)
  return kept
}

const isLate = (): Kept[] => [...open.values()].filter(({ late }) => late.value)

/** What had to wait for room is on the disk, as far as nothing of the school waits any more. */
watch(
  () => state.savedLate,
  async () => {
    if (isLate().length === 0) return
    await refresh()
    for (const one of isLate()) {
      const waits = state.outbox.items.some(
        ({ subject, reason }) => reason.why === 'not_saved' && subject?.school === one.subject.school && subject.round === one.subject.round,
      )
      if (!waits) one.end(true)
    }
  },
)

/** A core that began anew knows what is on the disk and nothing else. */
watch(
  () => state.starts,
  () => {
    for (const one of [...open.values()]) {
      if (one.late.value) one.end(one.isStated())
      else one.again()
    }
  },
)

function keepAside(key: string, text: string): void {
  try {
    localStorage.setItem(key, text)
  } catch {
    // Full: the core says so when it saves.
  }
}
