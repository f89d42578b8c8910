// What administrators manage: read again on demand, when the feed says so, and
// now and then, since people enrol and devices join while a page is open.

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import { problemOf } from '../api'
import { listen } from '../live'
import type { Problem } from '../types'

export interface Read<T> {
  data: ShallowRef<T | null>
  problem: ShallowRef<Problem | null>
  reload: () => Promise<void>
}

/** The feed of a round is for its desk, and says nothing of devices. */
const AGAIN_MS = 8_000

/** Calls now and then while the page is looked at, and when something changes. */
export function useTicking(call: () => void): void {
  const inSight = (): void => {
    if (document.visibilityState === 'visible') call()
  }
  const timer = setInterval(inSight, AGAIN_MS)
  document.addEventListener('visibilitychange', inSight)
  const silent = listen((change) => {
    if (change.what !== 'document') inSight()
  })
  onScopeDispose(() => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', inSight)
    silent()
  })
}

export function useRead<T>(key: () => string, read: (signal: AbortSignal) => Promise<T>): Read<T> {
  const data = shallowRef<T | null>(null)
  const problem = shallowRef<Problem | null>(null)
  let running: AbortController | undefined
  let said = ''
  async function reload(): Promise<void> {
    running?.abort()
    const mine = (running = new AbortController())
    try {
      const found = await read(mine.signal)
      if (running !== mine) return
      // What is the same again moves nothing on the page.
      const says = JSON.stringify(found)
      if (says !== said) data.value = found
      said = says
      problem.value = null
    } catch (error) {
      if (running === mine) problem.value = problemOf(error)
    }
    if (running === mine) running = undefined
  }
  watch(key, () => void reload(), { immediate: true })
  useTicking(() => {
    if (!running) void reload()
  })
  onScopeDispose(() => {
    running?.abort()
    running = undefined
  })
  return { data, problem, reload }
}

/** Something the page does on the server: one at a time, with its problem. */
export function useDoing(): { doing: ShallowRef<boolean>; problem: ShallowRef<Problem | null>; run: (work: () => Promise<void>) => Promise<boolean> } {
  const doing = shallowRef(false)
  const problem = shallowRef<Problem | null>(null)
  async function run(work: () => Promise<void>): Promise<boolean> {
    if (doing.value) return false
    doing.value = true
    problem.value = null
    try {
      await work()
      return true
    } catch (error) {
      problem.value = problemOf(error)
      return false
    } finally {
      doing.value = false
    }
  }
  return { doing, problem, run }
}
