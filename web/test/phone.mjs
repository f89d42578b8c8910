// The phone's main job in a real browser, at 360 × 740: enrol, go offline,
// start cold, capture a room with a photo, close and open again, come back
// online, see the receipt. Every wait is bounded; pictures of the screens stay
// in test-results.

import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const { DUXUE_URL: url, DUXUE_CODE: code, DUXUE_SCHOOL: school, DUXUE_PHOTO: photo, CHROMIUM: browser } = process.env
assert(url && code && school && photo && browser, 'set DUXUE_URL, DUXUE_CODE, DUXUE_SCHOOL, DUXUE_PHOTO and CHROMIUM')

/** The longest wait for one thing. */
const PATIENCE_MS = 30_000
const results = join(dirname(fileURLToPath(import.meta.url)), '../test-results')
const profile = join(results, 'profile')
rmSync(results, { recursive: true, force: true })
mkdirSync(profile, { recursive: true })

let pictures = 0
const picture = async (page, name) => {
  pictures += 1
  await page.screenshot({ path: join(results, `${String(pictures).padStart(2, '0')}-${name}.png`), animations: 'disabled' })
}
const problems = []
let step = 'start'
const doing = (name) => {
  step = name
  console.log(`· ${name}`)
}

async function open() {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browser,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    viewport: { width: 360, height: 740 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    locale: 'zh-CN',
    timezoneId: 'Asia/Shanghai',
  })
  context.setDefaultTimeout(PATIENCE_MS)
  context.on('page', (page) => watch(page))
  context.pages().forEach(watch)
  return context
}

/** What a page complains of fails the test, but for the network that we took away. */
function watch(page) {
  page.on('pageerror', (error) => problems.push(`${step}: ${error}`))
  page.on('console', (message) => {
    const text = message.text()
    const offline = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|WebSocket connection/.test(text)
    if (message.type() === 'error' && !offline) problems.push(`${step}: ${text}`)
  })
}

const draftText = async (page, id) => page.locator(`[id="${id}"]`).inputValue()
const fill = (page, id, text) => page.locator(`[id="${id}"]`).fill(text)

async function run() {
  let context = await open()
  let page = context.pages()[0] ?? (await context.newPage())

  doing('enrol by the link')
  await page.goto(`${url}/phone/#/enrol/${code}`)
  await page.getByRole('button', { name: '登记' }).waitFor()
  await fillNamed(page, 'device', '测试手机')
  await picture(page, 'enrol')
  await page.getByRole('button', { name: '登记' }).click()
  await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()
  await page.getByText('已可离线使用').waitFor()
  await picture(page, 'today')

  doing('go offline and start cold')
  await context.setOffline(true)
  await page.close()
  page = await context.newPage()
  const began = Date.now()
  await page.goto(`${url}/phone/`)
  await page.locator('.van-cell', { hasText: '已完成 0/6 部分' }).first().waitFor()
  console.log(`  warm offline start: ${Date.now() - began} ms`)

  doing('type a room, put the app away in the middle')
  await page.goto(`${url}/phone/#/school/demo-2026/${school}`)
  await page.locator('.chip').first().waitFor()
  await picture(page, 'school')
  await page.locator('.van-cell', { hasText: '用房' }).click()
  await page.getByRole('button', { name: '添加用房' }).click()
  await page.locator('[data-value="music"]').click()
  await fill(page, 'identity/building', '艺术楼')
  await fill(page, 'identity/number', '007')
  await fill(page, 'size/length_m', '9.20')
  await page.locator('[data-test="camera"]').setInputFiles(photo)
  await page.locator('.photos img').waitFor()
  await page.close()
  page = await context.newPage()
  await page.goto(`${url}/phone/#/school/demo-2026/${school}/rooms/new`)
  await page.locator('.photos img').waitFor()
  assert.equal(await draftText(page, 'identity/number'), '007')
  assert.equal(await draftText(page, 'size/length_m'), '9.20')

  doing('finish and save the room')
  await fill(page, 'size/width_m', '8')
  await page.getByText('面积 73.6 m²').waitFor()
  await page.locator('.choice [data-value="true"]').click()
  await picture(page, 'room')
  await page.getByRole('button', { name: '保存' }).click()
  const room = page.locator('.van-cell', { hasText: '艺术楼 · 007 · 音乐' })
  await room.waitFor()
  assert.match((await room.textContent()) ?? '', /73\.6 m².*照片 1/)
  await picture(page, 'rooms')

  doing('a number, with the strip while typing')
  await page.goto(`${url}/phone/#/school/demo-2026/${school}/quantities`)
  const teachers = page.locator('input[id="teachers:primary"]')
  await teachers.fill('31')
  await picture(page, 'quantities')
  await teachers.blur()
  await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()

  doing('a checklist answer, and a section marked complete')
  await page.goto(`${url}/phone/#/school/demo-2026/${school}/checklist`)
  await page.locator('[data-value="yes"]').first().click()
  await page.locator('[data-value="yes"][aria-checked="true"]').first().waitFor()
  await picture(page, 'checklist')
  await page.goto(`${url}/phone/#/school/demo-2026/${school}/rooms`)
  await page.getByRole('switch').click()
  await page.locator('[role="switch"][aria-checked="true"]').waitFor()

  doing('close the browser, open it again, still offline')
  await context.close()
  context = await open()
  await context.setOffline(true)
  page = context.pages()[0] ?? (await context.newPage())
  await page.goto(`${url}/phone/#/school/demo-2026/${school}/rooms`)
  await page.locator('.van-cell', { hasText: '艺术楼 · 007 · 音乐' }).waitFor()
  await page.goto(`${url}/phone/#/sync`)
  await page.locator('[data-test="outbox"]', { hasText: '待送 2 项' }).waitFor()
  await picture(page, 'sync-offline')

  doing('back online: everything is sent and signed for')
  await context.setOffline(false)
  await page.getByRole('button', { name: '立即同步' }).click()
  await page.locator('[data-test="outbox"]', { hasText: '全部内容已由服务器签收' }).waitFor()
  await page.locator('[data-test="receipt"]', { hasText: '1 张照片' }).first().waitFor()
  await picture(page, 'sync-receipt')

  doing('English at a tap')
  await page.getByRole('button', { name: 'EN' }).click()
  await page.getByText('The server has signed for everything').waitFor()
  await picture(page, 'sync-english')
  await context.close()
}

async function fillNamed(page, name, text) {
  await page.locator(`input[name="${name}"]`).fill(text)
}

let failed
try {
  await run()
} catch (error) {
  failed = error
}
rmSync(profile, { recursive: true, force: true })
for (const problem of problems) console.error(`the page complains: ${problem}`)
if (failed) {
  console.error(`failed at: ${step}`)
  console.error(failed)
}
console.log(`${pictures} pictures in web/test-results`)
process.exit(failed || problems.length ? 1 : 0)
