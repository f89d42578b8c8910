// Forms hold what was typed: photos that are still being stored, drafts on
// items and copies, a field that is cleared, an undo, another person's drafts.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

export const name = 'forms that keep what they were given'
const SCHOOL = '9901010022'
const HERE = { latitude: 30.111111, longitude: 120.5, accuracy: 9 }
const THERE = { latitude: 31.222222, longitude: 121.5, accuracy: 9 }

/** Lets photos wait before they are stored, or go on. */
async function gate(page, shut) {
  for (const worker of page.workers()) {
    await worker.evaluate((shut) => {
      self.decode ??= self.createImageBitmap.bind(self)
      if (shut) {
        const wait = new Promise((resolve) => (self.goOn = resolve))
        self.createImageBitmap = (...given) => wait.then(() => self.decode(...given))
      } else {
        self.goOn?.()
        self.createImageBitmap = self.decode
      }
    }, shut)
  }
}

export async function run(world) {
  const phone = world.phone('forms', { geolocation: HERE, permissions: ['geolocation'] })
  let page = await phone.open()
  await phone.enrol(await world.code('tang-wei', [SCHOOL]))
  const images = page.locator('.photos img')

  world.doing('two photos in quick succession, and Save waits for both')
  await phone.school(SCHOOL, 'rooms/new')
  await page.getByText('位置精度 ±9 m').waitFor()
  await page.locator('[data-value="music"]').click()
  await phone.fill('identity/building', '北楼')
  await phone.fill('identity/number', '101')
  await gate(page, true)
  await page.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await page.locator('[data-test="gallery"]').setInputFiles(world.photos.other)
  const save = page.locator('.foot button')
  await save.filter({ hasText: '正在保存照片' }).waitFor()
  assert.ok(await save.isDisabled(), 'Save waits')
  await gate(page, false)
  await images.nth(1).waitFor()

  world.doing('a photo that is being stored when the form is left')
  await gate(page, true)
  await page.locator('[data-test="camera"]').setInputFiles(world.photos.big)
  await save.filter({ hasText: '正在保存照片' }).waitFor()
  await page.goBack()
  await images.first().waitFor({ state: 'detached' })
  await gate(page, false)
  await phone.context.setGeolocation(THERE)
  await phone.school(SCHOOL, 'rooms/new')
  await images.nth(2).waitFor()
  assert.equal(await images.count(), 3)
  await save.filter({ hasText: '保存' }).click()
  const room = page.locator('.van-cell', { hasText: /^北楼 · 101 · 音乐/ })
  await room.filter({ hasText: '照片 3' }).waitFor()

  world.doing('the photos are of where they were taken')
  await phone.synced()
  const seen = await world.seen(SCHOOL)
  assert.match(seen, /"latitude":"30\.111111"/)
  assert.match(seen, /"method":"camera"/)
  assert.match(seen, /"method":"gallery"/)

  world.doing('what is typed into an item, and into a copy, is seen in the list')
  await phone.school(SCHOOL, 'rooms')
  await room.click()
  await phone.fill('size/length_m', '9')
  await phone.fill('size/width_m', '8')
  await page.goBack()
  await room.filter({ hasText: '草稿' }).click()
  assert.equal(await phone.text('size/length_m'), '9')
  await page.getByRole('button', { name: '复制一条' }).click()
  await page.getByText('请改房号或名称').waitFor()
  await phone.fill('identity/number', '102')
  await phone.school(SCHOOL, 'rooms')
  await page.locator('[data-test="copy"]', { hasText: '复制自 北楼 · 101 · 音乐' }).waitFor()
  await phone.picture('rooms-drafts')

  world.doing('a field that is cleared is a change; an entry cannot become nothing')
  await room.click()
  await phone.fill('identity/building', '')
  await save.click()
  const bare = page.locator('.van-cell', { hasText: /^101 · 音乐/ })
  await bare.filter({ hasText: '72 m²' }).click()
  await page.locator('[id="size/length_m"]').waitFor()
  await phone.fill('size/length_m', '')
  await phone.fill('size/width_m', '')
  await save.click()
  await page.getByText('已填写的内容不能清空：大小').waitFor()
  await phone.fill('size/length_m', '9')
  await phone.fill('size/width_m', '8')

  world.doing('what is no number is said where it stands, and keeps the form from being saved')
  await phone.fill('size/length_m', '-9')
  const notNumber = page.getByRole('alert').filter({ hasText: '请填数字' })
  await notNumber.waitFor()
  await phone.fill('size/width_m', '80')
  await save.click()
  assert.equal(await page.evaluate(() => document.activeElement.id), 'size/length_m', 'it is where the typing goes on')
  await phone.fill('size/length_m', '9')
  await notNumber.waitFor({ state: 'detached' })
  await page.getByText('宽 (m) 80（一般 2–40）').waitFor()
  await phone.fill('size/width_m', '8')

  world.doing('a name as long as the screen is broken, not cut off')
  await phone.fill('identity/building', '无空格长名'.repeat(9))
  await phone.fill('identity/number', 'X'.repeat(60))
  await save.click()
  const long = page.locator('.van-cell:not([data-test])', { hasText: 'X'.repeat(60) })
  await long.waitFor()
  assert.equal(await long.locator('.van-cell__title').evaluate((title) => title.scrollWidth <= title.clientWidth), true)
  await phone.picture('long-name')
  await long.click()
  await phone.fill('identity/building', '')
  await phone.fill('identity/number', '101')
  await save.click()
  await bare.waitFor()

  world.doing('why something is to be removed is kept while it is typed')
  await bare.click()
  await page.getByRole('button', { name: '移除', exact: true }).click()
  await phone.fill('reason', '与 102 重复')
  await page.goBack()
  await bare.click()
  assert.equal(await phone.text('reason'), '与 102 重复')
  await page.reload()
  assert.equal(await phone.text('reason'), '与 102 重复')
  await phone.picture('reason-kept')
  await phone.fill('reason', '')
  await page.goBack()
  await bare.waitFor()

  world.doing('a figure, an answer: undone; a note and a photo with them')
  await phone.school(SCHOOL, 'quantities')
  const figure = page.locator('input[id="teachers:primary"]')
  const row = page.locator('[id="row-teachers:primary"]')
  await figure.fill('三十')
  await figure.blur()
  await row.getByRole('alert').filter({ hasText: '请填数字' }).waitFor()
  for (const typed of ['30', '31']) {
    await figure.fill(typed)
    await figure.blur()
    await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()
  }
  await row.locator('[data-test="more"]').click()
  await row.locator('[data-test="note"]').fill('点名核对')
  await page.reload()
  assert.equal(await row.locator('[data-test="note"]').inputValue(), '点名核对')
  await row.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await row.locator('img').waitFor()
  await phone.picture('quantity-more')
  await row.locator('[data-test="undo"]').click()
  await page.getByText('已恢复为之前的内容').waitFor()
  await page.waitForFunction(() => document.getElementById('teachers:primary').value === '30')

  world.doing('a photo that nothing names is offered, not lost')
  const bytes = await readFile(world.photos.other)
  const stray = Buffer.concat([bytes, Buffer.from('stray')])
  const hash = createHash('sha256').update(stray).digest('hex')
  await page.evaluate(
    ([hash, data]) =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('duxue')
        opening.onerror = () => reject(opening.error)
        opening.onsuccess = () => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))
          const tx = opening.result.transaction('photos', 'readwrite')
          tx.objectStore('photos').put(new Blob([bytes], { type: 'image/jpeg' }), hash)
          tx.oncomplete = () => (opening.result.close(), resolve())
        }
      }),
    [hash, stray.toString('base64')],
  )
  page = await phone.reopen(`school/demo-2026/${SCHOOL}`)
  await page.locator('[data-test="evidence"]', { hasText: '没有表单的照片' }).click()
  await page.locator('[data-test="lost"]').getByRole('button', { name: '采用' }).click()
  await page.locator('[data-test="lost"]').waitFor({ state: 'detached' })
  await page.locator('[data-test="evidence"]', { hasText: '学校的照片' }).waitFor()
  await page.locator('[data-test="evidence"]', { hasText: '点名核对' }).waitFor()
  await phone.picture('evidence')
  await phone.synced()

  world.doing('another person does not see these drafts')
  await phone.at(`enrol/${await world.code('pan-yue', [SCHOOL])}`)
  await page.locator('[data-test="sure"]', { hasText: '份草稿' }).locator('input').check()
  await phone.picture('enrol-sure')
  await page.getByRole('button', { name: '登记', exact: true }).click()
  await page.locator('.van-cell', { hasText: '/6 部分' }).first().waitFor()
  await phone.school(SCHOOL, 'rooms')
  await page.locator('.van-cell', { hasText: /^101 · 音乐/ }).waitFor()
  assert.equal(await page.locator('[data-test="copy"]').count(), 0)
}
