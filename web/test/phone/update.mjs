// A new version of the app comes while a form is half filled: nothing reloads
// by itself, and after the update the form is as it was.

import assert from 'node:assert/strict'
import { changing } from './proxy.mjs'

export const name = 'an update in the middle of a form'
const SCHOOL = '9901010017'

export async function run(world) {
  let version = ''
  const server = await changing(world.url, (path, body) =>
    path.startsWith('/phone/sw.js') ? Buffer.concat([body, Buffer.from(version)]) : body,
  )
  try {
    const phone = world.phone('update', { origin: server.origin })
    await phone.open()
    await phone.enrol(await world.code('xu-fang', [SCHOOL]))
    // From its second start on the app comes from the service worker.
    const page = await phone.reopen()

    world.doing('half a form, then a new version')
    await phone.school(SCHOOL, 'rooms/new')
    await page.locator('[data-value="computer"]').click()
    await phone.fill('identity/number', '40')
    version = '\n// the next version\n'
    await page.evaluate(async () => {
      window.still = true
      await (await navigator.serviceWorker.getRegistration()).update()
    })
    await page.getByRole('button', { name: '更新' }).waitFor()
    await page.locator('[id="identity/number"]').pressSequentially('5')
    assert.equal(await page.evaluate(() => window.still), true, 'nothing reloaded')
    assert.equal(await phone.text('identity/number'), '405')
    await phone.picture('update')

    world.doing('take it; the form is as it was')
    await page.getByRole('button', { name: '更新' }).click()
    await page.waitForFunction(() => window.still === undefined)
    await page.locator('[data-value="computer"][aria-checked="true"]').waitFor()
    assert.equal(await phone.text('identity/number'), '405')
    assert.equal(await page.getByRole('button', { name: '更新' }).count(), 0)
  } finally {
    server.end()
  }
}
