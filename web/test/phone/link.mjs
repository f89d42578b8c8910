// The link breaks again and again while a big photo goes up: what has arrived
// is not sent again.

import assert from 'node:assert/strict'
import { bigPhoto } from './photo.mjs'
import { cutting } from './proxy.mjs'

export const name = 'a link that breaks'
const SCHOOL = '9901010013'
const CUT_AFTER = 200_000

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

    world.doing('sync while every connection is cut after a part of the photo')
    link.times = Number.POSITIVE_INFINITY
    link.up = 0
    await phone.at('sync')
    await page.locator('[data-test="outbox"]', { hasText: '待送 2 项' }).waitFor()
    await phone.context.setOffline(false)
    await page.getByRole('button', { name: '立即同步' }).click()
    await page.locator('[data-test="outbox"]', { hasText: '全部内容已由服务器签收' }).waitFor({ timeout: 90_000 })
    // No connection carried all of it: what had arrived was not sent again.
    assert.ok(photo.buffer.length > 2 * CUT_AFTER && link.cuts >= 2, `${photo.buffer.length} B, ${link.cuts} cuts`)
    console.log(`    photo ${photo.buffer.length} B, sent up ${link.up} B through ${link.cuts} cuts`)
    await phone.picture('link-receipt')
  } finally {
    link.end()
  }
}
