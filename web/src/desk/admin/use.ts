// Reading once, and again on demand: what people manage changes by their hand.

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import { problemOf } from '../api'
import type { Problem } from '../types'

export interface Read<T> {
  data: ShallowRef<T | null>
  problem: ShallowRef<Problem | null>
  reload: () => Promise<void>
}

export function useRead<T>(key: () => string, read: (signal: AbortSignal) => Promise<T>): Read<T> {
  const data = shallowRef<T | null>(null)
  const problem = shallowRef<Problem | null>(null)
  let running: AbortController | undefined
  async function reload(): Promise<void> {
    running?.abort()
    const mine = (running = new AbortController())
    try {
      const found = await read(mine.signal)
      if (running !== mine) return
      data.value = found
      problem.value = null
    } catch (error) {
      if (running === mine) problem.value = problemOf(error)
    }
  }
  watch(key, () => void reload(), { immediate: true })
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
