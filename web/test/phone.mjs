// The phone's scenarios in a real browser, at 360 × 740, one after the other
// on one server. Pictures of the screens stay in test-results. Names after the
// script choose some; the figures are printed at the end.

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { World } from './phone/world.mjs'

const { DUXUE_URL: url, DUXUE_CLI: duxue, DUXUE_PHOTOS: folder, CHROMIUM: browser } = process.env
if (!url || !duxue || !folder || !browser) {
  console.error('set DUXUE_URL, DUXUE_CLI, DUXUE_PHOTOS and CHROMIUM, as `cargo xtask browser` does')
  process.exit(1)
}

const SCENARIOS = ['main', 'photos', 'forms', 'enrol', 'returned', 'conflict', 'link', 'update', 'full', 'rescue', 'metered', 'left-out', 'scan', 'words', 'speed']
const chosen = process.argv.slice(2)
const here = dirname(fileURLToPath(import.meta.url))
const results = join(here, '../test-results')
mkdirSync(results, { recursive: true })
for (const name of readdirSync(results).filter((name) => name !== 'desk')) rmSync(join(results, name), { recursive: true, force: true })

const photos = {
  small: join(folder, 'powershot-s400.jpg'),
  other: join(folder, 'lumia-820.jpg'),
  big: join(folder, 'iphone-6-plus.jpg'),
}
const figures = {}
let pictures = 0
let failed = 0
for (const file of SCENARIOS.filter((name) => chosen.length === 0 || chosen.includes(name))) {
  const { name, run } = await import(`./phone/${file}.mjs`)
  console.log(`${name}`)
  const began = Date.now()
  const world = new World({ url, browser, photos, duxue, results })
  world.pictures = pictures
  try {
    await run(world)
  } catch (error) {
    failed += 1
    console.error(`failed at: ${world.step}`)
    console.error(error)
    for (const phone of world.phones) await phone.picture(`failed-${file}-${phone.name}`).catch(() => undefined)
  }
  for (const complaint of world.phones.flatMap(({ complaints }) => complaints)) {
    failed += 1
    console.error(`the page complains: ${complaint}`)
  }
  await world.end()
  pictures = world.pictures
  Object.assign(figures, world.figures)
  console.log(`  ${((Date.now() - began) / 1000).toFixed(1)} s`)
}
rmSync(join(results, 'profiles'), { recursive: true, force: true })
console.log(`figures: ${JSON.stringify(figures)}`)
console.log(`${pictures} pictures in web/test-results`)
process.exit(failed ? 1 : 0)
