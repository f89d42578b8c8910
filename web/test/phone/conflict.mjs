// Two phones state different figures offline; both phones show the conflict.

import assert from 'node:assert/strict'
import { ROUND } from './world.mjs'

export const name = 'a second device in conflict'
const SCHOOL = '9901010016'
const INPUT = 'multimedia_rooms:whole'

export async function run(world) {
  const phones = []
  for (const [person, figure] of [['he-jun', '12'], ['lin-na', '15']]) {
    world.doing(`${person} states ${figure}, offline`)
    const phone = world.phone(person)
    const page = await phone.open()
    await phone.enrol(await world.code(person, [SCHOOL]))
    await phone.context.setOffline(true)
    await phone.school(SCHOOL, 'quantities')
    await phone.fill(INPUT, figure)
    await page.locator(`input[id="${INPUT}"]`).blur()
    await page.locator(`input[id="${INPUT}"]:not(.drafted)`).waitFor()
    phones.push(phone)
  }

  world.doing('both come online')
  for (const phone of phones) {
    await phone.context.setOffline(false)
    await phone.synced()
  }
  for (const phone of phones) {
    await phone.at('')
    await phone.page.locator('.van-tag', { hasText: '冲突 1' }).first().waitFor()
    await phone.page.goto(`${world.url}/phone/#/school/${ROUND}/${SCHOOL}`)
    await phone.page.getByText('有 1 处填写不一致，由教体局裁定').waitFor()
  }
  await phones[1].picture('school-conflict')

  world.doing('it leads to the row, which shows both')
  const [, { page }] = phones
  await page.locator('[data-test="conflict"]').click()
  const row = page.locator(`[id="row-${INPUT}"]`)
  await row.locator('[data-test="differ"]').filter({ hasText: '12' }).filter({ hasText: '15' }).waitFor()
  await page.waitForFunction((id) => document.activeElement?.id === id, `row-${INPUT}`)
  assert.equal(await page.locator(`input[id="${INPUT}"]`).inputValue(), '', 'nothing stands')
  await phones[1].picture('row-conflict')

  world.doing('a photo with it decides nothing')
  await row.locator('[data-test="more"]').click()
  await row.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await row.locator('img').waitFor()
  await phones[1].synced()
  await phones[1].page.goto(`${world.url}/phone/#/school/${ROUND}/${SCHOOL}`)
  await page.locator('[data-test="conflict"]').waitFor()
}
