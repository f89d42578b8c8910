// The enrolment code is read from the camera's live picture; where there is no
// camera, or it may not be used, this is said in words.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encode } from 'uqr'
import { ARGUMENTS } from './world.mjs'

export const name = 'a code before the camera'
const SCHOOL = '9901010019'

/** A film of one frame: a code as it is printed, on white. */
async function film(world, page, text) {
  const { data } = encode(text, { border: 4 })
  const frame = await page.evaluate(async (dark) => {
    const canvas = new OffscreenCanvas(640, 480)
    const context = canvas.getContext('2d')
    context.fillStyle = '#fff'
    context.fillRect(0, 0, 640, 480)
    context.fillStyle = '#000'
    const one = Math.floor(440 / dark.length)
    dark.forEach((row, y) => row.forEach((is, x) => is && context.fillRect(100 + x * one, 20 + y * one, one, one)))
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 })
    return [...new Uint8Array(await blob.arrayBuffer())]
  }, data)
  const file = join(world.results, 'code.mjpeg')
  writeFileSync(file, Buffer.from(frame))
  return file
}

async function scan(phone) {
  await phone.at('enrol/')
  await phone.page.getByRole('button', { name: '扫描登记二维码' }).click()
}

export async function run(world) {
  const code = await world.code('meng-fei', [SCHOOL])

  world.doing('no camera: said, and a picture can be chosen')
  const without = world.phone('no-camera')
  await without.open()
  await scan(without)
  await without.page.getByRole('alert').filter({ hasText: '没有找到相机' }).waitFor()
  await without.page.locator('[data-test="qr"]').waitFor({ state: 'attached' })
  await without.picture('scan-no-camera')
  const frames = await film(world, without.page, `${world.url}/phone/#/enrol/${encodeURIComponent(code)}`)
  await without.close()

  world.doing('the camera may not be used')
  const camera = ['--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${frames}`]
  const denied = world.phone('camera-denied', { args: [...ARGUMENTS, ...camera, '--deny-permission-prompts'] })
  await denied.open()
  await scan(denied)
  await denied.page.getByRole('alert').filter({ hasText: '没有获得使用相机的许可' }).waitFor()
  await denied.close()

  world.doing('the code is before the camera')
  const phone = world.phone('camera', { args: [...ARGUMENTS, ...camera], permissions: ['camera'] })
  await phone.open()
  await scan(phone)
  await phone.page.locator('video').waitFor()
  await phone.page.waitForFunction((code) => document.querySelector('input[name="code"]').value === code, code)
  assert.equal(await phone.page.locator('video').count(), 0, 'the camera is let go')
  await phone.picture('scan-found')
}
