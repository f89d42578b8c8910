// The rescue file: what is only on this device, as one file that another
// browser reads back when this one cannot sync any more.
//
//   DUXUE-RESCUE 1 <SHA-256 of the header> <its length>\n
//   header (JSON) | records, one after the other | photos, one after the other
//
// The header names every part with its length; the records have one hash, and
// a photo's name is its hash. Who this device is (its key and session) stays
// out: the file opens nothing, and whoever reads it back enrols as the same
// person. It is read only into a store that holds nothing.

import type { Store } from './store'
import { hex, sha256 } from './hash'

const MAGIC = 'DUXUE-RESCUE 1'
/** The first line is shorter than this. */
const LINE_MOST = 128
const HEADER_MOST = 16 * 1024 * 1024
const DRAFT = 'draft/'
const PHOTO = 'photo/'
const STATED = 'stated:'
/** Of this device only, or made anew. */
const LEFT_OUT = new Set(['meta', 'identity'])

interface Header {
  made_ms: number
  /** For people; absent in older files. */
  holds?: Holds
  records: [key: string, length: number][]
  records_sha256: string
  photos: [hash: string, media: string, length: number][]
}

export interface Rescued {
  records: number
  photos: number
}

/** What a rescue file holds, as it is told to people. */
export interface Holds {
  /** Changes that no receipt covers; null where the engine could not be asked. */
  changes: number | null
  drafts: number
  photos: number
  /** Of the photos, those that neither a claim of this device nor a draft names. */
  unnamed: number
}

/** What belongs into the file beside what is on the disk. */
export interface Extra {
  /** What the engine holds in memory, in order: bytes to put, or nothing where a key goes. */
  memory: [key: string, bytes: Uint8Array | undefined][]
  /** What was typed and may have met a full disk: text by form. */
  drafts: [form: string, text: string][]
  changes: number | null
  /** Photos that a receipt covers: their bytes stay out, as do those that were taken off. */
  without: ReadonlySet<string>
}

/** Why a file was not read back. */
export class NotRescued extends Error {
  constructor(
    readonly code: 'not_empty' | 'damaged' | 'newer',
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`)
  }
}

/** A record of a draft is its text; one that was stated has a mark in its place. */
function isDraft([key, bytes]: readonly [string, Uint8Array]): boolean {
  if (!key.startsWith(DRAFT) || bytes.byteLength === 0) return false
  return !new TextDecoder().decode(bytes.subarray(0, STATED.length)).startsWith(STATED)
}

/** The records as they would be if the disk had taken everything. */
async function recordsOf(store: Store, { memory, drafts }: Extra): Promise<[string, Uint8Array][]> {
  const [keys, values] = await store.load('')
  const all = new Map(keys.map((key, at) => [key, values[at] ?? new Uint8Array()]))
  for (const [key, bytes] of memory) {
    if (bytes) all.set(key, bytes)
    else all.delete(key)
  }
  for (const [form, text] of drafts) all.set(DRAFT + form, new TextEncoder().encode(text))
  return [...all].filter(([key]) => !LEFT_OUT.has(key))
}

export async function rescueFile(store: Store, extra: Extra): Promise<[file: Blob, holds: Holds]> {
  const kept = await recordsOf(store, extra)
  const records = new Blob(kept.map(([, bytes]) => bytes as Uint8Array<ArrayBuffer>))
  const drafts = kept.filter(isDraft)
  const names = new Set(kept.flatMap(([key]) => (key.startsWith(PHOTO) ? [key.slice(PHOTO.length)] : [])))
  const texts = drafts.map(([, bytes]) => new TextDecoder().decode(bytes))
  const isNamed = (hash: string): boolean => names.has(hash) || texts.some((text) => text.includes(hash))
  const off = new Set((await store.looks()).flatMap(([hash, look]) => (look.discarded_ms !== undefined && !isNamed(hash) ? [hash] : [])))
  const photos: [string, Blob][] = []
  for (const hash of await store.photoHashes()) {
    const bytes = extra.without.has(hash) || off.has(hash) ? undefined : await store.photo(hash)
    if (bytes) photos.push([hash, bytes])
  }
  const holds = { changes: extra.changes, drafts: drafts.length, photos: photos.length, unnamed: photos.filter(([hash]) => !isNamed(hash)).length }
  const header: Header = {
    made_ms: Date.now(),
    holds,
    records: kept.map(([key, bytes]) => [key, bytes.byteLength]),
    records_sha256: hex(await sha256(await records.arrayBuffer())),
    photos: photos.map(([hash, bytes]) => [hash, bytes.type, bytes.size]),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const line = `${MAGIC} ${hex(await sha256(text.buffer))} ${text.byteLength}\n`
  return [new Blob([line, text, records, ...photos.map(([, bytes]) => bytes)], { type: 'application/octet-stream' }), holds]
}

/** Everything is checked before the records are written, and these all at once. */
export async function readBack(store: Store, file: Blob): Promise<Rescued> {
  const [held] = await store.load('')
  if (held.some((key) => key !== 'meta')) throw new NotRescued('not_empty', `${held.length}`)
  const { header, at } = await readHeader(file)
  const lengths = header.records.map(([, length]) => length)
  const end = at + lengths.reduce((sum, length) => sum + length, 0)
  const records = await file.slice(at, end).arrayBuffer()
  if (hex(await sha256(records)) !== header.records_sha256) throw new NotRescued('damaged', 'records')
  const whole = header.photos.reduce((sum, [, , length]) => sum + length, end)
  if (whole !== file.size) throw new NotRescued('damaged', `${file.size} ≠ ${whole}`)
  let from = end
  for (const [hash, media, length] of header.photos) {
    const bytes = await file.slice(from, from + length).arrayBuffer()
    if (hex(await sha256(bytes)) !== hash) throw new NotRescued('damaged', hash)
    await store.putPhoto(hash, new Blob([bytes], { type: media }))
    from += length
  }
  let offset = 0
  const puts = header.records.map(([key, length]): [string, Uint8Array] => {
    offset += length
    return [key, new Uint8Array(records.slice(offset - length, offset))]
  })
  await store.write(puts.filter(([key]) => !LEFT_OUT.has(key)), [])
  return { records: puts.length, photos: header.photos.length }
}

async function readHeader(file: Blob): Promise<{ header: Header; at: number }> {
  const start = await file.slice(0, LINE_MOST).text()
  const line = start.slice(0, start.indexOf('\n') + 1)
  const [, version, hash, length] = /^DUXUE-RESCUE (\d+) ([0-9a-f]{64}) (\d{1,9})\n$/.exec(line) ?? []
  if (version === undefined || Number(length) > HEADER_MOST) throw new NotRescued('damaged', 'no rescue file')
  if (version !== '1') throw new NotRescued('newer', version)
  const at = line.length + Number(length)
  const text = await file.slice(line.length, at).arrayBuffer()
  if (hex(await sha256(text)) !== hash) throw new NotRescued('damaged', 'header')
  // Its hash holds, so it is what `rescueFile` wrote.
  return { header: JSON.parse(new TextDecoder().decode(text)) as Header, at }
}
