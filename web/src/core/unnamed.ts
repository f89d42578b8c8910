// Photos whose bytes are here and that nothing names. One that the inspector
// took off goes a day later; any other stays until somebody decides.

import type { Store } from './store'
import type { NewPhoto } from './types'

/** Time to put a form's photo back, or to read it from a rescue file. */
const GRACE_MS = 24 * 3_600_000

/** `names`: hashes that a claim of this device names. */
export async function unnamed(store: Store, names: ReadonlySet<string>): Promise<NewPhoto[]> {
  const looks = new Map(await store.looks())
  const found: NewPhoto[] = []
  for (const photo of await store.photoHashes()) {
    if (names.has(photo) || looks.get(photo)?.discarded_ms !== undefined) continue
    const bytes = await store.photo(photo)
    if (bytes) found.push({ photo, length: bytes.size, media: bytes.type })
  }
  return found
}

/** Frees what was taken off long enough ago. `drafts`: their text, which may name photos. */
export async function sweep(store: Store, names: ReadonlySet<string>, drafts: string[], now_ms: number): Promise<void> {
  for (const [photo, { discarded_ms }] of await store.looks()) {
    const wanted = names.has(photo) || drafts.some((text) => text.includes(photo))
    if (!wanted && discarded_ms !== undefined && now_ms - discarded_ms > GRACE_MS) await store.freePhoto(photo)
  }
}
