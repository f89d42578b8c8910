// What a phone downloads before it can capture: each file raw and as brotli
// sends it (level 4, which the server uses), largest first.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'

const folder = process.argv[2]
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => statSync(join(folder, name)).isFile() && !/^(sw|workbox)|icon-512/.test(name))
  .map((name) => {
    const bytes = readFileSync(join(folder, name))
    const sent = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }).length
    return { name, raw: bytes.length, sent: /\.png$/.test(name) ? bytes.length : sent }
  })
  .sort((a, b) => b.sent - a.sent)
for (const { name, raw, sent } of files) {
  console.log(`${String(raw).padStart(9)} ${String(sent).padStart(8)}  ${name}`)
}
console.log(`compressed bytes: ${files.reduce((sum, file) => sum + file.sent, 0)}`)
