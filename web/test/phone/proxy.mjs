// A link to the server that misbehaves as told: it cuts connections after so
// many bytes sent up, or changes a file on its way down.

import { createServer as createHttp, request } from 'node:http'
import { connect, createServer } from 'node:net'

const listening = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)))

/** Cuts each connection after `bytes` sent up, until it has cut `times`. */
export async function cutting(url, bytes) {
  const to = new URL(url)
  const link = { cuts: 0, up: 0, times: 0 }
  const sockets = new Set()
  const server = createServer((client) => {
    const upstream = connect(Number(to.port), to.hostname)
    let sent = 0
    const both = [client, upstream]
    for (const socket of both) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.end()
      })
    }
    client.on('data', (data) => {
      sent += data.length
      link.up += data.length
      if (link.cuts < link.times && sent > bytes) {
        link.cuts += 1
        // What went before has arrived; the phone never hears of it.
        client.destroy()
        upstream.end()
      } else upstream.write(data)
    })
    upstream.pipe(client)
  })
  link.origin = await listening(server)
  link.end = () => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  }
  return link
}

/** Passes everything on; `change` may give another body for a path, or null to break off. */
export async function changing(url, change) {
  const to = new URL(url)
  const server = createHttp((asked, answer) => {
    // What is changed must come whole, as text.
    const { 'if-modified-since': _, 'if-none-match': __, ...rest } = asked.headers
    const headers = { ...rest, 'accept-encoding': 'identity' }
    const up = request({ host: to.hostname, port: to.port, path: asked.url, method: asked.method, headers }, async (given) => {
      const parts = []
      for await (const part of given) parts.push(part)
      const body = change(asked.url, Buffer.concat(parts))
      if (body === null) return answer.destroy()
      const { 'content-length': _, 'transfer-encoding': __, ...kept } = given.headers
      answer.writeHead(given.statusCode, { ...kept, 'content-length': body.length }).end(body)
    })
    up.on('error', () => answer.destroy())
    asked.pipe(up)
  })
  // Only pages and requests: a socket is refused at once.
  server.on('upgrade', (_, socket) => socket.destroy())
  const origin = await listening(server)
  return { origin, end: () => server.closeAllConnections() ?? server.close() }
}
