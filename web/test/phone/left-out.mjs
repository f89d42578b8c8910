// What was captured after the right had ended is held; a supervisor leaves it
// out, and the phone lists it: what was stated, where and when.

import { ROUND } from './world.mjs'

export const name = 'what a supervisor leaves out'
const SCHOOL = '9901010018'
const PERSON = 'jiang-tao'

export async function run(world) {
  const phone = world.phone('left-out')
  let page = await phone.open()
  await phone.enrol(await world.code(PERSON, [SCHOOL]))

  world.doing('captured offline, while the assignment is ended')
  await phone.context.setOffline(true)
  await phone.school(SCHOOL, 'rooms/new')
  await page.locator('[data-value="art"]').click()
  await phone.fill('identity/building', '北楼')
  await phone.fill('identity/number', '301')
  await phone.fill('size/length_m', '9')
  await phone.fill('size/width_m', '8')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: '301 · 美术' }).waitFor()
  await world.api('POST', `/rounds/${ROUND}/assignments`, { person: PERSON, role: 'inspector', schools: [], ended: true }, 'bureau')

  world.doing('delivered: it waits for a supervisor')
  await phone.context.setOffline(false)
  await phone.at('sync')
  await page.getByRole('button', { name: '立即同步' }).click()
  await page.getByText('服务器已保存，待督导负责人确认').first().waitFor()

  world.doing('the supervisor leaves it out')
  const held = await world.api('GET', `/rounds/${ROUND}/held`, undefined, 'supervisor')
  const first = held.find(({ school }) => school === SCHOOL) ?? held[0]
  await world.api('POST', `/rounds/${ROUND}/held/${first.number}`, { admit: false }, 'supervisor')

  world.doing('the phone says what it was')
  // The next connection asks what became of it.
  page = await phone.reopen('sync')
  const list = page.locator('.van-cell-group', { has: page.locator('.van-cell', { hasText: '北楼 · 301 · 美术' }) })
  await list.locator('.van-cell', { hasText: '长 (m) 9' }).waitFor({ timeout: 120_000 })
  await list.scrollIntoViewIfNeeded()
  await phone.picture('sync-left-out')

  world.doing('and still does after a restart, offline')
  await phone.context.setOffline(true)
  page = await phone.reopen('sync')
  await page.locator('.van-cell', { hasText: '北楼 · 301 · 美术' }).first().waitFor()
}
