// What happens in the round, as it happens. One subscription a window: pages
// say what concerns them and are read again.

import { createParser } from 'eventsource-parser'
import { onScopeDispose, shallowReactive, shallowRef, watch, type ShallowRef } from 'vue'
import { at, problemOf, Refused, send } from './api'
import type { FeedChange, Problem } from './types'

/** The server says something at least every quarter of a minute. */
const SILENCE_MS = 45_000
const AGAIN_MS = [1_000, 2_000, 5_000, 10_000, 30_000]
/** A page is read again at most so often. */
const GATHER_MS = 400
/** A page of a slow server waits no longer than that. */
const GATHER_MOST_MS = 5_000

export const feed = shallowReactive<{ state: 'off' | 'connecting' | 'live' | 'offline'; heard: number | null }>({
  state: 'off',
  heard: null,
})

type Listener = (change: FeedChange) => void
const listeners = new Set<Listener>()
let running: AbortController | undefined

/** Follows a round instead of the one before; `null` follows none. */
export function follow(round: string | null): void {
  running?.abort()
  running = undefined
  feed.state = 'off'
  if (round === null) return
  running = new AbortController()
  void run(round, running.signal)
}

/** Calls on every change of the followed round; gives the end of it. */
export function listen(listener: Listener): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

async function run(round: string, signal: AbortSignal): Promise<void> {
  let last: string | undefined
  for (let failures = 0; !signal.aborted; failures += 1) {
    feed.state = failures === 0 ? 'connecting' : 'offline'
    try {
      await once(round, signal, last, (id) => {
        failures = 0
        last = id ?? last
      })
    } catch (error) {
      if (signal.aborted) return
      // Nobody who may not read it now will be let in by asking again.
      if (error instanceof Refused && [401, 403, 404].includes(error.status)) {
        feed.state = 'off'
        return
      }
    }
    if (!signal.aborted) feed.state = 'offline'
    await pause(AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)] ?? 0, signal)
  }
}

async function once(round: string, signal: AbortSignal, last: string | undefined, heard: (id: string | undefined) => void): Promise<void> {
  const silence = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const alive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(), SILENCE_MS)
  }
  alive()
  try {
    const headers = { accept: 'text/event-stream', ...(last !== undefined && { 'last-event-id': last }) }
    const answer = await send(at('rounds', round, 'feed'), { signal: AbortSignal.any([signal, silence.signal]), headers })
    if (!answer.body) return
    feed.state = 'live'
    feed.heard = Date.now()
    // What happened before a subscription that resumes nothing is found by
    // reading everything.
    if (last === undefined) tell({ journal: 0, what: 'reset', school: null, kind: null })
    heard(undefined)
    const parser = createParser({
      onEvent: (event) => {
        heard(event.id)
        if (event.event === 'change') tell(JSON.parse(event.data) as FeedChange)
      },
    })
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      alive()
      feed.heard = Date.now()
      parser.feed(value)
    }
  } finally {
    clearTimeout(timer)
  }
}

function tell(change: FeedChange): void {
  for (const listener of [...listeners]) listener(change)
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
}

export interface Live<T> {
  /** The last that was read; stays while it is read again. */
  data: Readonly<ShallowRef<T | null>>
  /** Why the last reading failed; null once one succeeds. */
  problem: Readonly<ShallowRef<Problem | null>>
  loading: Readonly<ShallowRef<boolean>>
  reload: () => Promise<void>
}

/**
 * Reads now, again when `key` changes (then what was read is dropped), and
 * again when a change of the round concerns it. For use in a component's setup.
 */
export function useLive<T>(key: () => string, read: (signal: AbortSignal) => Promise<T>, concerns: (change: FeedChange) => boolean): Live<T> {
  const data = shallowRef<T | null>(null)
  const problem = shallowRef<Problem | null>(null)
  const loading = shallowRef(false)
  let running: AbortController | undefined
  let gathering: ReturnType<typeof setTimeout> | undefined
  /** Something happened while it was being read. */
  let again = false
  let took = 0

  const reload = async (): Promise<void> => {
    clearTimeout(gathering)
    gathering = undefined
    again = false
    running?.abort()
    const mine = (running = new AbortController())
    const began = performance.now()
    loading.value = true
    try {
      const found = await read(mine.signal)
      if (running !== mine) return
      data.value = found
      problem.value = null
    } catch (error) {
      if (running !== mine) return
      problem.value = problemOf(error)
    }
    loading.value = false
    took = performance.now() - began
    if (again) soon()
  }

  // A reading is not broken off for a change: many of them would never let it
  // end. One runs and one waits at most, and the next begins no sooner than the
  // last one took: a large county is not read all the time while many sync.
  const soon = (): void => {
    if (loading.value) again = true
    else gathering ??= setTimeout(() => void reload(), Math.min(GATHER_MOST_MS, Math.max(GATHER_MS, took)))
  }

  watch(key, () => {
    data.value = null
    void reload()
  }, { immediate: true })

  const silent = listen((change) => {
    if (change.what === 'reset' || concerns(change)) soon()
  })
  onScopeDispose(() => {
    silent()
    clearTimeout(gathering)
    running?.abort()
    running = undefined
  })
  return { data, problem, loading, reload }
}

/** Whether a change is about one of these documents of a school (of any, without one). */
export function about(kinds: (FeedChange['kind'] & string)[], school?: string): (change: FeedChange) => boolean {
  return (change) =>
    change.what === 'register' ||
    (change.what === 'document' && change.kind !== null && kinds.includes(change.kind) && (school === undefined || change.school === school))
}
