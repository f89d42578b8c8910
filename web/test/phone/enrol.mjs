// The network goes between the code and the assignments: the code is spent, the
// phone is enrolled, and the assignments are fetched when they can be. Before a
// code is spent in vain the phone says whose work is still on it.

import assert from 'node:assert/strict'
import { changing } from './proxy.mjs'

export const name = 'an enrolment that is cut in two'
const SCHOOL = '9901010023'

export async function run(world) {
  let cut = true
  const server = await changing(world.url, (path, body) => (cut && path.startsWith('/api/rounds') ? null : body))
  try {
    const phone = world.phone('enrol', { origin: server.origin })
    const page = await phone.open()

    world.doing('a page whose file does not come says so, and comes with the next try')
    await page.route('**/assets/rest-*.js', (route) => route.abort())
    await phone.at('enrol/ABCD-EFGH')
    await page.getByRole('alert').filter({ hasText: '这一页没有加载完成' }).waitFor()
    assert.equal(await page.locator('.van-notice-bar').count(), 0, 'it is said in one place')
    await phone.picture('not-loaded')
    await page.unroute('**/assets/rest-*.js')
    await page.locator('[data-test="reload"]').click()
    await page.locator('input[name="device"]').waitFor()
    assert.equal(await page.locator('input[name="code"]').inputValue(), 'ABCD-EFGH')

    world.doing('another link, opened while this page is there, is the one that counts')
    const code = await world.code('ren-jie', [SCHOOL])
    await phone.at(`enrol/${code}`)
    await page.waitForFunction((code) => document.querySelector('input[name="code"]').value === code, code)

    world.doing('the code is taken, the assignments do not come')
    await page.locator('input[name="device"]').fill('测试手机')
    await page.getByRole('button', { name: '登记', exact: true }).click()
    await page.locator('[data-test="no-packet"]', { hasText: '已登记，但任务还没有取到' }).waitFor()
    await phone.picture('enrol-no-packet')

    world.doing('they are fetched without a new code')
    cut = false
    await page.getByRole('button', { name: '重新获取任务' }).click()
    await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()

    world.doing('why there is no connection is said')
    await phone.at('sync')
    await page.locator('[data-test="offline"]').waitFor()
    assert.match(await page.locator('[data-test="offline"]').textContent(), /自动重试/)
    await phone.picture('sync-why')

    world.doing('a code of somebody else is not sent unasked, and is refused in the words of the app')
    await phone.school(SCHOOL, 'quantities')
    await phone.fill('teachers:primary', '28')
    await page.locator('input[id="teachers:primary"]').blur()
    await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()
    await phone.at(`enrol/${await world.code('qin-lan', [SCHOOL])}`)
    const enrol = page.getByRole('button', { name: '登记', exact: true })
    await page.locator('[data-test="sure"]', { hasText: '1 项未送达' }).waitFor()
    assert.ok(await enrol.isDisabled())
    await page.locator('[data-test="sure"] input').check()
    await enrol.click()
    const refused = page.getByRole('alert').filter({ hasText: '另一个人未送达的内容' })
    await refused.waitFor()
    assert.doesNotMatch(await refused.textContent(), /duxue/)
  } finally {
    server.end()
  }
}
