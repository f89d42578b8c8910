// The device's store in IndexedDB: the engine's records and the photos' bytes.
// A transaction counts as done when it is on disk (`durability: 'strict'`).

import { openDB, type DBSchema, type IDBPDatabase } from 'idb'

interface Schema extends DBSchema {
  records: { key: string; value: Uint8Array }
  photos: { key: string; value: Blob }
  about: { key: string; value: string }
}

const STRICT = { durability: 'strict' } as const

export class Store {
  private constructor(
    private readonly db: IDBPDatabase<Schema>,
    /** Names this store. A store that was deleted and made again has another. */
    readonly stamp: string,
  ) {}

  static async open(): Promise<Store> {
    const db = await openDB<Schema>('duxue', 1, {
      upgrade(db) {
        db.createObjectStore('records')
        db.createObjectStore('photos')
        db.createObjectStore('about')
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
    requests.push(...deletes.map((key) => tx.store.delete(key)), tx.done)
    await Promise.all(requests)
  }

  async putPhoto(hash: string, bytes: Blob): Promise<void> {
    const tx = this.db.transaction('photos', 'readwrite', STRICT)
    await Promise.all([tx.store.put(bytes, hash), tx.done])
  }

  async photo(hash: string): Promise<Blob | undefined> {
    return this.db.get('photos', hash)
  }

  async freePhoto(hash: string): Promise<void> {
    await this.db.delete('photos', hash)
  }
}

/** Whether an error says that there is no room. */
export function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'QuotaExceededError'
}
