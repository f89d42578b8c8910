// The page's side of the core: commands and queries as promises.

import type { FromWorker, ToWorker } from './messages'
import type { Holds } from './rescue'
import type { AddedPhoto, Answers, Command, NewPhoto, Notice, Problem, Query, Reply } from './types'

/** A problem that the core, the server or the store reported. */
export class Failed extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.message_en}`)
  }
}

interface Open {
  resolve: (value: never) => void
  reject: (error: Failed) => void
}

type Asked = ToWorker extends infer One ? (One extends { id: number } ? Omit<One, 'id'> : never) : never

/** As the core reads it: the name alone, or with what it is about. */
function named(name: string, whole: Command | Query): string {
  const fields = Object.entries(whole).filter(([field]) => field !== 'command' && field !== 'query')
  return JSON.stringify(fields.length > 0 ? { [name]: Object.fromEntries(fields) } : name)
}

/** A worker that breaks so often in a row is not started again. */
const STARTS_MOST = 3

export class Core {
  private worker: Worker
  private next = 1
  private starts = 1
  private readonly open = new Map<number, Open>()

  constructor(
    private readonly start: () => Worker,
    private readonly noticed: (notice: Notice) => void,
    private readonly waiting: () => void,
  ) {
    this.worker = this.begin()
  }

  command(command: Command): Promise<Reply> {
    return this.ask({ ask: 'command', json: named(command.command, command) })
  }

  query<Q extends Query>(query: Q): Promise<Answers[Q['query']]> {
    return this.ask({ ask: 'query', json: named(query.query, query) })
  }

  /** Stores a photo; unless the original is kept, its long side is limited first. */
  addPhoto(file: Blob, keepOriginal: boolean): Promise<AddedPhoto> {
    return this.ask({ ask: 'add_photo', file, keepOriginal })
  }

  photo(hash: string): Promise<Blob | undefined> {
    return this.ask({ ask: 'photo', hash })
  }

  /** Photos whose bytes are here and that no claim of this device names; drafts may. */
  unnamed(): Promise<NewPhoto[]> {
    return this.ask({ ask: 'unnamed' })
  }

  /** Lets a photo's bytes go, a day later and if nothing names it then. */
  discard(hash: string): Promise<null> {
    return this.ask({ ask: 'discard', hash })
  }

  /** What is only on this device, as one file; see `rescue.ts`. `drafts`: what the page has of them. */
  rescue(drafts: [form: string, text: string][]): Promise<{ file: Blob; holds: Holds }> {
    return this.ask({ ask: 'rescue', drafts })
  }

  /** Fills an empty store from a rescue file, and begins again with it. */
  async readBack(file: Blob): Promise<{ records: number; photos: number }> {
    const found = await this.ask<{ records: number; photos: number }>({ ask: 'read_back', file })
    this.worker.terminate()
    this.worker = this.begin()
    return found
  }

  /** Asks the window that holds the store to hand it over. */
  takeOver(): void {
    this.worker.postMessage({ ask: 'take_over' } satisfies ToWorker)
  }

  private ask<T>(asked: Asked): Promise<T> {
    const id = this.next++
    return new Promise<T>((resolve, reject) => {
      this.open.set(id, { resolve: resolve as Open['resolve'], reject })
      this.worker.postMessage({ ...asked, id })
    })
  }

  private begin(): Worker {
    const worker = this.start()
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.heard(event.data)
    worker.onerror = (event) => this.broke(event.message)
    return worker
  }

  private heard(message: FromWorker): void {
    if (message.say === 'notice') {
      const notice = JSON.parse(message.json) as Notice
      if (notice.notice === 'settled') this.starts = 1
      return this.noticed(notice)
    }
    if (message.say === 'waiting') return this.waiting()
    if (message.say === 'broke') return this.broke(message.reason)
    const open = this.open.get(message.id)
    this.open.delete(message.id)
    if (!open) return
    if (message.say === 'photo_added') open.resolve(message.photo as never)
    else if (message.say === 'bytes') open.resolve(message.bytes as never)
    else if (message.say === 'rescued') open.resolve({ file: message.file, holds: message.holds } as never)
    else if (message.problem !== undefined) open.reject(new Failed(JSON.parse(message.problem) as Problem))
    else open.resolve(JSON.parse(message.json ?? 'null') as never)
  }

  /** Leaves a broken engine. What it reported as saved is in the store, which a new one reads. */
  private broke(reason: string): void {
    this.worker.terminate()
    const again = this.starts < STARTS_MOST
    const problem: Problem = {
      code: 'client.broke_down',
      message_zh: '程序内部出错；已保存的内容都在本机，请再试一次并告诉管理员',
      message_en: 'an internal error; what was saved is on this device: try again, and tell the operator',
      detail: reason,
    }
    for (const open of this.open.values()) open.reject(new Failed(problem))
    this.open.clear()
    if (again) {
      this.starts += 1
      this.worker = this.begin()
      this.noticed({ notice: 'trouble', problem })
    } else {
      this.noticed({ notice: 'broken', problem })
    }
  }
}
