// HTTP and WebSocket for the driver.

import type { HttpEffect } from './effects'

export interface Answer {
  status: number
  /** Names and values alternate. */
  headers: string[]
  body: Uint8Array
}

/** Nothing was sent, because the photo's bytes cannot be read here. */
export class PhotoUnreadable extends Error {}

/** A request that has no answer by then has failed. */
const ANSWER_MS = 60_000

export async function send(request: HttpEffect, photo: (hash: string) => Promise<Blob | undefined>): Promise<Answer> {
  let body: BodyInit | null = null
  const headers = new Headers(request.headers)
  if (request.json !== undefined) {
    body = request.json
    headers.set('content-type', 'application/json')
  } else if (request.photo !== undefined) {
    body = await part(photo(request.photo), Number(request.offset), Number(request.length))
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

/** As bytes: a blob with a media type would replace the header. */
async function part(photo: Promise<Blob | undefined>, start: number, length: number): Promise<ArrayBuffer> {
  try {
    const bytes = await photo
    if (bytes !== undefined) return await bytes.slice(start, start + length).arrayBuffer()
  } catch (error) {
    throw new PhotoUnreadable(String(error))
  }
  throw new PhotoUnreadable('not stored')
}

export interface SocketEvents {
  connected: () => void
  frame: (bytes: Uint8Array) => void
  /** Comes once, also where the socket could not be opened. */
  ended: (opened: boolean, reason: string) => void
}

export function openSocket(url: string, events: SocketEvents): WebSocket {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  let opened = false
  socket.onopen = () => {
    opened = true
    events.connected()
  }
  socket.onmessage = (message) => {
    if (message.data instanceof ArrayBuffer) events.frame(new Uint8Array(message.data))
  }
  socket.onclose = (close) => events.ended(opened, close.reason || `closed (${close.code})`)
  return socket
}
