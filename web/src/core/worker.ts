// The worker that holds the engine and the store. It has the store alone: a
// Web Lock keeps every other window out for as long as it lives.

import init, { Client, report_panics } from '../generated/duxue'
import wasm from '../generated/duxue_bg.wasm?url'
import { Driver } from './driver'
import type { FromWorker, ToWorker } from './messages'
import { isFull, Store } from './store'
import type { NewPhoto, Problem } from './types'

const say = (message: FromWorker): void => postMessage(message)

const asked: ToWorker[] = []
let answer: (message: ToWorker) => void = (message) => void asked.push(message)
onmessage = (event: MessageEvent<ToWorker>) => answer(event.data)

function storageProblem(error: unknown): string {
  const problem: Problem = isFull(error)
    ? { code: 'store.full', message_zh: '存储空间已满，照片没有保存。请先腾出空间', message_en: 'the disk is full: the photo was not saved; free some space' }
    : { code: 'store.failed', message_zh: '照片没有保存', message_en: 'the photo was not saved', detail: String(error) }
  return JSON.stringify(problem)
}

/** Stores a photo under its hash, durably, before the engine hears of it. */
async function addPhoto(store: Store, file: Blob): Promise<NewPhoto> {
  const bytes = await file.arrayBuffer()
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const photo = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const media = file.type || 'application/octet-stream'
  // A copy: a file that the camera app deletes would be gone from the store.
  await store.putPhoto(photo, new Blob([bytes], { type: media }))
  return { photo, length: bytes.byteLength, media }
}

function serve(driver: Driver, store: Store): void {
  answer = (message) => {
    const { id } = message
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
        addPhoto(store, message.file).then(
          (photo) => say({ say: 'photo_added', id, photo }),
          (error: unknown) => say({ say: 'answer', id, problem: storageProblem(error) }),
        )
        break
      case 'photo':
        store.photo(message.hash).then(
          (bytes) => say({ say: 'photo', id, bytes }),
          (error: unknown) => say({ say: 'answer', id, problem: storageProblem(error) }),
        )
        break
    }
  }
  for (const message of asked.splice(0)) answer(message)
}

async function run(): Promise<void> {
  let panic = ''
  await init({ module_or_path: wasm })
  report_panics((text: string) => {
    panic = text
    console.error(text)
  })
  const store = await Store.open()
  const client = new Client(crypto.getRandomValues(new Uint8Array(32)))
  const driver = new Driver(client, store, {
    reply: (id, reply, problem) =>
      say({ say: 'answer', id, ...(reply !== undefined && { json: reply }), ...(problem !== undefined && { problem }) }),
    notice: (json) => say({ say: 'notice', json }),
    broke: (reason) => say({ say: 'broke', reason: panic || reason }),
  })
  serve(driver, store)
  driver.start(true)
  // The lock is held until this worker ends.
  await new Promise<never>(() => undefined)
}

const LOCK = 'duxue-store'
navigator.locks
  .request(LOCK, { ifAvailable: true }, async (lock) => {
    if (lock) await run()
    else say({ say: 'waiting' })
  })
  .then(() => navigator.locks.request(LOCK, run))
  .catch((error: unknown) => say({ say: 'broke', reason: String(error) }))
