// What these pages ask of the server beside the shell's own questions.

import { shallowRef, watch, type ShallowRef } from 'vue'
import { ask, at, problemOf } from '../api'
import type { Problem, Standard } from './types'

const known = new Map<string, Promise<Standard>>()

/** A round's standard; it does not change while the round lasts. */
export function standardOf(round: string): Promise<Standard> {
  const found = known.get(round) ?? ask<Standard>(at('rounds', round, 'standard'))
  known.set(round, found)
  found.catch(() => known.delete(round))
  return found
}

export function useStandard(round: () => string): { standard: ShallowRef<Standard | null>; problem: ShallowRef<Problem | null>; again: () => void } {
  const standard = shallowRef<Standard | null>(null)
  const problem = shallowRef<Problem | null>(null)
  const read = async (id: string): Promise<void> => {
    standard.value = null
    problem.value = null
    try {
      const found = await standardOf(id)
      if (round() === id) standard.value = found
    } catch (error) {
      problem.value = problemOf(error)
    }
  }
  watch(round, (id) => void read(id), { immediate: true })
  return { standard, problem, again: () => void read(round()) }
}
