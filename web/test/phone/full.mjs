// The disk is full: it is said in words, nothing that was typed goes, and
// saving works again when there is room.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'

export const name = 'a full disk'
const SCHOOL = '9901010018'
const FULL = /空间已满|磁盘已满|存储已满/

/**
 * Has every write to the store end as it does on a full disk. DevTools' quota
 * does not reach IndexedDB, so the browser's answer is put in its place.
 */
async function disk(page, full) {
  for (const worker of page.workers()) {
    await worker.evaluate((full) => {
      self.put ??= IDBObjectStore.prototype.put
      const { put } = self
      IDBObjectStore.prototype.put = full
        ? function (...row) {
            const request = put.apply(this, row)
            const { transaction } = this
            if (!Object.hasOwn(transaction, 'error')) {
              Object.defineProperty(transaction, 'error', { value: new DOMException('no room', 'QuotaExceededError') })
              queueMicrotask(() => transaction.abort())
            }
            return request
          }
        : put
    }, full)
  }
}

export async function run(world) {
  const phone = world.phone('full')
  const page = await phone.open()
  await phone.enrol(await world.code('gao-yang', [SCHOOL]))

  world.doing('no room for what is typed, nor for a photo')
  await phone.school(SCHOOL, 'rooms/new')
  await disk(page, true)
  await page.locator('[data-value="art"]').click()
  await phone.fill('identity/number', '501')
  await page.getByRole('alert').filter({ hasText: FULL }).first().waitFor()
  await page.locator('[data-test="camera"]').setInputFiles(world.photos.other)
  await page.locator('.photos').getByRole('alert').filter({ hasText: FULL }).waitFor()
  await page.locator('.photos').scrollIntoViewIfNeeded()
  await phone.picture('full')

  world.doing('saving says that it is not saved')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('form > fieldset > [role="alert"]').filter({ hasText: FULL }).waitFor()
  await page.getByRole('button', { name: '等待存储空间' }).waitFor()

  world.doing('left and opened again it is still waiting, and cannot be stated twice')
  await page.goBack()
  await phone.school(SCHOOL, 'rooms/new')
  await page.getByRole('button', { name: '等待存储空间' }).waitFor()
  assert.equal(await phone.text('identity/number'), '501')
  assert.ok(await page.locator('[id="identity/number"]').isDisabled())

  world.doing('a draft and the rescue file, with what the disk did not take')
  await phone.school(SCHOOL, 'grounds/new')
  await phone.fill('identity/name', '东操场')
  await page.getByRole('alert').filter({ hasText: FULL }).first().waitFor()
  await phone.at('sync')
  const download = page.waitForEvent('download')
  await page.locator('[data-test="rescue"]').click()
  await page.getByText('1 处未签收的修改、1 份草稿、0 张照片').waitFor()
  const bytes = await readFile(await (await download).path())
  assert.ok(bytes.includes('东操场'), 'the draft')
  assert.ok(/doc\/[^"]*\/chunk/.test(bytes.toString('latin1')), 'the room')

  world.doing('with room again it is saved by itself, once')
  await phone.school(SCHOOL, 'rooms/new')
  await disk(page, false)
  await page.locator('.van-cell', { hasText: '501 · 美术' }).waitFor()
  assert.equal(await page.locator('.van-cell', { hasText: '501 · 美术' }).count(), 1)
  await page.getByRole('button', { name: '添加用房' }).click()
  await page.locator('[id="identity/number"]').waitFor()
  assert.equal(await phone.text('identity/number'), '')
  assert.ok(await page.locator('[id="identity/number"]').isEnabled())

  world.doing('little room is said on the first screen')
  await page.evaluate(() => {
    navigator.storage.estimate = () => Promise.resolve({ usage: 990e6, quota: 1000e6 })
  })
  await page.evaluate(() => (location.hash = '#/sync'))
  await page.locator('[data-test="rescue"]').waitFor()
  await page.evaluate(() => (location.hash = '#/'))
  await page.locator('[data-test="low"]').waitFor()
  await phone.picture('low')
  await phone.synced()
}
