// automerge-repo as a process: a command as JSON on each line of the input,
// its outcome as JSON on a line of the output. Everything else that anyone
// prints goes to the error output.
import { createInterface } from "node:readline"
import { clone } from "@automerge/automerge"
import { ImmutableString, Counter, decodeHeads } from "@automerge/automerge-repo"
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs"
import { bring, connect, documentId, login, putQuantity, receipt } from "./duxue.mjs"

console.log = console.info = console.debug = console.error

let server, token, repo, adapter
const closes = []
const watching = []
const handles = new Map()
const heard = new Map()

const commands = {
  async open({ server: address, name, password, token: given, folder }) {
    server = address
    token = given ?? (await login(server, name, password))
    const storage = folder ? new NodeFSStorageAdapter(folder) : undefined
    ;({ repo, adapter } = connect(server, token, storage, 100))
    const { onClose } = adapter
    adapter.onClose = event => {
      closes.push({ code: event.code, reason: event.reason })
      watching.forEach(look => look())
      onClose(event)
    }
  },

  token: () => token,

  /**
   * Waits until the server has welcomed this client. What is looked for before
   * is unavailable after a second.
   */
  connected: () => when(() => adapter.remotePeerId, again => adapter.on("peer-candidate", again)),

  /** Waits until the server has closed the socket with a reason. */
  closed: ({ reason }) => {
    const there = () => closes.find(close => close.reason === reason)
    return when(there, again => watching.push(again))
  },

  id: ({ round, subject, kind }) => documentId(round, subject, kind),

  async find({ document }) {
    const handle = await repo.find(document)
    handles.set(document, handle)
    heard.set(document, [])
    handle.on("ephemeral-message", ({ message }) => heard.get(document).push(message))
    return plain(handle.doc())
  },

  /** Makes the document from its first change, without a server. */
  create({ document, genesis }) {
    const handle = repo.import(Buffer.from(genesis, "hex"), { docId: document })
    handle.doneLoading()
    handles.set(document, handle)
    return plain(handle.doc())
  },

  read: ({ document }) => plain(handles.get(document).doc()),

  heads: ({ document }) => sorted(handles.get(document)),

  /** Waits until the document has these heads. */
  untilHeads: ({ document, heads }) => {
    const handle = handles.get(document)
    const there = () => JSON.stringify(sorted(handle)) === JSON.stringify(heads)
    return when(there, again => handle.on("heads-changed", again))
  },

  /** Goes on under this actor, as a client does that keeps its actor. */
  keepActor({ document, actor }) {
    handles.get(document).update(doc => clone(doc, { actor }))
  },

  putQuantity({ document, key, value, captured }) {
    putQuantity(handles.get(document), key, value, captured)
  },

  edit({ document, edits }) {
    handles.get(document).change(survey => edits.forEach(edit => apply(survey, edit)))
  },

  /** Waits until the document has a value at a path. */
  until: ({ document, path, equals }) => {
    const handle = handles.get(document)
    const there = () => JSON.stringify(at(plain(handle.doc()), path)) === JSON.stringify(equals)
    return when(there, again => handle.on("change", again))
  },

  receipt: ({ document }) => receipt(server, token, adapter, handles.get(document)),

  bring: ({ document }) => bring(adapter, handles.get(document)),

  broadcast({ document, message }) {
    handles.get(document).broadcast(message)
  },

  hear: ({ document, message }) => {
    const handle = handles.get(document)
    const there = () => heard.get(document).some(said => JSON.stringify(said) === JSON.stringify(message))
    return when(there, again => handle.on("ephemeral-message", again))
  },

  /** Writes everything to the storage. */
  flush: () => repo.flush(),
}

/** Resolves with what `there` finds; `watch` is told what to call when it may. */
function when(there, watch) {
  return new Promise(resolve => {
    const look = () => {
      const found = there()
      if (found) resolve(found)
    }
    watch(look)
    look()
  })
}

/** A document's heads in the order in which the server shows them. */
const sorted = handle => decodeHeads(handle.heads()).toSorted()

const at = (value, path) => path.reduce((inner, key) => inner?.[key], value)

function apply(survey, { put, value, remove }) {
  const path = put ?? remove
  const map = at(survey, path.slice(0, -1))
  const key = path.at(-1)
  if (put) map[key] = typed(value)
  else delete map[key]
}

/** JSON cannot say all that a document can hold: `{"$date": 5}` and the like. */
function typed(value) {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) return value.map(typed)
  if ("$string" in value) return new ImmutableString(value.$string)
  if ("$date" in value) return new Date(value.$date)
  if ("$bytes" in value) return new Uint8Array(value.$bytes)
  if ("$counter" in value) return new Counter(value.$counter)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, typed(inner)]))
}

/** A document as JSON has it. What is unsigned in Automerge is a BigInt here. */
function plain(value) {
  if (value instanceof ImmutableString || typeof value === "bigint") return value.toString()
  if (value === null || typeof value !== "object" || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...details } = JSON.parse(line)
  let outcome
  try {
    outcome = { id, ok: (await commands[command](details)) ?? null }
  } catch (error) {
    outcome = { id, error: error.message }
    console.error(error)
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
process.exit(0)
