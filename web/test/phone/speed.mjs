// Figures, with the page's thread slowed down four times: a warm offline start,
// and from a keystroke to the strip in a school with 200 rooms. DevTools cannot
// slow the worker, in which the engine runs. They are printed and never decide
// whether the test passes.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const name = 'speed'
const SCHOOL = '9901010021'
const ROOMS = 200
const SLOWER = 4
const TIMES = 7

const median = (figures) => [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)]

export async function run(world) {
  world.doing(`a colleague’s ${ROOMS} rooms`)
  const colleague = world.line('colleague')
  await colleague('enrol', '--server', world.url, '--code', await world.code('guo-hui', [SCHOOL]))
  await colleague('packet')
  const sheet = join(world.results, 'homes', 'rooms.jsonl')
  mkdirSync(join(world.results, 'homes'), { recursive: true })
  const rooms = Array.from({ length: ROOMS }, (_, at) => ({
    type: 'room', building: `${1 + (at % 4)}`, number: `${100 + at}`, purpose: 'classroom', length_m: '9', width_m: `${6 + (at % 3)}.5`, multimedia: at % 5 !== 0,
  }))
  writeFileSync(sheet, rooms.map((room) => JSON.stringify(room)).join('\n'))
  await colleague('capture', SCHOOL, '--batch', sheet)
  await colleague('sync')

  const phone = world.phone('speed')
  let page = await phone.open()
  await phone.enrol(await world.code('luo-jie', [SCHOOL]))
  await page.getByText(`${2 * ROOMS} `, { exact: false }).first().waitFor({ timeout: 5000 }).catch(() => undefined)
  await phone.school(SCHOOL)
  await page.locator('.van-cell', { hasText: `用房${ROOMS} 条` }).waitFor()
  await phone.context.setOffline(true)

  // A window that has to be opened first loads the browser's own start page.
  await phone.context.newPage()
  world.doing('warm offline starts')
  const starts = []
  for (let at = 0; at < TIMES; at += 1) {
    await page.close()
    page = phone.page = await phone.context.newPage()
    const devtools = await phone.devtools()
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
    const began = performance.now()
    await phone.at('')
    await page.locator('.van-cell', { hasText: '/6 部分' }).first().waitFor()
    starts.push(performance.now() - began)
  }
  world.figures.warm_offline_start_ms = Math.round(median(starts))

  world.doing('from a keystroke to the strip')
  await phone.school(SCHOOL, 'quantities')
  await page.locator('.chip').first().waitFor()
  const devtools = await phone.devtools()
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
  const strokes = []
  for (let at = 0; at < TIMES; at += 1) {
    strokes.push(
      await page.evaluate(async (figure) => {
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
      }, String(30 + at)),
    )
  }
  world.figures.keystroke_to_strip_ms = Math.round(median(strokes))
  console.log(`    starts ${starts.map(Math.round)} ms, strokes ${strokes.map(Math.round)} ms, with the page's thread ${SLOWER} times slower`)
}
