// The device's store in IndexedDB: the engine's records and the photos' bytes.
// A transaction counts as done when it is on disk (`durability: 'strict'`).

import { openDB, type DBSchema, type IDBPDatabase } from 'idb'

interface Schema extends DBSchema {
  records: { key: string; value: Uint8Array }
  photos: { key: string; value: Blob }
  about: { key: string; value: string }
  /** By photo: the file that it was made from, and how it looks. */
  looks: { key: string; value: Look }
}

export interface Look {
  /** SHA-256 of the file as it was chosen. */
  source: string
  /** As `pictures.ts` makes it; null where nothing can be told. */
  look: string | null
  /** When the inspector took it off, by the device's clock. */
  discarded_ms?: number
}

const VERSION = 2

const STRICT = { durability: 'strict' } as const

export class Store {
  private constructor(
    private readonly db: IDBPDatabase<Schema>,
    /** Names this store. A store that was deleted and made again has another. */
    readonly stamp: string,
  ) {}

  /** Opens the store of this name; each entry of the app has one of its own. */
  static async open(name: string): Promise<Store> {
    const db = await openDB<Schema>(name, VERSION, {
      upgrade(db, from) {
        if (from < 1) {
          db.createObjectStore('records')
          db.createObjectStore('photos')
          db.createObjectStore('about')
        }
        if (from < 2) db.createObjectStore('looks')
      },
    })
    const tx = db.transaction('about', 'readwrite', STRICT)
    let stamp = await tx.store.get('stamp')
    if (stamp === undefined) {
      stamp = crypto.randomUUID()
      await tx.store.put(stamp, 'stamp')
    }
    await tx.done
    return new Store(db, stamp)
  }

  close(): void {
    this.db.close()
  }

  async load(prefix: string): Promise<[string[], Uint8Array[]]> {
    const range = prefix === '' ? null : IDBKeyRange.bound(prefix, prefix + '\uffff')
    const tx = this.db.transaction('records')
    // Keys and values of one transaction, in the same order.
    return Promise.all([tx.store.getAllKeys(range), tx.store.getAll(range)])
  }

  /** All or nothing. Transactions on one store end in the order in which they began. */
  async write(puts: [string, Uint8Array][], deletes: string[]): Promise<void> {
    const tx = this.db.transaction('records', 'readwrite', STRICT)
    const requests: Promise<unknown>[] = puts.map(([key, bytes]) => tx.store.put(bytes, key))
    requests.push(...deletes.map((key) => tx.store.delete(key)))
    await ended(tx, requests)
  }

  async putPhoto(hash: string, bytes: Blob, look?: Look): Promise<void> {
    const tx = this.db.transaction(['photos', 'looks'], 'readwrite', STRICT)
    const requests: Promise<unknown>[] = [tx.objectStore('photos').put(bytes, hash)]
    if (look) requests.push(tx.objectStore('looks').put(look, hash))
    await ended(tx, requests)
  }

  /** Photos whose bytes are here. */
  async photoHashes(): Promise<string[]> {
    return this.db.getAllKeys('photos')
  }

  /** How the photos look that were ever added here, also those whose bytes are gone. */
  async looks(): Promise<[string, Look][]> {
    const tx = this.db.transaction('looks')
    const [keys, values] = await Promise.all([tx.store.getAllKeys(), tx.store.getAll()])
    return keys.flatMap((key, at): [string, Look][] => (values[at] ? [[key, values[at]]] : []))
  }

  /** The inspector does not want a photo any more. */
  async discard(hash: string, now_ms: number): Promise<void> {
    const tx = this.db.transaction('looks', 'readwrite', STRICT)
    const look = await tx.store.get(hash)
    await ended(tx, [tx.store.put({ source: '', look: null, ...look, discarded_ms: now_ms }, hash)])
  }

  async photo(hash: string): Promise<Blob | undefined> {
    return this.db.get('photos', hash)
  }

  async freePhoto(hash: string): Promise<void> {
    await this.db.delete('photos', hash)
  }
}

/** Why a transaction failed is known to it; its requests only know that they were ended. */
async function ended(tx: { done: Promise<void>; error: DOMException | null }, requests: Promise<unknown>[]): Promise<void> {
  try {
    await Promise.all([...requests, tx.done])
  } catch (error) {
    throw tx.error ?? error
  }
}

/** Whether an error says that there is no room. */
export function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'QuotaExceededError'
}
