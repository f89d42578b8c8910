// The worker that holds the engine and the store. It has the store alone: a
// Web Lock keeps every other window out until this one ends or hands it over.
// The worker's name names the store.

import init, { Client, report_panics } from '../generated/duxue'
import wasm from '../generated/duxue_bg.wasm?url'
import { Driver } from './driver'
import type { FromWorker, ToWorker } from './messages'
import { addPhoto } from './photos'
import { NotRescued, readBack, rescueFile, type Extra } from './rescue'
import { isFull, Store } from './store'
import type { Notice, Outbox, PhotoRecord, Problem, Status } from './types'
import { sweep, unnamed } from './unnamed'

const NAME = self.name || 'duxue'

const say = (message: FromWorker): void => postMessage(message)

const LOCK = `${NAME}-store`

type Question = Exclude<ToWorker, { ask: 'take_over' }>
const asked: Question[] = []
const later = (message: Question): void => void asked.push(message)
let answer = later
onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.ask === 'take_over') windows.postMessage('mine')
  else answer(data)
}

/** Between the windows that use this store: one says that it wants it. */
const windows = new BroadcastChannel(LOCK)
/** What this worker does then: hand the store over, or stand back in the queue. */
let giveWay: () => void = () => undefined
windows.onmessage = () => giveWay()

const NOT_RESCUED: Record<NotRescued['code'], [zh: string, en: string]> = {
  not_empty: ['本机已有数据：救援文件只能读入空的设备', 'there is data on this device: a rescue file is read only into an empty one'],
  damaged: ['文件不完整或不是救援文件，没有读入任何内容', 'the file is damaged or no rescue file: nothing was read'],
  newer: ['救援文件由更新版本的程序写入，请先更新', 'the rescue file was written by a newer version: update first'],
}

function problemOf(error: unknown): string {
  const problem = (code: string, zh: string, en: string, detail?: string): Problem => ({
    code,
    message_zh: zh,
    message_en: en,
    ...(detail !== undefined && { detail }),
  })
  if (error instanceof NotRescued) return JSON.stringify(problem(`rescue.${error.code}`, ...NOT_RESCUED[error.code], error.detail))
  if (isFull(error)) {
    return JSON.stringify(problem('store.full', '存储空间已满，没有保存。请先腾出空间', 'the disk is full: nothing was saved; free some space'))
  }
  return JSON.stringify(problem('store.failed', '没有保存', 'it was not saved', String(error)))
}

/** To what waited for the network when the store went to another window. */
const HANDED_OVER = JSON.stringify({
  code: 'client.handed_over',
  message_zh: '已交给另一个窗口处理，请在那里再试一次',
  message_en: 'another window has taken over: try again there',
} satisfies Problem)

const records = (driver: Driver): PhotoRecord[] => JSON.parse(driver.query('"photos"')) as PhotoRecord[]
const named = (driver: Driver): Set<string> => new Set(records(driver).map(({ photo }) => photo))

/** Photos that a receipt covers: another device need not bring them. */
function receipted(driver: Driver): Set<string> {
  const there = records(driver).filter(({ state }) => state.state === 'receipted' || state.state === 'freed')
  return new Set(there.map(({ photo }) => photo))
}

function sweepOff(driver: Driver, store: Store): void {
  const { drafts } = JSON.parse(driver.query('"status"')) as Status
  // What stays costs room only.
  sweep(store, named(driver), Object.values(drafts), Date.now()).catch(() => undefined)
}

/** What the engine knows that the disk may not, for the rescue file. */
function extra(driver: Driver, drafts: [string, string][]): Extra {
  const { items } = JSON.parse(driver.query('"outbox"')) as Outbox
  const changes = items.reduce((sum, { what }) => sum + (what.what === 'changes' ? what.count : 0), 0)
  return { memory: driver.inMemory(), drafts, changes, without: receipted(driver) }
}

/** Work on the store beside the engine's. */
const jobs = new Set<Promise<void>>()

function serve(driver: Driver, store: Store): void {
  answer = (message) => {
    const { id } = message
    const after = <T>(work: Promise<T>, told: (done: T) => FromWorker): void => {
      const job = work.then(
        (done) => say(told(done)),
        (error: unknown) => say({ say: 'answer', id, problem: problemOf(error) }),
      )
      jobs.add(job)
      void job.then(() => jobs.delete(job))
    }
    switch (message.ask) {
      case 'command':
        driver.command(id, message.json)
        break
      case 'query':
        try {
          say({ say: 'answer', id, json: driver.query(message.json) })
        } catch (error) {
          if (typeof error === 'string') say({ say: 'answer', id, problem: error })
          else say({ say: 'broke', reason: String(error) })
        }
        break
      case 'add_photo':
        after(addPhoto(store, message.file, message.keepOriginal), (photo) => ({ say: 'photo_added', id, photo }))
        break
      case 'photo':
        after(store.photo(message.hash), (bytes) => ({ say: 'bytes', id, bytes }))
        break
      case 'unnamed':
        after(Promise.resolve().then(() => unnamed(store, named(driver))), (found) => ({ say: 'answer', id, json: JSON.stringify(found) }))
        break
      case 'discard':
        after(store.discard(message.hash, Date.now()), () => ({ say: 'answer', id, json: 'null' }))
        break
      case 'rescue':
        after(
          Promise.resolve().then(() => rescueFile(store, extra(driver, message.drafts))),
          ([file, holds]) => ({ say: 'rescued', id, file, holds }),
        )
        break
      case 'read_back':
        after(readBack(store, message.file), (found) => ({ say: 'answer', id, json: JSON.stringify(found) }))
        break
    }
  }
  for (const message of asked.splice(0)) answer(message)
}

/** Compiled while the lock is asked for and the store opens. */
const compiled = init({ module_or_path: wasm })
// Whoever waits for it hears why it failed.
compiled.catch(() => undefined)

async function run(): Promise<void> {
  const wanted = new Promise<void>((resolve) => (giveWay = resolve))
  let panic = ''
  const [, store] = await Promise.all([compiled, Store.open(NAME)])
  report_panics((text: string) => {
    panic = text
    console.error(text)
  })
  const client = new Client(crypto.getRandomValues(new Uint8Array(32)))
  const driver = new Driver(client, store, {
    reply: (id, reply, problem) =>
      say({ say: 'answer', id, ...(reply !== undefined && { json: reply }), ...(problem !== undefined && { problem }) }),
    notice: (json) => {
      say({ say: 'notice', json })
      if ((JSON.parse(json) as Notice).notice === 'ready') setTimeout(() => sweepOff(driver, store), 0)
    },
    broke: (reason) => say({ say: 'broke', reason: panic || reason }),
  })
  serve(driver, store)
  driver.start(true)
  // The lock is held until this worker ends, or another window wants the store.
  await wanted
  answer = later
  say({ say: 'waiting' })
  await driver.end(HANDED_OVER)
  await Promise.all(jobs)
  store.close()
  client.free()
}

/** One turn after the other with the store; between them other windows have theirs. */
async function turns(): Promise<never> {
  await navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? run() : say({ say: 'waiting' })))
  for (;;) {
    const queue = new AbortController()
    // Whoever asked for the store is behind those who only wait: these stand back.
    giveWay = () => queue.abort()
    try {
      await navigator.locks.request(LOCK, { signal: queue.signal }, run)
    } catch (error) {
      if (!queue.signal.aborted) throw error
    }
  }
}

turns().catch((error: unknown) => say({ say: 'broke', reason: String(error) }))
