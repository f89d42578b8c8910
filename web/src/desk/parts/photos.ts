// Photos are fetched with the session's token and shown from blobs.

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import { api, problemOf, Refused } from '../api'
import type { Problem } from '../types'

export interface Shown {
  url: string | null
  blob: Blob | null
  /** `missing`: it is known from a survey and has not arrived. */
  problem: Problem | 'missing' | null
}

/** The thumbnail; the photo itself where there is none, or not yet. */
async function small(hash: string, signal: AbortSignal): Promise<Blob> {
  try {
    return await api.photo(hash, true, signal)
  } catch (error) {
    if (error instanceof Refused && error.problem.code === 'photo.not_derived') return api.photo(hash, false, signal)
    throw error
  }
}

/** Fetches a photo while the component lives; the blob is let go with it. */
export function usePhoto(hash: () => string, thumbnail: boolean): ShallowRef<Shown> {
  const shown = shallowRef<Shown>({ url: null, blob: null, problem: null })
  let running: AbortController | undefined
  const drop = (): void => {
    running?.abort()
    if (shown.value.url) URL.revokeObjectURL(shown.value.url)
  }
  const read = async (wanted: string): Promise<void> => {
    drop()
    shown.value = { url: null, blob: null, problem: null }
    const mine = (running = new AbortController())
    try {
      const blob = await (thumbnail ? small(wanted, mine.signal) : api.photo(wanted, false, mine.signal))
      if (!mine.signal.aborted) shown.value = { url: URL.createObjectURL(blob), blob, problem: null }
    } catch (error) {
      if (mine.signal.aborted) return
      const missing = error instanceof Refused && error.status === 404
      shown.value = { url: null, blob: null, problem: missing ? 'missing' : problemOf(error) }
    }
  }
  watch(hash, (wanted) => void read(wanted), { immediate: true })
  onScopeDispose(drop)
  return shown
}
