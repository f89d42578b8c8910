// The link breaks again and again while a big photo goes up: what has arrived
// is not sent again.

import assert from 'node:assert/strict'
import { bigPhoto } from './photo.mjs'
import { cutting } from './proxy.mjs'

export const name = 'a link that breaks'
const SCHOOL = '9901010013'
const CUT_AFTER = 200_000
const CUTS = 4

export async function run(world) {
  const link = await cutting(world.url, CUT_AFTER)
  try {
    const phone = world.phone('link', { origin: link.origin })
    const page = await phone.open()
    await phone.enrol(await world.code('zhao-lei', [SCHOOL]))

    world.doing('a room with a big photo, offline')
    await phone.context.setOffline(true)
    const photo = await bigPhoto(page, 1800, 1400)
    await phone.school(SCHOOL, 'rooms/new')
    await page.locator('[data-value="art"]').click()
    await phone.fill('identity/number', '201')
    await phone.fill('size/length_m', '9')
    await phone.fill('size/width_m', '7')
    await page.locator('[data-test="gallery"]').setInputFiles(photo)
    await page.locator('.photos img').waitFor()
    await page.getByRole('button', { name: '保存' }).click()
    await page.locator('.van-cell', { hasText: '201 · 美术' }).waitFor()

    world.doing(`sync while the link is cut ${CUTS} times`)
    link.times = CUTS
    link.up = 0
    await phone.context.setOffline(false)
    await phone.at('sync')
    await page.locator('[data-test="outbox"]', { hasText: '全部内容已由服务器签收' }).waitFor({ timeout: 90_000 })
    assert.equal(link.cuts, CUTS)
    const again = link.up - photo.buffer.length
    console.log(`    photo ${photo.buffer.length} B, sent up ${link.up} B through ${link.cuts} cuts`)
    // Each cut may cost what was under way, never the whole photo again.
    assert.ok(again < (CUTS + 1) * CUT_AFTER, `${again} bytes were sent again`)
    await phone.picture('link-receipt')
  } finally {
    link.end()
  }
}
