// Two windows of one person at the desk: one decides, the other only shows and
// says so, until it is told to take over; what was decided is kept.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROUND, device, environment, scenario, session } from './board-kit.mjs'

const SCHOOL = '9901010012'
const CLASSES = ['1', '2', '3'].map((number) => ({ type: 'class', stage: 'primary', grade: '1', number, pupils: `3${number}` }))

await scenario('windows', async (desk) => {
  const { program } = environment()
  const bureau = await session(desk.url, 'bureau')

  desk.doing('an inspector captures')
  const enrolment = await bureau.post('/enrolments', { person_name: '王敏', person: null, round: ROUND, schools: [SCHOOL] })
  const inspector = device(program)
  const folder = mkdtempSync(join(tmpdir(), 'duxue-windows-'))
  const sheet = join(folder, 'classes.jsonl')
  writeFileSync(sheet, CLASSES.map((one) => JSON.stringify(one)).join('\n'))
  await inspector.run('enrol', '--server', desk.url, '--code', enrolment.code)
  await inspector.run('packet')
  await inspector.run('capture', SCHOOL, '--batch', sheet)
  await inspector.run('sync')
  rmSync(folder, { recursive: true })

  const review = `/rounds/${ROUND}/review/${SCHOOL}`
  const elsewhere = (page) => page.locator('[data-test="elsewhere"]')
  const take = (page) => page.getByRole('button', { name: '改在这个窗口处理' }).click()
  /** The first class that is not decided yet, accepted by keyboard. */
  const accept = async (page, count) => {
    await page.getByPlaceholder('在表中查找').fill('学生数')
    await page.locator('tbody').getByRole('checkbox').nth(count - 1).check()
    await page.waitForFunction(() => !document.querySelector('.decide button')?.disabled)
    await page.keyboard.press('a')
    await page.locator('tbody .badge.accepted', { hasText: '已采信' }).nth(count - 1).waitFor()
  }

  desk.doing('the first window decides')
  const first = await desk.open()
  await desk.login(first, 'supervisor')
  await desk.go(first, review)
  await accept(first, 1)

  desk.doing('the second says that another decides')
  const second = await first.context().newPage()
  await desk.go(second, review)
  await elsewhere(second).waitFor()
  await second.locator('tbody .badge.accepted', { hasText: '已采信' }).first().waitFor()
  await desk.picture(second, 'elsewhere')
  await desk.accessible(second, 'a window that does not decide')

  desk.doing('it takes over, and the first says so')
  await take(second)
  await elsewhere(second).waitFor({ state: 'detached' })
  await elsewhere(first).waitFor()
  await accept(second, 2)

  desk.doing('and back again, with nothing lost')
  await take(first)
  await elsewhere(second).waitFor()
  await accept(first, 3)
  const { consolidated } = await bureau.get(`/rounds/${ROUND}/schools/${SCHOOL}`)
  const accepted = Object.values(consolidated.items).filter(({ fields }) => fields.pupils?.review.state === 'accepted')
  assert.equal(accepted.length, 3)

  desk.doing('a window that closes leaves the store to the other')
  await first.close()
  await elsewhere(second).waitFor({ state: 'detached' })
})
