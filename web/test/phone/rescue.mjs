// A phone that cannot sync any more: its rescue file is read into another
// browser, which enrols by a QR code as the same person and delivers the work.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import encodeQR from 'qr'

export const name = 'a rescue file and a QR code'
const SCHOOL = '9901010019'
const PERSON = 'ma-chao'

export async function run(world) {
  const first = world.phone('rescue')
  let page = await first.open()
  await first.enrol(await world.code(PERSON, [SCHOOL]))
  await first.context.setOffline(true)

  world.doing('a room with a photo that never leaves the phone')
  await first.school(SCHOOL, 'rooms/new')
  await page.locator('[data-value="counselling"]').click()
  await first.fill('identity/number', '601')
  await first.fill('size/length_m', '5')
  await first.fill('size/width_m', '4')
  await page.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await page.locator('.photos img').waitFor()
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: '601 · 心理辅导' }).waitFor()

  world.doing('the rescue file, which holds no key')
  await first.at('sync')
  const download = page.waitForEvent('download')
  await page.locator('[data-test="rescue"]').click()
  const file = await (await download).path()
  const bytes = await readFile(file)
  assert.match(bytes.subarray(0, 16).toString(), /^DUXUE-RESCUE 1 /)
  assert.ok(!bytes.includes('device_secret'), 'no key in the file')

  world.doing('an app that does not start offers the file too, and another try')
  const broken = await first.context.newPage()
  await broken.addInitScript(() => {
    window.Worker = class {
      constructor() {
        setTimeout(() => this.onerror?.({ message: 'does not start' }), 0)
      }
      postMessage() {}
      terminate() {}
    }
  })
  await broken.goto(`${world.url}/phone/`)
  const salvaged = broken.waitForEvent('download')
  await broken.locator('[data-test="salvage"]').click()
  await broken.getByText('本机全部记录、0 份草稿、1 张照片').waitFor()
  const whole = await readFile(await (await salvaged).path())
  assert.match(whole.subarray(0, 16).toString(), /^DUXUE-RESCUE 1 /)
  assert.ok(!whole.includes('device_secret'), 'no key in the file')
  await broken.evaluate(() => (window.still = true))
  await broken.locator('[data-test="retry"]').click()
  await broken.waitForFunction(() => window.still === undefined)
  await broken.close()

  world.doing('a damaged file is refused whole')
  const second = world.phone('rescued')
  page = await second.open()
  await second.at('')
  const damaged = Buffer.from(bytes)
  damaged[damaged.length - 1] ^= 1
  const give = (buffer) => page.locator('[data-test="read-back"]').setInputFiles({ name: 'a.duxue', mimeType: 'application/octet-stream', buffer })
  await give(damaged)
  await page.getByRole('alert').filter({ hasText: '文件不完整' }).waitFor()

  world.doing('read it back, enrol by a QR code')
  await give(bytes)
  await page.locator('[data-test="rescued"]', { hasText: '1 张照片' }).waitFor()
  const link = `${world.url}/phone/#/enrol/${await world.code(PERSON, [SCHOOL])}`
  await page.getByRole('button', { name: '扫描登记二维码' }).click()
  await page.locator('[data-test="qr"]').waitFor({ state: 'attached' })
  await second.picture('scan')
  await page.locator('[data-test="qr"]').setInputFiles({ name: 'qr.gif', mimeType: 'image/gif', buffer: Buffer.from(encodeQR(link, 'gif', { scale: 6 })) })
  await page.waitForFunction(() => document.querySelector('input[name="code"]')?.value.length > 8)
  await page.locator('[data-test="sure"]', { hasText: '2 项未送达' }).locator('input').check()
  await page.getByRole('button', { name: '登记', exact: true }).click()
  await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()

  world.doing('the work of the first phone reaches the server')
  await second.synced()
  await page.locator('[data-test="receipt"]', { hasText: '1 张照片' }).first().waitFor()
  assert.match(await world.seen(SCHOOL), /"601"/)
}
