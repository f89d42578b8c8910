// The desk in a real browser: a supervisor judges entries by their evidence,
// the bureau rules on what does not agree and takes a merge apart again, and a
// board that is open meanwhile follows without being loaded again.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROUND, device, environment, scenario, session } from './board-kit.mjs'

/** Two inspectors are in this school of the demonstration. */
const SCHOOL = '9901010012'
const PHOTOS = process.env.DUXUE_PHOTOS
const MULTIMEDIA = 'quantities/multimedia_rooms:whole'
const REASON = '照片看不清，请补拍'

const room = (number, length, width, photo) => ({
  type: 'room', building: '教学楼', number, purpose: 'music', stage: 'primary', length_m: length, width_m: width, method: 'tape',
  ...(photo && { photos: [join(PHOTOS, photo)] }),
})
/** What they capture: one room measured twice, and two counts of one thing. */
const SHEETS = {
  王敏: [
    { type: 'class', stage: 'primary', grade: '1', number: '1', pupils: '39' },
    { type: 'class', stage: 'primary', grade: '1', number: '2', pupils: '38' },
    { ...room('301', '12', '8', 'iphone-6-plus.jpg') },
    { type: 'quantity', quantity: 'multimedia_rooms', part: 'whole', value: '14' },
  ],
  李强: [room('301', '11.90', '8', 'lumia-820.jpg'), { type: 'quantity', quantity: 'multimedia_rooms', part: 'whole', value: '15' }],
}

await scenario('desk', async (desk) => {
  const { program } = environment()
  assert(PHOTOS, 'set DUXUE_PHOTOS')
  const sheets = mkdtempSync(join(tmpdir(), 'duxue-sheets-'))
  const bureau = await session(desk.url, 'bureau')
  const supervisor = await session(desk.url, 'supervisor')
  const school = () => supervisor.get(`/rounds/${ROUND}/schools/${SCHOOL}`)
  const conflicts = () => bureau.get(`/rounds/${ROUND}/conflicts`)
  const entryOf = (view, path) => {
    const parts = path.split('/')
    return parts.length === 3 ? view.consolidated.items[parts.slice(0, 2).join('/')]?.fields[parts[2]] : view.consolidated.entries[path]
  }
  /** Asks the server until it says so; the page's own wait came before. */
  const until = async (what, test) => {
    for (let tries = 0; tries < 60; tries += 1) {
      const found = await test()
      if (found) return found
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    return assert.fail(`not so: ${what}`)
  }

  desk.doing('two inspectors capture in the same school and do not agree')
  const inspectors = {}
  /** On a device of its own, that has read nothing of what others captured. */
  const inspector = async (name, records) => {
    const enrolment = await bureau.post('/enrolments', { person_name: name, person: null, round: ROUND, schools: [SCHOOL] })
    const one = device(program)
    const sheet = join(sheets, `${name}.jsonl`)
    writeFileSync(sheet, records.map((record) => JSON.stringify(record)).join('\n') + '\n')
    await one.run('enrol', '--server', desk.url, '--code', enrolment.code)
    await one.run('packet')
    await one.run('capture', SCHOOL, '--batch', sheet)
    await one.run('sync')
    return { ...one, person: enrolment.person }
  }
  for (const [name, records] of Object.entries(SHEETS)) inspectors[name] = await inspector(name, records)

  desk.doing('the bureau opens the board, and leaves it open')
  const board = await desk.open()
  await desk.login(board, 'bureau')
  await desk.go(board, `/rounds/${ROUND}/board`)
  const cell = board.locator(`tr[data-school="${SCHOOL}"] [data-indicator="L7"]`)
  await board.getByPlaceholder('查找学校').fill(SCHOOL)
  await cell.waitFor()
  assert.equal(await cell.getAttribute('data-outcome'), 'undetermined')
  await board.evaluate(() => (globalThis.sameDocument = true))

  desk.doing('the supervisor sees the schools by what is in them')
  const page = await desk.open()
  await desk.login(page, 'supervisor')
  await page.waitForURL(/\/review$/)
  const line = page.locator('tbody tr', { has: page.getByRole('link', { name: (await school()).consolidated.school.name }) })
  await line.waitFor()
  await page.getByRole('button', { name: '待审核' }).click()
  assert.equal(await page.locator('tbody tr').first().innerText(), await line.innerText(), 'most to review first')
  await desk.picture(page, 'schools')
  await desk.accessible(page, 'the schools')

  desk.doing('the evidence of an entry: who, when, where, photos, what it feeds')
  await line.getByRole('link').click()
  await page.locator('.sheet').waitFor()
  await page.getByRole('searchbox').or(page.getByPlaceholder('在表中查找')).fill('11.9')
  await page.locator('tbody .entry', { hasText: '301' }).first().click()
  const sheet = page.locator('.sheet')
  await sheet.getByText('11.9 × 8 m').first().waitFor()
  await sheet.getByText('李强', { exact: true }).waitFor()
  await sheet.locator('.photo img').first().waitFor()
  await desk.picture(page, 'evidence')
  await desk.accessible(page, 'the evidence')
  await page.keyboard.press('p')
  const viewer = page.getByRole('dialog')
  await viewer.locator('img').waitFor()
  await page.keyboard.press('+')
  assert.match((await viewer.locator('img').getAttribute('style')) ?? '', /scale\(1\.5\)/)
  await desk.picture(page, 'photo')
  await page.keyboard.press('Escape')

  desk.doing('an entry is returned with a reason by keyboard, and its inspector reads it')
  const path = new URL(page.url()).hash.match(/entry=([^&]+)/)?.[1]
  const returned = decodeURIComponent(path ?? '')
  assert.match(returned, /^rooms\/.+\/size$/)
  await page.waitForFunction(() => !document.querySelector('.decide button')?.disabled)
  await page.keyboard.press('r')
  await page.keyboard.press('Control+Enter')
  await page.getByText('请写明原因').waitFor()
  await page.getByLabel('退回原因').fill(REASON)
  await desk.picture(page, 'return')
  await page.keyboard.press('Control+Enter')
  await page.getByText('已退回 1 条').waitFor()
  await page.locator('tbody .badge.returned', { hasText: '已退回' }).waitFor()
  const verdict = entryOf(await school(), returned).review
  assert.deepEqual([verdict.state, verdict.reason], ['returned', REASON])
  await inspectors['李强'].run('sync')
  assert.match(await inspectors['李强'].run('survey', SCHOOL), new RegExp(REASON))

  desk.doing('several entries are accepted at once')
  await page.getByPlaceholder('在表中查找').fill('学生数')
  const boxes = page.locator('tbody').getByRole('checkbox')
  await boxes.nth(1).waitFor()
  await boxes.nth(0).check()
  await boxes.nth(1).check()
  await page.keyboard.press('a')
  await page.getByText('已采信 2 条').waitFor()
  await page.locator('tbody .badge.accepted', { hasText: '已采信' }).nth(1).waitFor()
  const accepted = Object.values((await school()).consolidated.items).filter(({ fields }) => fields.pupils?.review.state === 'accepted')
  assert.equal(accepted.length, 2)

  desk.doing('what a filter hides is not decided with what is selected')
  await boxes.nth(0).check()
  await boxes.nth(1).check()
  await page.getByRole('button', { name: /^采信所选 2 条/ }).waitFor()
  await page.getByPlaceholder('在表中查找').fill('1 班')
  await page.getByText('另选中 1 条不在当前列表中').waitFor()
  await page.getByRole('button', { name: /^采信所选 1 条/ }).waitFor()
  await page.getByRole('button', { name: '取消选择' }).click()

  desk.doing('a claim that came after an entry was selected is not decided unseen')
  await page.getByPlaceholder('在表中查找').fill('学生数')
  const [one, two] = Object.entries((await school()).consolidated.items)
    .filter(([, { fields }]) => fields.pupils)
    .map(([key]) => `${key}/pupils`)
  const verdictsOn = async (path) => (await supervisor.get(`/rounds/${ROUND}/decisions?school=${SCHOOL}`)).filter(({ decision }) => decision.verdict?.entry === path)
  const before = [(await verdictsOn(one)).length, (await verdictsOn(two)).length]
  await boxes.nth(0).check()
  await boxes.nth(1).check()
  await inspectors['王敏'].run('set', SCHOOL, two, 'value=41')
  await inspectors['王敏'].run('sync')
  await page.locator('tbody tr', { hasText: '41' }).getByText('有变化').waitFor()
  await page.keyboard.press('a')
  await page.getByText('1 条在您查看之后有变化').waitFor()
  await page.getByText('已采信 1 条').waitFor()
  await desk.picture(page, 'changed-since')
  await desk.accessible(page, 'an entry that changed since it was looked at')
  await until('the other one is decided', async () => (await verdictsOn(one)).length === before[0] + 1)
  assert.equal((await verdictsOn(two)).length, before[1], 'what nobody looked at is not accepted')
  await page.locator('tbody tr', { hasText: '41' }).locator('.entry').click()
  await page.keyboard.press('a')
  await until('it is decided once looked at', async () => (await verdictsOn(two)).length === before[1] + 1)

  desk.doing('a decision that was overtaken on its way is said to have no effect')
  let release
  const gate = new Promise((resolve) => (release = resolve))
  await page.route(`**/api/rounds/${ROUND}/schools/${SCHOOL}`, async (route) => {
    await gate
    await route.continue()
  })
  await inspectors['王敏'].run('set', SCHOOL, two, 'value=42')
  await inspectors['王敏'].run('sync')
  await page.keyboard.press('r')
  await page.getByLabel('退回原因').fill(REASON)
  await page.keyboard.press('Control+Enter')
  await page.getByText('已退回 1 条').waitFor()
  await until('the verdict is delivered', async () => (await verdictsOn(two)).length === before[1] + 2)
  release()
  await page.getByText('送达之前又有新的记录').waitFor()
  await page.locator('tbody .badge', { hasText: '送达中' }).waitFor({ state: 'detached' })
  assert.equal(entryOf(await school(), two).review.state, 'unreviewed')
  await page.unroute(`**/api/rounds/${ROUND}/schools/${SCHOOL}`)

  desk.doing('a claim that comes from a device is there without loading the page')
  await page.getByPlaceholder('在表中查找').fill('302')
  await inspectors['王敏'].run('room', 'add', SCHOOL, '--building', '教学楼', '--number', '302', '--purpose', 'art', '--length', '10', '--width', '9').catch(async () => {
    const more = join(sheets, 'more.jsonl')
    writeFileSync(more, JSON.stringify({ ...room('302', '10', '9'), purpose: 'art' }) + '\n')
    await inspectors['王敏'].run('capture', SCHOOL, '--batch', more)
  })
  await inspectors['王敏'].run('sync')
  await page.locator('tbody .entry', { hasText: '302' }).first().waitFor()

  desk.doing('the bureau sees the conflicts by their impact, with the effect of each choice')
  const inbox = await desk.open()
  await desk.login(inbox, 'bureau')
  await inbox.waitForURL(/\/conflicts$/)
  await inbox.locator('tbody tr a').first().waitFor()
  const open = await conflicts()
  assert.equal(await inbox.locator('tbody tr').count(), open.filter(({ folded }) => !folded).length)
  await desk.picture(inbox, 'conflicts')
  await desk.accessible(inbox, 'the conflicts')
  await inbox.locator('tbody a', { hasText: '多媒体' }).click()

  desk.doing('whoever chose before something new came is asked again, also for a value of their own')
  await inbox.locator('.decide button[type=submit]:not([disabled])').waitFor()
  await inbox.keyboard.press('r')
  await inbox.keyboard.type('现场')
  await inbox.keyboard.press('Control+Enter')
  await inbox.getByText('请先选择一个选项').waitFor()
  await inbox.getByText('另定数值').click()
  await inbox.locator('.choice .field input').fill('16')
  await inbox.getByLabel('裁决理由').fill('现场清点')
  inspectors['赵敏'] = await inspector('赵敏', [{ type: 'quantity', quantity: 'multimedia_rooms', part: 'whole', value: '17' }])
  await inbox.locator('.choice .value', { hasText: '17 间' }).waitFor()
  await inbox.getByRole('button', { name: '裁决', exact: false }).last().click()
  await inbox.getByText('您选择之后内容有了变化').waitFor()
  await desk.picture(inbox, 'choose-again')
  assert((await conflicts()).some(({ subject }) => subject.path === MULTIMEDIA), 'nothing was ruled')
  assert.equal((await bureau.get(`/rounds/${ROUND}/decisions?school=${SCHOOL}`)).filter(({ decision }) => decision.ruling).length, 0)
  await inbox.getByLabel('裁决理由').fill('')
  await inbox.locator('h1').click()

  desk.doing('the effect of each choice is shown, and the bureau rules')
  const truth = (await conflicts()).find(({ subject }) => subject.path === MULTIMEDIA)
  const second = truth.candidates.findIndex(({ candidate }) => candidate.value.value === '15')
  await inbox.getByText('对评估的影响').waitFor()
  await inbox.locator('.choice').nth(second).getByText('15').first().waitFor()
  const effect = truth.candidates[second].effects['L7/primary'].split(' ')
  const effects = inbox.locator('table tbody tr', { hasText: /^\s*小学 L7/ })
  assert.match((await effects.innerText()).replaceAll('\n', ' '), new RegExp(effect.at(-1).replace('.', '\\.')))
  await desk.picture(inbox, 'conflict')
  await desk.accessible(inbox, 'a conflict')

  desk.doing('the bureau rules, and the board that is open follows')
  await inbox.waitForFunction(() => !document.querySelector('.decide button[type=submit]')?.disabled)
  await inbox.keyboard.press('r')
  await inbox.keyboard.type('按照片共 15 间')
  await inbox.locator('h1').click()
  await inbox.keyboard.press(String(second + 1))
  await inbox.getByRole('button', { name: '裁决', exact: false }).last().click()
  await inbox.getByText('已裁决').first().waitFor()
  await until('the conflict is settled', async () => !(await conflicts()).some(({ subject }) => subject.path === MULTIMEDIA))
  await board.locator(`tr[data-school="${SCHOOL}"] [data-indicator="L7"]:not([data-outcome="undetermined"])`).waitFor()
  assert.equal(await board.evaluate(() => globalThis.sameDocument), true, 'the document is the same')
  await desk.picture(board, 'board-follows')

  desk.doing('two rooms are ruled to be one, and that is taken back')
  await desk.go(inbox, `/rounds/${ROUND}/conflicts`)
  await inbox.getByLabel('也显示不影响结果的').check()
  await inbox.locator('tbody a', { hasText: '301' }).first().click()
  await inbox.locator('.photos img').nth(1).waitFor()
  await desk.picture(inbox, 'duplicate')
  await inbox.getByText('是同一个，合并').click()
  await inbox.getByLabel('裁决理由').fill('同一间教室')
  const [wide] = Object.entries((await school()).consolidated.items).find(([, { fields }]) => fields.size?.candidates.some(({ value }) => value.length_m === '12'))
  await inspectors['王敏'].run('set', SCHOOL, `${wide}/size`, 'length_m=12.1', 'width_m=8', 'method=tape')
  await inspectors['王敏'].run('sync')
  await inbox.getByText('您选择之后内容有了变化').waitFor()
  await inbox.getByLabel('裁决理由').press('Control+Enter')
  await inbox.getByText('12.1').first().waitFor()
  assert.equal(await inbox.getByRole('radio', { checked: true }).count(), 0, 'a merge is chosen again too')
  await inbox.getByText('是同一个，合并').click()
  await inbox.getByLabel('裁决理由').press('Control+Enter')
  await inbox.getByText('已裁决').first().waitFor()
  const merged = async () => Object.values((await school()).consolidated.items).filter(({ members }) => members.length === 2).length
  await until('the rooms are one', async () => (await merged()) === 1)
  await desk.go(inbox, `/rounds/${ROUND}/rulings`)
  await inbox.getByText('同一间教室').waitFor()
  await inbox.getByText('按照片共 15 间').waitFor()
  await desk.picture(inbox, 'rulings')
  await desk.accessible(inbox, 'the rulings')
  await inbox.getByRole('button', { name: '拆分' }).click()
  await inbox.getByLabel('拆分理由').fill('门牌不同，是两间')
  await inbox.keyboard.press('Control+Enter')
  await inbox.locator('tbody .badge', { hasText: '已被取代' }).waitFor()
  assert.equal(await merged(), 0)

  desk.doing('what someone wrote after the right had ended is held, and admitted')
  await bureau.post(`/rounds/${ROUND}/assignments`, { person: inspectors['王敏'].person, role: 'inspector', schools: [], ended: true })
  await inspectors['王敏'].run('set', SCHOOL, 'quantities/teachers_backbone:primary', 'value=7')
  await inspectors['王敏'].run('sync').catch(() => undefined)
  await desk.go(page, `/rounds/${ROUND}/held`)
  await page.locator('tbody tr', { hasText: '王敏' }).first().waitFor()
  await desk.picture(page, 'held')
  await desk.accessible(page, 'what is held')
  await page.locator('tbody').getByRole('checkbox').first().check()
  const held = page.locator('[data-test="held"]')
  await held.getByText('7').first().waitFor()
  await held.getByText('王敏', { exact: true }).waitFor()
  await held.locator('h3', { hasText: '骨干教师' }).waitFor()
  await desk.picture(page, 'held-content')
  await desk.accessible(page, 'what a held change says')
  await page.getByRole('button', { name: /^接收所选 1 项/ }).click()
  await page.locator('tbody .badge', { hasText: '已接收' }).first().waitFor()
  await until('the claim counts', async () => (await school()).consolidated.entries['quantities/teachers_backbone:primary'])

  desk.doing('the evidence is printed whole, and the schools with every page')
  await desk.go(page, `/rounds/${ROUND}/review/${SCHOOL}?entry=${encodeURIComponent(returned)}`)
  await sheet.getByText(REASON).first().waitFor()
  await page.emulateMedia({ media: 'print' })
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  assert.equal(await page.locator('.side').isVisible(), false, 'no menu on paper')
  assert.equal(await page.locator('.decide').first().isVisible(), false, 'no buttons on paper')
  assert.equal(await page.locator('.evidence').evaluate((one) => getComputedStyle(one).maxHeight), 'none')
  await page.locator('.print-only', { hasText: '打印' }).waitFor()
  await desk.picture(page, 'evidence-printed', true)
  await page.evaluate(() => dispatchEvent(new Event('afterprint')))
  await page.emulateMedia({ media: 'screen' })

  desk.doing('at 1024 × 768, in English, by deep link')
  await page.setViewportSize({ width: 1024, height: 768 })
  await desk.go(page, `/rounds/${ROUND}/review/${SCHOOL}?entry=${encodeURIComponent(returned)}`)
  await sheet.getByText(REASON).first().waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is no wider than the screen')
  await page.getByRole('button', { name: 'English' }).click()
  await page.getByText('Declared against observed').waitFor()
  await page.keyboard.press('?')
  await page.getByRole('dialog').getByText('Next entry').waitFor()
  await desk.picture(page, 'english-1024')
  await page.keyboard.press('Escape')
  await desk.accessible(page, 'the evidence in English')
  await page.goBack()
  await page.getByText('Held changes').first().waitFor()
  await page.goForward()

  desk.doing('ten thousand schools: a page of rows, found, ordered and exported')
  const rows = await supervisor.get(`/rounds/${ROUND}/schools`)
  const many = Array.from({ length: 10_000 }, (_, index) => {
    const row = rows[index % rows.length]
    return { ...row, school: { ...row.school, id: String(1_000_000_000 + index), name: `第 ${index + 1} 小学` } }
  })
  await page.route('**/schools', (route) => route.fulfill({ json: many }))
  await desk.go(page, `/rounds/${ROUND}/review`)
  await page.getByText('10000 rows').waitFor()
  assert.equal(await page.locator('tbody tr').count(), 50)
  // Paper has no pages to turn: all that was found.
  await page.getByPlaceholder('Find in the table').fill('第 99')
  await page.getByText('111 of 10000 rows').waitFor()
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 111)
  await page.evaluate(() => dispatchEvent(new Event('afterprint')))
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 50)
  await page.getByPlaceholder('Find in the table').fill('第 9999 小学')
  await page.getByText('1 of 10000 rows').waitFor()
  await page.getByPlaceholder('Find in the table').fill('')
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export XLSX' }).click()])
  assert.match(file.suggestedFilename(), /\.xlsx$/)
  await page.unroute('**/schools')

  desk.doing('a session that the server ended leads to the log-in, and back to the place')
  desk.expected.push(/401/)
  const token = await page.evaluate(() => JSON.parse(localStorage.getItem('duxue-desk-session')).token)
  await fetch(`${desk.url}/api/session`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } })
  await page.reload()
  await page.getByText('The session has ended').waitFor()
  await desk.picture(page, 'login')
  await desk.accessible(page, 'the log-in')
  await page.getByLabel('Account').fill('supervisor')
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Password').fill('duxue-demo-supervisor')
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.waitForURL(/\/review$/)

  desk.doing('a log-out that the server does not hear of is said, and leaves nothing in the browser')
  await page.waitForFunction(() => indexedDB.databases().then((all) => all.some(({ name }) => name === 'duxue-desk-supervisor')))
  await page.getByText("Opening this computer's store").waitFor({ state: 'detached' })
  desk.expected.push(/status of 503/)
  await page.route('**/api/session', (route) => route.fulfill({ status: 503, json: { code: 'server.busy', message_zh: '忙', message_en: 'busy' } }))
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('the server did not hear of it').waitFor()
  await page.waitForFunction(() => indexedDB.databases().then((all) => all.every(({ name }) => name !== 'duxue-desk-supervisor')))
  assert.equal(await page.evaluate(() => localStorage.getItem('duxue-desk-session')), null)
  await desk.picture(page, 'logged-out-unheard')
  await page.unroute('**/api/session')

  for (const { end } of Object.values(inspectors)) end()
  rmSync(sheets, { recursive: true, force: true })
})
