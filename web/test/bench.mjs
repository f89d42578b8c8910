// The phone app's figures for `cargo xtask bench app`, each beside its target:
// what a phone downloads before it can capture, how long it takes to begin,
// from a keystroke to the strip, and how long forty schools take to arrive.
// The page's thread is slowed down four times; DevTools cannot slow the
// worker, in which the engine runs. The network is loopback.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { World } from './phone/world.mjs'

const { DUXUE_URL: url, DUXUE_CLI: duxue, CHROMIUM: browser, BENCH_RUNS } = process.env
if (!url || !duxue || !browser) {
  console.error('set DUXUE_URL, DUXUE_CLI and CHROMIUM, as `cargo xtask bench app` does')
  process.exit(1)
}

const RUNS = Number(BENCH_RUNS ?? 7)
const SLOWER = 4
const SCHOOLS = 40
const ROOMS = 200
/** Rooms of each of the other schools. */
const FEW = 10
const TARGETS = { compressed_kb: '< 450', warm_offline_start_ms: '< 1000', warm_engine_ready_ms: '< 1000', keystroke_to_strip_ms: '< 50' }

const figures = {}
const note = (name, value) => (figures[name] ??= []).push(value)

/** The demonstration's schools: as many as are wanted, from the register. */
async function schools(world) {
  const listed = await world.api('GET', '/rounds/demo-2026/schools', undefined, 'bureau')
  return listed.map((one) => one.school.id).slice(0, SCHOOLS)
}

/** Rooms of a colleague in each school, the most in the first. */
async function fill(world, ids) {
  const colleague = world.line('colleague')
  await colleague('enrol', '--server', url, '--code', await world.code('guo-hui', ids))
  await colleague('packet')
  const sheet = join(world.results, 'rooms.jsonl')
  for (const [at, id] of ids.entries()) {
    const rooms = Array.from({ length: at === 0 ? ROOMS : FEW }, (_, room) => ({
      type: 'room', building: `${1 + (room % 4)}`, number: `${100 + room}`, purpose: 'classroom', length_m: '9', width_m: `${6 + (room % 3)}.5`, multimedia: room % 5 !== 0,
    }))
    writeFileSync(sheet, rooms.map((room) => JSON.stringify(room)).join('\n'))
    await colleague('capture', id, '--batch', sheet)
  }
  await colleague('sync')
}

async function slow(phone) {
  const devtools = await phone.devtools()
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
}

/** A new phone: nothing stored, nothing cached; until the form can be typed into. */
async function coldStart(world, run) {
  const phone = world.phone(`cold-${run}`)
  const page = await phone.open()
  await slow(phone)
  const began = performance.now()
  await phone.at('')
  await page.locator('input[name="device"]').waitFor()
  note('cold_start_ms', performance.now() - began)
  await phone.close()
}

/** From the tap that enrols until every school is on the phone with all that a colleague saw. */
async function arrive(world, ids, run) {
  const phone = world.phone(`arrive-${run}`)
  const page = await phone.open()
  const code = await world.code(`inspector-${run}`, ids)
  await phone.at(`enrol/${code}`)
  await page.locator('input[name="device"]').fill('bench')
  await slow(phone)
  const began = performance.now()
  await page.getByRole('button', { name: /^(登记|Enrol)$/ }).click()
  await page.waitForFunction(
    ([schools, rooms]) => {
      const entries = [...document.querySelectorAll('.van-cell__label')].map((label) => Number(/(\d+) 项/.exec(label.textContent)?.[1] ?? 0))
      return entries.filter((count) => count >= rooms).length >= schools
    },
    [ids.length, FEW],
    { timeout: 120_000, polling: 50 },
  )
  note('sync_40_schools_ms', performance.now() - began)
  return phone
}

/** The app put away and opened again without network, with forty schools on the
 * phone: until they are to be seen, and until the engine answers for them. */
async function warmStart(phone) {
  await phone.page.close()
  phone.page = await phone.context.newPage()
  await slow(phone)
  const began = performance.now()
  await phone.at('')
  await phone.page.locator('.van-cell', { hasText: '/6 部分' }).first().waitFor()
  note('warm_offline_start_ms', performance.now() - began)
  await phone.page.locator('main[aria-busy="false"]').waitFor()
  note('warm_engine_ready_ms', performance.now() - began)
}

/** One keystroke in the largest school. */
async function stroke(page, figure) {
  const took = await page.evaluate(async (figure) => {
    const input = document.querySelector('[id="teachers:primary"]')
    const strip = document.querySelector('.strip')
    const answered = new Promise((resolve) => {
      new MutationObserver((_, observer) => (observer.disconnect(), resolve())).observe(strip, { attributes: true, attributeFilter: ['data-answered'] })
    })
    const began = performance.now()
    input.value = figure
    input.dispatchEvent(new Event('input', { bubbles: true }))
    await answered
    return performance.now() - began
  }, figure)
  note('keystroke_to_strip_ms', took)
}

function bytes() {
  const web = join(dirname(fileURLToPath(import.meta.url)), '..')
  const text = execFileSync('node', ['scripts/pack.mjs', 'dist/phone'], { cwd: web, encoding: 'utf8' })
  note('compressed_kb', Number(/^compressed bytes: (\d+)$/m.exec(text)?.[1]) / 1000)
}

function print() {
  console.log(`app: ${RUNS} runs on ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}, the page's thread ${SLOWER} times slower`)
  console.log(`${'figure'.padEnd(24)}${['min', 'median', 'max'].map((word) => word.padStart(10)).join('')}  target`)
  for (const [name, values] of Object.entries(figures)) {
    const sorted = [...values].sort((a, b) => a - b)
    const shown = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((value) => value.toFixed(0).padStart(10))
    console.log(`${name.padEnd(24)}${shown.join('')}  ${TARGETS[name] ?? ''}`)
  }
}

const results = mkdtempSync(join(tmpdir(), 'duxue-bench-'))
mkdirSync(join(results, 'homes'))
const world = new World({ url, browser, photos: {}, duxue, results })
try {
  bytes()
  const ids = await schools(world)
  if (ids.length < SCHOOLS) throw new Error(`only ${ids.length} schools`)
  world.doing(`a colleague’s rooms in ${SCHOOLS} schools`)
  await fill(world, ids)
  world.doing('cold starts')
  for (let run = 0; run < RUNS; run += 1) await coldStart(world, run)
  world.doing('forty schools arrive')
  let phone
  for (let run = 0; run < Math.min(RUNS, 3); run += 1) {
    await phone?.close()
    phone = await arrive(world, ids, run)
  }
  await phone.page.getByText(/已可离线使用|Ready to work offline/).waitFor()
  await phone.context.setOffline(true)
  // A window that has to be opened first loads the browser's own start page.
  await phone.context.newPage()
  world.doing('warm offline starts')
  for (let run = 0; run < RUNS; run += 1) await warmStart(phone)
  world.doing('keystrokes')
  await phone.school(ids[0], 'quantities')
  await phone.page.locator('.chip').first().waitFor()
  for (let run = 0; run < 3 * RUNS; run += 1) await stroke(phone.page, String(30 + run))
  print()
} finally {
  await world.end()
  rmSync(results, { recursive: true, force: true })
}
