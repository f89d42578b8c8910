// What the author of a client has to write beside automerge-repo. The samples
// in docs/sync.md are parts of this file.
import { createHash } from "node:crypto"
import { encodeSyncMessage, getAllChanges } from "@automerge/automerge"
import { Repo, decodeHeads, parseAutomergeUrl, stringifyAutomergeUrl } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

const NAMESPACE = Buffer.from("d0c5e8a17e0b4d0e9a53647578756521", "hex")

/** The id of a document, in automerge-repo's form: a UUIDv5 in bs58check. */
export function documentId(round, subject, kind) {
  const name = `${round}/${subject}/${kind}`
  const id = new Uint8Array(createHash("sha1").update(NAMESPACE).update(name).digest().subarray(0, 16))
  id[6] = (id[6] & 0x0f) | 0x50
  id[8] = (id[8] & 0x3f) | 0x80
  return parseAutomergeUrl(stringifyAutomergeUrl(id)).documentId
}

/** One request to the HTTP interface; an error has the server's stable code. */
export async function api(server, token, path, body) {
  const answer = await fetch(`${server}/api${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  const value = await answer.json()
  if (!answer.ok) throw new Error(`${path}: ${value.code}`)
  return value
}

/** Logs in with name and password. */
export async function login(server, name, password) {
  return (await api(server, null, "/login", { name, password })).token
}

/** A repository that syncs with the server; without a storage it keeps nothing. */
export function connect(server, token, storage, retryMs = 5000) {
  const url = new URL("/sync", server.replace(/^http/, "ws"))
  url.searchParams.set("token", token)
  const adapter = new WebSocketClientAdapter(url.href, retryMs)
  adapter.onError = ({ message }) => console.error(message)
  return { adapter, repo: new Repo({ network: [adapter], storage }) }
}

/** Puts a count, with what a claim says of its circumstances. */
export function putQuantity(handle, key, value, captured) {
  handle.change(survey => {
    survey.quantities[key] = { value, captured, photos: [], note: "counted twice" }
  })
}

/**
 * Waits until the server has everything that the document holds now, durable
 * or held; its answer says which, and is signed.
 */
export async function receipt(server, token, adapter, handle) {
  const heads = decodeHeads(handle.heads())
  for (;;) {
    const said = nextMessage(adapter, handle.documentId)
    const answer = await api(server, token, "/receipts", { heads: { [handle.documentId]: heads } })
    if (!answer.missing_heads[handle.documentId]) return answer
    await said
  }
}

/** Sends what the document holds, where Automerge cannot take what the server has. */
export function bring(adapter, handle) {
  const data = encodeSyncMessage({ heads: [], need: [], have: [], changes: getAllChanges(handle.doc()) })
  const { peerId: senderId, remotePeerId: targetId } = adapter
  adapter.send({ type: "sync", senderId, targetId, documentId: handle.documentId, data })
}

/** The next thing that the server says about a document. */
function nextMessage(adapter, id) {
  return new Promise(resolve => {
    const hear = message => {
      if (message.documentId !== id) return
      adapter.off("message", hear)
      resolve(message)
    }
    adapter.on("message", hear)
  })
}
