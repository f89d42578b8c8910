// The standards of the rounds, read once each: they do not change in a packet
// while a screen is shown.

import { shallowReactive } from 'vue'
import { Failed } from '../core/client'
import type { Standard } from '../core/types'
import { core } from './state'

const known = shallowReactive(new Map<string, Standard>())
const asking = new Set<string>()

/** A round's standard, when it has been read; null until then, or where it cannot be used. */
export function standardOf(round: string): Standard | null {
  if (!known.has(round) && !asking.has(round)) void read(round)
  return known.get(round) ?? null
}

async function read(round: string): Promise<void> {
  asking.add(round)
  try {
    known.set(round, await core.query({ query: 'standard', round }))
  } catch (error) {
    // The strip says why; another try comes with the next screen.
    if (!(error instanceof Failed)) throw error
  } finally {
    asking.delete(round)
  }
}
