// Two phones state different figures offline; both phones show the conflict.

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
}
