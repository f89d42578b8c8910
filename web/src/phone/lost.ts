// Photos of this device that nothing names: the page was gone before their
// form had them. They are shown, to be used or discarded; none goes by itself.

import { shallowRef, watch } from 'vue'
import { Failed } from '../core/client'
import type { NewPhoto } from '../core/types'
import { draftRecords } from './draft'
import { core, state } from './state'

export const lost = shallowRef<NewPhoto[]>([])

export async function look(): Promise<void> {
  try {
    const photos = await core.unnamed()
    const drafts = draftRecords().map(([, text]) => text)
    lost.value = photos.filter(({ photo }) => !drafts.some((text) => text.includes(photo)))
  } catch (error) {
    if (!(error instanceof Failed)) throw error
  }
}

/** The inspector does not want it: its bytes go later, and it is not shown again. */
export async function discard(photo: string): Promise<void> {
  await core.discard(photo)
  await look()
}

watch(() => state.starts, () => void look())
