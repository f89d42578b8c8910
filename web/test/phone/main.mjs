// The main job: enrol, go offline, start cold, capture a room with a photo,
// close and open again, come back online, see the receipt.

import assert from 'node:assert/strict'
import { ROUND } from './world.mjs'

export const name = 'the main job'
const SCHOOL = '9901010012'
const ROOM = { hasText: '艺术楼 · 007 · 音乐' }

export async function run(world) {
  const phone = world.phone('main')
  let page = await phone.open()

  world.doing('enrol by the link')
  await phone.at(`enrol/${await world.code('wang-min', [SCHOOL])}`)
  await page.getByRole('button', { name: '登记', exact: true }).waitFor()
  await page.locator('input[name="device"]').fill('测试手机')
  await phone.picture('enrol')
  await page.getByRole('button', { name: '登记', exact: true }).click()
  await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()
  await page.getByText('已可离线使用').waitFor()
  await phone.picture('today')

  world.doing('go offline and start cold')
  await phone.context.setOffline(true)
  page = await phone.reopen()
  await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()

  world.doing('type a room, put the app away in the middle')
  await phone.school(SCHOOL)
  await page.locator('.chip').first().waitFor()
  await phone.picture('school')
  await page.locator('.van-cell', { hasText: '用房' }).click()
  await page.getByRole('button', { name: '添加用房' }).click()
  await page.locator('[data-value="music"]').click()
  await phone.fill('identity/building', '艺术楼')
  await phone.fill('identity/number', '007')
  await phone.fill('size/length_m', '9.20')
  await page.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await page.locator('.photos img').waitFor()
  page = await phone.reopen(`school/${ROUND}/${SCHOOL}/rooms/new`)
  await page.locator('.photos img').waitFor()
  assert.equal(await phone.text('identity/number'), '007')
  assert.equal(await phone.text('size/length_m'), '9.20')

  world.doing('what is unlikely is said and does not block')
  await phone.fill('size/width_m', '80')
  await page.getByText('这个值不太寻常').waitFor()
  await phone.picture('room-unlikely')

  world.doing('finish and save the room')
  await phone.fill('size/width_m', '8')
  await page.getByText('面积 73.6 m²').waitFor()
  await page.getByText('这个值不太寻常').waitFor({ state: 'detached' })
  await page.locator('.choice [data-value="true"]').click()
  await phone.picture('room')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', ROOM).waitFor()
  assert.match((await page.locator('.van-cell', ROOM).textContent()) ?? '', /73\.6 m².*照片 1/)
  await phone.picture('rooms')

  world.doing('copy the room, undo a change of it')
  await page.locator('.van-cell', ROOM).click()
  await page.getByRole('button', { name: '复制一条' }).click()
  await page.getByText('请改房号或名称').waitFor()
  assert.equal(await phone.text('identity/building'), '艺术楼')
  assert.equal(await phone.text('identity/number'), '')
  await phone.fill('identity/number', '008')
  await phone.picture('room-copy')
  await page.getByRole('button', { name: '保存' }).click()
  const copy = page.locator('.van-cell', { hasText: '艺术楼 · 008 · 音乐' })
  await copy.click()
  await phone.fill('size/width_m', '9')
  await page.getByRole('button', { name: '保存' }).click()
  await copy.filter({ hasText: '82.8 m²' }).click()
  await page.getByRole('button', { name: '撤销上次修改: 大小' }).waitFor()
  assert.equal(await page.getByRole('button', { name: /^撤销上次修改/ }).count(), 1, 'nothing else was changed')
  await page.getByRole('button', { name: '撤销上次修改: 大小' }).click()
  await page.getByText('已恢复为之前的内容').waitFor()
  assert.equal(await phone.text('size/width_m'), '8')

  world.doing('the back button leads up, not round')
  await page.goBack()
  await page.locator('.van-cell', ROOM).waitFor()

  world.doing('a number, with the strip while typing')
  await phone.school(SCHOOL, 'quantities')
  const teachers = page.locator('input[id="teachers:primary"]')
  await teachers.fill('31')
  await phone.picture('quantities')
  await teachers.blur()
  await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()

  world.doing('a checklist answer, and a section marked complete')
  await phone.school(SCHOOL, 'checklist')
  await page.locator('[data-value="yes"]').first().click()
  await page.locator('[data-value="yes"][aria-checked="true"]').first().waitFor()
  await phone.picture('checklist')
  await phone.school(SCHOOL, 'rooms')
  await page.getByRole('switch').click()
  await page.locator('[role="switch"][aria-checked="true"]').waitFor()

  world.doing('close the browser, open it again, still offline')
  await phone.close()
  page = await phone.open()
  await phone.context.setOffline(true)
  await phone.school(SCHOOL, 'rooms')
  await page.locator('.van-cell', ROOM).waitFor()
  await phone.at('sync')
  await page.locator('[data-test="outbox"]', { hasText: '待送 2 项' }).waitFor()
  await phone.picture('sync-offline')

  world.doing('back online: everything is sent and signed for')
  await phone.context.setOffline(false)
  await phone.synced()
  await page.locator('[data-test="receipt"]', { hasText: '1 张照片' }).first().waitFor()
  await phone.picture('sync-receipt')
}
