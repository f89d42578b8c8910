// The one loop around the engine in this browser: runs its effects in their
// order, feeds it events. The native twin is client-core/native/src/driver.rs.

import type { Client } from '../generated/duxue'
import type { Effect, HttpEffect } from './effects'
import { openSocket, PhotoUnreadable, send } from './network'
import { isFull, type Store } from './store'

export interface Outside {
  reply: (command: number, reply: string | undefined, problem: string | undefined) => void
  notice: (notice: string) => void
  /** The engine stopped for good; a new worker reads the store. */
  broke: (reason: string) => void
}

const now = (): bigint => BigInt(Date.now())

/** setTimeout's longest wait. */
const LONGEST_MS = 2_147_483_647

export class Driver {
  private readonly sockets = new Map<bigint, WebSocket>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private dead = false
  /** Writes and commands that are not answered yet. */
  private writing = 0
  private readonly unanswered = new Set<number>()
  private atRest: (() => void) | undefined

  constructor(
    private readonly client: Client,
    private readonly store: Store,
    private readonly outside: Outside,
  ) {}

  start(exclusive: boolean): void {
    this.feed(() => this.client.start(now(), this.store.stamp, exclusive))
  }

  command(id: number, json: string): void {
    this.unanswered.add(id)
    // Text that is no command is our own mistake: answered, never thrown on.
    try {
      this.act(this.client.command(now(), BigInt(id), json) as Effect[])
    } catch (error) {
      if (typeof error === 'string') this.reply(id, undefined, error)
      else this.die(error)
    }
  }

  /** Leaves the store to somebody else: what is being written gets to its end,
   * and what waits for the network is answered with this problem. */
  async end(problem: string): Promise<void> {
    if (this.writing > 0) await new Promise<void>((resolve) => (this.atRest = resolve))
    this.silence()
    for (const id of this.unanswered) this.reply(id, undefined, problem)
  }

  query(json: string): string {
    return this.client.query(json)
  }

  /** What the engine holds in memory, as the store would: keys with bytes, or without where they go. */
  inMemory(): [string, Uint8Array | undefined][] {
    const flat = this.client.in_memory() as (string | Uint8Array | undefined)[]
    return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as string, flat[2 * at + 1] as Uint8Array | undefined])
  }

  private feed(step: () => unknown[]): void {
    if (this.dead) return
    try {
      this.act(step() as Effect[])
    } catch (error) {
      this.die(error)
    }
  }

  private die(error: unknown): void {
    if (this.dead) return
    this.silence()
    this.outside.broke(String(error))
    this.atRest?.()
  }

  private silence(): void {
    this.dead = true
    clearTimeout(this.timer)
    for (const socket of this.sockets.values()) socket.close()
  }

  private reply(id: number, reply: string | undefined, problem: string | undefined): void {
    this.unanswered.delete(id)
    this.outside.reply(id, reply, problem)
  }

  /** A write ended: what the engine writes next has begun by now. */
  private written(step: () => void): void {
    step()
    this.writing -= 1
    if (this.writing === 0) this.atRest?.()
  }

  private act(effects: Effect[]): void {
    for (const effect of effects) this.one(effect)
  }

  private one(effect: Effect): void {
    switch (effect.effect) {
      case 'load':
        this.store.load(effect.prefix).then(
          ([keys, values]) => this.feed(() => this.client.loaded(now(), effect.id, keys, values)),
          (error: unknown) => this.storageFailed(effect.id, error),
        )
        break
      case 'write':
        // Begun at once, so that transactions have the order of the effects.
        this.writing += 1
        this.store.write(effect.puts, effect.deletes).then(
          () => this.written(() => this.feed(() => this.client.written(now(), effect.id))),
          (error: unknown) => this.written(() => this.storageFailed(effect.id, error)),
        )
        break
      case 'connect':
        this.connect(effect.link, effect.url)
        break
      case 'send': {
        const socket = this.sockets.get(effect.link)
        // A socket that just ended reports that by itself.
        if (socket?.readyState === WebSocket.OPEN) socket.send(effect.bytes)
        break
      }
      case 'close':
        this.sockets.get(effect.link)?.close()
        this.sockets.delete(effect.link)
        break
      case 'http':
        this.http(effect)
        break
      case 'timer':
        this.setTimer(Number(effect.at_ms))
        break
      case 'free_photo':
        // A copy that stays costs room only.
        this.store.freePhoto(effect.photo).catch(() => undefined)
        break
      case 'reply':
        this.reply(Number(effect.id), effect.reply, effect.problem)
        break
      case 'notice':
        this.outside.notice(effect.notice)
        break
    }
  }

  private storageFailed(id: bigint, error: unknown): void {
    this.feed(() => this.client.storage_failed(now(), id, isFull(error), String(error)))
  }

  private connect(link: bigint, url: string): void {
    const ended = (opened: boolean, reason: string): void => {
      this.sockets.delete(link)
      this.feed(() => this.client.disconnected(now(), link, opened, reason))
    }
    try {
      const socket = openSocket(url, {
        connected: () => this.feed(() => this.client.connected(now(), link)),
        frame: (bytes) => this.feed(() => this.client.frame(now(), link, bytes)),
        ended,
      })
      this.sockets.set(link, socket)
    } catch (error) {
      // The engine is still in the call that asked for this.
      queueMicrotask(() => ended(false, String(error)))
    }
  }

  private http(effect: HttpEffect): void {
    send(effect, (hash) => this.store.photo(hash)).then(
      ({ status, headers, body }) => this.feed(() => this.client.answered(now(), effect.id, status, headers, body)),
      (error: unknown) =>
        this.feed(() =>
          error instanceof PhotoUnreadable
            ? this.client.photo_unreadable(now(), effect.id, error.message)
            : this.client.unanswered(now(), effect.id, String(error)),
        ),
    )
  }

  private setTimer(at: number): void {
    clearTimeout(this.timer)
    const wait = Math.min(Math.max(at - Date.now(), 0), LONGEST_MS)
    this.timer = setTimeout(() => this.feed(() => this.client.timer(now())), wait)
  }
}
