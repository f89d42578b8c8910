// A new photo: prepared, compared with those before it, and stored durably
// under its hash before the engine hears of it.

import { hex, sha256 } from './hash'
import { alike, prepare } from './pictures'
import type { Store } from './store'
import type { AddedPhoto } from './types'

export async function addPhoto(store: Store, file: Blob, keepOriginal: boolean): Promise<AddedPhoto> {
  const source = hex(await sha256(await file.arrayBuffer()))
  const prepared = await prepare(file, keepOriginal)
  const bytes = await prepared.bytes.arrayBuffer()
  const photo = hex(await sha256(bytes))
  const media = prepared.bytes.type || 'application/octet-stream'
  const like = await earlier(store, photo, source, prepared.look)
  // A copy: a file that the camera app deletes would be gone from the store.
  await store.putPhoto(photo, new Blob([bytes], { type: media }), { source, look: prepared.look })
  return { photo, length: bytes.byteLength, media, like }
}

/** The photo that this one repeats: the same file first, then one that looks the same. */
async function earlier(store: Store, photo: string, source: string, look: string | null): Promise<AddedPhoto['like']> {
  const known = await store.looks()
  const same = known.find(([hash, old]) => hash === photo || old.source === source)
  if (same) return { photo: same[0], same: true }
  const like = known.find(([, old]) => look !== null && old.look !== null && alike(look, old.look))
  return like ? { photo: like[0], same: false } : null
}
