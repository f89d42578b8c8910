// The engine's worker. It begins before anything else of the app is evaluated:
// reading the core and the store takes longer than drawing the first page.

/** The worker's name, and its store's. */
export const STORE = 'duxue'

export const newWorker = (): Worker => new Worker(new URL('../core/worker.ts', import.meta.url), { type: 'module', name: 'duxue' })

/** Whoever takes it listens in the same task, so that nothing it says is lost. */
let first: Worker | undefined = newWorker()

/** The worker that began with the page; a new one where that is gone. */
export function engineWorker(): Worker {
  const worker = first ?? newWorker()
  first = undefined
  return worker
}
