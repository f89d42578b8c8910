// Every main screen in both languages: no key without a text, nothing that
// spills over the side, and nothing serious for the accessibility check.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { ROUND } from './world.mjs'

export const name = 'both languages and accessibility'
const SCHOOL = '9901010020'
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SCREENS = ['', 'sync', `school/${ROUND}/${SCHOOL}`, 'rooms/new', 'rooms', 'classes/new', 'grounds/new', 'equipment/new', 'quantities', 'checklist', 'evidence', 'enrol/']

async function check(page, where) {
  const text = await page.locator('body').innerText()
  assert.doesNotMatch(text, /\b(today|school|item|field|choice|sync|storage|rescue|settings|place|enrol|strip|part|mark|section|evidence|problem)\.[a-z_]+/, `${where}: a key without a text`)
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${where}: wider than the screen`)
  await page.evaluate(AXE)
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  const said = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')}`)
  return said.map((one) => `${where}: ${one}`)
}

export async function run(world) {
  const phone = world.phone('words')
  const page = await phone.open()
  await phone.enrol(await world.code('hu-bin', [SCHOOL]))
  const found = []
  for (const [language, button] of [['zh', 'EN'], ['en', '中文']]) {
    for (const screen of SCREENS) {
      const place = screen.includes('/new') || ['rooms', 'quantities', 'checklist', 'evidence'].includes(screen) ? `school/${ROUND}/${SCHOOL}/${screen}` : screen
      world.doing(`${language}: ${screen || 'today'}`)
      await phone.at(place)
      await page.locator('main').locator('.page').first().waitFor()
      if (place.startsWith('school')) await page.locator('.chip').first().waitFor({ timeout: 5000 }).catch(() => undefined)
      found.push(...(await check(page, `${language} ${screen || 'today'}`)))
      await phone.picture(`${language}-${(screen || 'today').replace(/[/]|school.*/g, '-')}`)
    }
    await page.getByRole('button', { name: button, exact: true }).click()
    await page.locator(`html[lang="${language === 'zh' ? 'en' : 'zh-CN'}"]`).waitFor()
  }
  assert.deepEqual(found, [], 'accessibility')

  world.doing('by keyboard: one stop for a choice, arrows choose; a new page is where reading goes on')
  await phone.school(SCHOOL, 'rooms/new')
  await page.locator('[data-value="classroom"]').focus()
  await page.keyboard.press('ArrowRight')
  await page.locator('[data-value="music"][aria-checked="true"]').waitFor()
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-value')), 'music')
  assert.equal(await page.locator('.choice').first().locator('[tabindex="0"]').count(), 1)
  await page.evaluate(() => (location.hash = '#/sync'))
  await page.waitForFunction(() => document.activeElement?.tagName === 'MAIN' && document.title.startsWith('同步'))
}
