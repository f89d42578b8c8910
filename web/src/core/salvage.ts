// A rescue file without the engine, for a page whose engine does not start:
// everything that the store holds, read directly.

import { rescueFile, type Holds } from './rescue'
import { Store } from './store'

/** Without the engine nobody knows which photos the server has: all are in it. */
export async function salvage(name: string, drafts: [form: string, text: string][]): Promise<{ file: Blob; holds: Holds }> {
  const store = await Store.open(name)
  const [file, holds] = await rescueFile(store, { memory: [], drafts, changes: null, without: new Set() })
  return { file, holds }
}
