// HTTP and WebSocket for the driver.

import type { HttpEffect } from './effects'

export interface Answer {
  status: number
  /** Names and values alternate. */
  headers: string[]
  body: Uint8Array
}

/** A request that has no answer by then has failed. */
const ANSWER_MS = 60_000

export async function send(request: HttpEffect, photo: (hash: string) => Promise<Blob | undefined>): Promise<Answer> {
  let body: BodyInit | null = null
  const headers = new Headers(request.headers)
  if (request.json !== undefined) {
    body = request.json
    headers.set('content-type', 'application/json')
  } else if (request.photo !== undefined) {
    const bytes = await photo(request.photo)
    if (bytes === undefined) throw new Error(`the photo ${request.photo} is not on this device`)
    const start = Number(request.offset)
    // As bytes: a blob with a media type would replace the header.
    body = await bytes.slice(start, start + Number(request.length)).arrayBuffer()
  }
  const response = await fetch(request.url, {
    method: request.method,
    headers,
    body,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  return {
    status: response.status,
    headers: [...response.headers].flat(),
    body: new Uint8Array(await response.arrayBuffer()),
  }
}

export interface SocketEvents {
  connected: () => void
  frame: (bytes: Uint8Array) => void
  /** Comes once, also where the socket could not be opened. */
  ended: (reason: string) => void
}

export function openSocket(url: string, events: SocketEvents): WebSocket {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => events.connected()
  socket.onmessage = (message) => {
    if (message.data instanceof ArrayBuffer) events.frame(new Uint8Array(message.data))
  }
  socket.onclose = (close) => events.ended(close.reason || `closed (${close.code})`)
  return socket
}
