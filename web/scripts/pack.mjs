// Compresses what was built, once and well, beside each file: the server sends
// `name.br` where the browser takes it. Prints what a phone downloads before
// it can capture, raw and as it is sent, largest first; what is loaded only
// when it is used is listed apart.

import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'

const folder = process.argv[2]
const TEXT = /\.(js|css|html|wasm|svg|json|webmanifest)$/
/** Loaded by the service worker afterwards, or only when it is asked for. */
const LATER = /^(sw|workbox)|icon-512|Scan-|decode-|salvage-/

const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
for (const name of names.filter((name) => name.endsWith('.br'))) rmSync(join(folder, name))

function pack(name) {
  const bytes = readFileSync(join(folder, name))
  if (!TEXT.test(name)) return { name, raw: bytes.length, sent: bytes.length }
  const small = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  })
  if (small.length >= bytes.length) return { name, raw: bytes.length, sent: bytes.length }
  writeFileSync(join(folder, `${name}.br`), small)
  return { name, raw: bytes.length, sent: small.length }
}

const files = names
  .filter((name) => !name.endsWith('.br') && statSync(join(folder, name)).isFile())
  .map(pack)
  .sort((a, b) => b.sent - a.sent)
const show = (some) => {
  for (const { name, raw, sent } of some) console.log(`${String(raw).padStart(9)} ${String(sent).padStart(8)}  ${name}`)
}
const first = files.filter(({ name }) => !LATER.test(name.split('/').at(-1)))
show(first)
console.log(`compressed bytes: ${first.reduce((sum, file) => sum + file.sent, 0)}`)
console.log('later:')
show(files.filter((file) => !first.includes(file)))
