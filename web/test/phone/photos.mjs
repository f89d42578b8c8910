// Photos and places: a big picture is made smaller, upright, with what the
// camera wrote; the same one twice is noticed; the place is in the claim.

import assert from 'node:assert/strict'
import { bigPhoto, withExif } from './photo.mjs'

export const name = 'photos and places'
const SCHOOL = '9901010014'
const PLACE = { latitude: 30.123456, longitude: 120.5, accuracy: 12 }

/** Turned by 90° to the right to be upright, as phones write it. */
const TURNED = 6

export async function run(world) {
  const phone = world.phone('photos', { geolocation: PLACE, permissions: ['geolocation'] })
  const page = await phone.open()
  await phone.enrol(await world.code('sun-li', [SCHOOL]))

  world.doing('a big picture that the camera wrote lying down')
  const lying = withExif(await bigPhoto(page, 3200, 1600), TURNED)
  await phone.school(SCHOOL, 'rooms/new')
  await page.getByText('位置精度 ±12 m').waitFor()
  await page.locator('[data-value="library"]').click()
  await phone.fill('identity/number', '301')
  await phone.fill('size/length_m', '12')
  await phone.fill('size/width_m', '8')
  await page.locator('[data-test="camera"]').setInputFiles(lying)
  const image = page.locator('.photos img')
  await image.waitFor()
  const found = await image.evaluate(async (element) => {
    await element.decode()
    return { width: element.naturalWidth, height: element.naturalHeight }
  })
  assert.deepEqual([found.width, found.height], [1280, 2560], 'upright, and its long side is limited')

  world.doing('the same picture again, and one that looks the same')
  await page.locator('[data-test="gallery"]').setInputFiles(lying)
  await page.locator('[data-test="twice"]', { hasText: '这张照片以前用过' }).waitFor()
  assert.equal(await image.count(), 1, 'the same photo is there once')
  const twice = page.locator('[data-test="twice"]')
  await page.locator('[data-test="gallery"]').setInputFiles(await bigPhoto(page, 2400, 1600))
  await image.nth(1).waitFor()
  assert.equal(await twice.count(), 0, 'another picture is no repetition')
  await page.locator('[data-test="gallery"]').setInputFiles(await bigPhoto(page, 1200, 800, 0.5))
  await twice.filter({ hasText: '与以前的一张照片几乎一样' }).waitFor()
  assert.equal(await image.count(), 3, 'it is said and kept all the same')
  await page.locator('.photos').scrollIntoViewIfNeeded()
  await phone.picture('photos')

  world.doing('save and sync; the server has the place and what the camera wrote')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: '301 · 图书馆' }).waitFor()
  await phone.synced()
  const text = await world.seen(SCHOOL)
  assert.match(text, /"latitude":"30\.123456"/)
  assert.match(text, /"accuracy_m":"12"/)
}
