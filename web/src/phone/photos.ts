// Photos on their way into the store: each with the moment, the place and
// whether it was the camera, as they were when it was taken or chosen.

import { ref, type Ref } from 'vue'
import { Failed } from '../core/client'
import type { NewPhoto, Taken, TakenBy } from '../core/types'
import { t, words } from './i18n'
import { placeNow } from './place'
import { core } from './state'

export interface Taker {
  /** How many are being stored. */
  storing: Ref<number>
  /** Said of the last one that was or looks like an earlier photo. */
  twice: Ref<string>
  problem: Ref<string>
  add: (files: File[], method: TakenBy, keepOriginal: boolean) => Promise<void>
}

/** `take` is given each photo when its bytes are durable. */
export function photoTaker(take: (photo: NewPhoto) => void | Promise<void>): Taker {
  const storing = ref(0)
  const twice = ref('')
  const problem = ref('')

  async function one(file: File, taken: Taken, keepOriginal: boolean): Promise<void> {
    try {
      const { like, ...photo } = await core.addPhoto(file, keepOriginal)
      if (like) twice.value = t(like.same ? 'item.photo_twice' : 'item.photo_like')
      await take({ ...photo, taken })
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      problem.value = words(error.problem)
    } finally {
      storing.value -= 1
    }
  }
  async function add(files: File[], method: TakenBy, keepOriginal: boolean): Promise<void> {
    const taken = { at_ms: Date.now(), place: placeNow(), method }
    problem.value = ''
    twice.value = ''
    storing.value += files.length
    for (const file of files) await one(file, taken, keepOriginal)
  }
  return { storing, twice, problem, add }
}
