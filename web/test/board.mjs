// The county board in a real browser: the same figures as the server's own
// answer, at two sizes and in two languages; it follows a claim that arrives
// from elsewhere without being loaded again; a school's gaps; what-if; the
// county's own figures.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ROUND, cellsOf, device, environment, scenario, session } from './board-kit.mjs'

const WORDS = { met: '达标', not_met: '不达标', undetermined: '待定', conditional: '有条件达标' }
const STAGES = { primary: '小学', junior: '初中' }
const squeeze = (text) => (text ?? '').replace(/\s+/g, '')

/** In the page: how many pixels of a picture are dark in the two lines of its head, and coloured below it. */
async function inkOf([base64, head]) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
  const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')
  pen.drawImage(bitmap, 0, 0)
  const count = (top, bottom, is) => {
    const { data } = pen.getImageData(0, top, bitmap.width, bottom - top)
    let found = 0
    for (let at = 0; at < data.length; at += 4) if (is(data[at], data[at + 1], data[at + 2])) found += 1
    return found
  }
  const dark = (...pixel) => Math.max(...pixel) < 128
  const coloured = (...pixel) => Math.max(...pixel) - Math.min(...pixel) > 64
  const half = Math.floor(head / 2) + 4
  return { name: count(0, half, dark), day: count(half, head, dark), chart: count(head, bitmap.height, coloured) }
}

await scenario('board', async (desk) => {
  const { program } = environment()
  const bureau = await session(desk.url, 'bureau')
  const assessment = () => bureau.get(`/rounds/${ROUND}/assessment`)
  const standard = await bureau.get(`/rounds/${ROUND}/standard`)
  const page = await desk.open()

  desk.doing("the board shows the server's verdict, dimensions and coefficients to the letter")
  await desk.login(page, 'bureau')
  await desk.go(page, `/rounds/${ROUND}/board`)
  await page.locator('.heat tbody tr.line').first().waitFor()
  const truth = await assessment()
  assert.match((await page.locator('[data-test="verdict"]').textContent()) ?? '', new RegExp(`${WORDS[truth.county.outcome]}$`))
  for (const { id, outcome, name } of truth.county.dimensions) {
    const shown = squeeze(await page.locator(`[data-dimension="${id}"] .dimension`).textContent())
    assert(shown.startsWith(squeeze(name.zh)) && shown.endsWith(WORDS[outcome]), `${id}: ${shown}`)
  }
  for (const summary of truth.county.stages) {
    await page.getByRole('radio', { name: STAGES[summary.stage] }).first().check({ force: true })
    const table = page.locator('#coefficients table')
    await page.locator('#coefficients h2', { hasText: STAGES[summary.stage] }).waitFor()
    for (const one of summary.coefficients) {
      const row = table.locator('tbody tr', { hasText: one.id === 'mean' ? '综合' : `${one.id} ` }).first()
      const cells = await row.locator('td').allTextContents()
      assert(cells.some((cell) => cell.trim() === one.printed), `${summary.stage} ${one.id}: ${cells} without ${one.printed}`)
      assert(cells.some((cell) => cell.trim() === one.six_decimals), `${one.id}: six decimals`)
      if (one.outcome) assert(cells.some((cell) => squeeze(cell).endsWith(WORDS[one.outcome])), `${one.id}: ${cells}`)
    }
  }
  await page.getByRole('radio', { name: '小学' }).first().check({ force: true })

  desk.doing('every cell of a school in the heat map is the assessment')
  const school = truth.schools.find(({ stages }) => stages.some((row) => row.stage === 'primary' && row.counts && row.rule?.outcome === 'not_met'))
  assert(school, 'the demonstration has a school that does not meet the rule')
  await page.getByPlaceholder('查找学校').fill(school.school.id)
  const line = page.locator(`tr[data-school="${school.school.id}"]`)
  await line.waitFor()
  assert.equal(await page.locator('.heat tbody tr.line').count(), 1)
  for (const result of school.stages.find(({ stage }) => stage === 'primary').indicators) {
    const cell = line.locator(`[data-indicator="${result.id}"]`)
    assert.equal(await cell.getAttribute('data-outcome'), result.outcome, result.id)
    const printed = result.conditions.find(({ value }) => value)?.value.printed ?? ''
    assert.equal(((await cell.locator('.value').textContent()) ?? '').trim(), printed, result.id)
    // Never by colour alone: a sign to see, and a word to hear.
    assert(squeeze(await cell.locator('.sign').textContent()).endsWith(WORDS[result.outcome]), result.id)
  }
  await page.getByPlaceholder('查找学校').fill('')
  await desk.picture(page, 'county')
  await desk.accessible(page, 'the board')
  await page.locator('#coefficients canvas').waitFor()
  await desk.picture(page, 'county-whole', true)

  desk.doing('a table is exported with the figures of the server, a chart as a picture')
  const [table] = await Promise.all([page.waitForEvent('download'), page.locator('#schools').getByRole('button', { name: '导出 CSV' }).click()])
  const lines = readFileSync(await table.path(), 'utf8').split('\r\n')
  const inTable = lines.find((one) => one.startsWith(school.school.id))
  for (const { conditions } of school.stages.find(({ stage }) => stage === 'primary').indicators) {
    const printed = conditions.find(({ value }) => value)?.value.printed
    if (printed) assert(inTable.split(',').includes(printed), `${inTable} without ${printed}`)
  }
  const [sheet] = await Promise.all([page.waitForEvent('download'), page.locator('#schools').getByRole('button', { name: '导出 XLSX' }).click()])
  assert.equal(readFileSync(await sheet.path()).subarray(0, 2).toString(), 'PK')
  const [image] = await Promise.all([page.waitForEvent('download'), page.locator('#coefficients').getByRole('button', { name: '存为图片' }).click()])
  const png = readFileSync(await image.path())
  assert.equal(png.subarray(1, 4).toString(), 'PNG')
  const [shown] = await page.locator('#coefficients canvas').evaluateAll((all) => all.map(({ clientHeight }) => clientHeight))
  const above = png.readUInt32BE(20) - 2 * shown
  assert(above > 0, 'there is room above the chart')
  assert.match(image.suggestedFilename(), /^小学 · .+\.png$/)
  const ink = await page.evaluate(inkOf, [png.toString('base64'), above])
  assert(ink.name > 0 && ink.day > 0, `the name, and below it the round and the day, are written: ${JSON.stringify(ink)}`)
  assert(ink.chart > 0, 'the chart has its colours')
  const beside = await page.locator('#coefficients table tbody tr').count()
  assert.equal(beside, truth.county.stages.find(({ stage }) => stage === 'primary').coefficients.length, 'what the picture shows stands in a table beside it')

  desk.doing('at 1024 × 768, and in English')
  await page.setViewportSize({ width: 1024, height: 768 })
  await desk.picture(page, 'county-1024')
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is no wider than the screen')
  await page.getByRole('button', { name: 'English' }).click()
  await page.getByText("The county's verdict").waitFor()
  await desk.picture(page, 'county-english')
  await page.getByRole('button', { name: '中文' }).click()
  await page.setViewportSize({ width: 1440, height: 900 })

  desk.doing('the board is printed with every school')
  await page.emulateMedia({ media: 'print' })
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  const rows = truth.schools.filter(({ stages }) => stages.some(({ stage }) => stage === 'primary')).length
  await page.waitForFunction((all) => document.querySelectorAll('.heat tbody tr.line').length === all, rows)
  await page.evaluate(() => dispatchEvent(new Event('afterprint')))
  await page.emulateMedia({ media: 'screen' })

  desk.doing('a claim of an inspector changes the board without loading it again')
  const target = truth.schools.find(({ school: { kind, parent }, stages }) => kind === 'primary' && !parent && stages[0]?.rule?.outcome === 'met').school.id
  const enrolment = await bureau.post('/enrolments', { person_name: '看板测试督学', person: null, round: ROUND, schools: [target] })
  const inspector = device(program)
  await inspector.run('enrol', '--server', desk.url, '--code', enrolment.code)
  await inspector.run('packet')
  await page.evaluate(() => (globalThis.sameDocument = true))
  const cell = page.locator(`tr[data-school="${target}"] [data-indicator="L2"]`)
  await page.getByPlaceholder('查找学校').fill(target)
  assert.notEqual(await cell.getAttribute('data-outcome'), 'not_met')
  await inspector.run('set', target, 'quantities/teachers_backbone:primary', 'value=0')
  await inspector.run('sync')
  await page.locator(`tr[data-school="${target}"] [data-indicator="L2"][data-outcome="not_met"]`).waitFor()
  assert.equal(((await cell.locator('.value').textContent()) ?? '').trim(), '0.00')
  const changed = await assessment()
  const printed = changed.county.stages.find(({ stage }) => stage === 'primary').coefficients.find(({ id }) => id === 'L2').printed
  await page.locator('#coefficients tbody tr', { hasText: 'L2 ' }).getByText(printed, { exact: true }).waitFor()
  assert.equal(await page.evaluate(() => globalThis.sameDocument), true, 'the document is the same')
  inspector.end()
  await desk.picture(page, 'county-changed')

  desk.doing("a school's page: gaps in units that someone can act on, declared against observed")
  await line.count()
  for (let click = 0; click < 2; click += 1) await page.locator('.heat th.pupils button').click()
  await page.locator(`tr[data-school="${target}"] a`).click()
  await page.locator('[data-stage="primary"]').waitFor()
  const own = await bureau.get(`/rounds/${ROUND}/schools/${target}/assessment`)
  const l2 = own.stages[0].indicators.find(({ id }) => id === 'L2')
  const gap = l2.conditions[0].lacking[0].text.zh
  const row = page.locator('[data-stage="primary"] tbody tr', { hasText: 'L2' })
  await row.getByText(gap).waitFor()
  assert.equal(await row.locator('td').filter({ hasText: l2.conditions[0].value.printed }).count() > 0, true)
  const figure = page.locator('table tbody tr', { hasText: standard.quantities.teachers_backbone.name.zh }).last()
  assert.match((await figure.textContent()) ?? '', /现场核实/)
  await desk.picture(page, 'school', true)
  await desk.accessible(page, 'a school')
  await page.goBack()
  await page.locator('.heat tbody tr.line').first().waitFor()
  assert.equal(await page.locator('.heat th.pupils').getAttribute('aria-sort'), 'descending', 'the heat map is as it was left')

  desk.doing('what if: side by side with today, as the server answers it')
  const plan = [{ change: 'set_quantity', school: target, figure: 'teachers_backbone:primary', value: '60' }]
  const expected = await bureau.post(`/rounds/${ROUND}/what-if`, { changes: plan })
  await page.getByRole('link', { name: '假设测算' }).click()
  await page.locator('select[name="kind"]').selectOption('set_quantity')
  await page.locator('select[name="school"]').selectOption(target)
  await page.locator('select[name="figure"]').selectOption('teachers_backbone:primary')
  await page.getByRole('button', { name: '加入方案' }).click()
  await page.getByText('请填写不小于 0 的数字').waitFor()
  await page.locator('input[name="value"]').fill('60')
  await page.getByRole('button', { name: '加入方案' }).click()
  await page.locator('[data-test="side-by-side"] tbody tr').first().waitFor()
  for (const stage of expected.after.county.stages) {
    for (const one of stage.coefficients) {
      const pair = page.locator(`tr[data-result="CV/${one.id}/${stage.stage}"] td`)
      assert(((await pair.nth(1).textContent()) ?? '').trim().endsWith(one.printed), `${stage.stage} ${one.id}`)
    }
  }
  const before = expected.before.stages.find(({ stage }) => stage === 'primary').coefficients.find(({ id }) => id === 'L2').printed
  assert(((await page.locator('tr[data-result="CV/L2/primary"] td').first().textContent()) ?? '').trim().endsWith(before))
  assert.match(page.url(), /plan=/, 'the plan is in the address')
  await desk.picture(page, 'what-if', true)
  await desk.accessible(page, 'what-if')
  await page.reload()
  await page.locator('[data-test="side-by-side"] tbody tr').first().waitFor()

  desk.doing("the county's own figures are entered, delivered, and the board follows")
  await page.getByRole('link', { name: '县级数据' }).click()
  const satisfaction = page.locator('[id="quantities/survey_satisfaction_percent:whole"]')
  await satisfaction.fill('八十')
  await page.getByText('不是有效的数字').waitFor()
  const save = page.getByRole('button', { name: '保存 1 项' })
  for (const more of ['100.5', '101']) {
    await satisfaction.fill(more)
    await page.getByText('超过 100%').waitFor()
    assert.equal(await save.isEnabled(), true, 'it is said, and may be saved all the same')
    await satisfaction.fill('100')
    await page.getByText('超过 100%').waitFor({ state: 'detached' })
  }
  await satisfaction.fill('60.5')
  await desk.picture(page, 'own-figures')
  await desk.accessible(page, 'county figures')
  await page.getByRole('button', { name: '保存 1 项' }).click()
  await page.locator('[data-written="quantities/survey_satisfaction_percent:whole"]').getByText('60.5').waitFor()
  const after = await assessment()
  assert.equal(after.county.dimensions.find(({ id }) => id === 'A4').outcome, 'not_met')
  await page.getByRole('link', { name: '全县看板' }).click()
  await page.locator('[data-dimension="A4"] .dimension', { hasText: '不达标' }).waitFor()

  desk.doing('where the store does not open, figures say so and are saved after another try')
  const other = await desk.open()
  desk.expected.push(/status of 503/, /wasm|WebAssembly/i)
  let fail
  const failing = new Promise((resolve) => (fail = resolve))
  await other.context().route('**/*.wasm', async (route) => {
    await failing
    await route.fulfill({ status: 503, body: '' })
  })
  await desk.login(other, 'bureau')
  await desk.go(other, `/rounds/${ROUND}/county`)
  const facts = other.locator('[id="quantities/survey_satisfaction_percent:whole"]')
  await facts.fill('61.5')
  await other.getByRole('button', { name: '保存 1 项' }).click()
  fail()
  await other.locator('.bar').getByRole('alert').waitFor()
  await desk.picture(other, 'store-broken')
  await other.context().unroute('**/*.wasm')
  await other.getByRole('button', { name: '重试' }).first().click()
  await other.waitForFunction(() => !document.querySelector('.bar button[type=submit]')?.disabled)
  await other.getByRole('button', { name: '保存 1 项' }).click()
  await other.locator('[data-written="quantities/survey_satisfaction_percent:whole"]').getByText('61.5').waitFor()
  await other.context().close()

  desk.doing('while many sync, one reading runs and one waits')
  let reads = 0
  let running = 0
  let most = 0
  let open
  const held = new Promise((resolve) => (open = resolve))
  let begin
  const begun = new Promise((resolve) => (begin = resolve))
  await page.route(`**/api/rounds/${ROUND}/assessment`, async (route) => {
    reads += 1
    running += 1
    most = Math.max(most, running)
    begin()
    await held
    await route.continue()
    running -= 1
  })
  const crowd = device(program)
  const joins = await bureau.post('/enrolments', { person_name: '人群', person: null, round: ROUND, schools: [target] })
  await crowd.run('enrol', '--server', desk.url, '--code', joins.code)
  await crowd.run('packet')
  for (const value of ['1', '2', '3', '4']) {
    await crowd.run('set', target, 'quantities/teachers_backbone:primary', `value=${value}`)
    await crowd.run('sync')
    await begun
  }
  const answered = page.waitForResponse((answer) => answer.url().endsWith('/assessment') && reads >= 2)
  open()
  await answered
  assert.deepEqual([reads, most], [2, 1], 'readings of the assessment, and at once')
  await page.unroute(`**/api/rounds/${ROUND}/assessment`)
  crowd.end()

  desk.doing('decimals are ordered and exported as the numbers that they are')
  const decimals = ['96.5', '96.25', '96.4', '100', '9.75', '96.250', '12–15', '未定']
  const stages = after.county.stages.map((one) => ({ ...one, coefficients: one.coefficients.map((row, index) => ({ ...row, printed: decimals[index] ?? row.printed })) }))
  await page.route(`**/api/rounds/${ROUND}/assessment`, (route) => route.fulfill({ json: { ...after, county: { ...after.county, stages } } }))
  await page.reload()
  const coefficients = page.locator('#coefficients')
  await coefficients.getByRole('cell', { name: '96.4', exact: true }).waitFor()
  const printedColumn = () => coefficients.locator('tbody tr td:nth-child(3)').allTextContents()
  await coefficients.locator('thead').getByRole('button', { name: '差异系数' }).click()
  const downwards = (await printedColumn()).map((text) => text.trim()).filter((text) => decimals.includes(text))
  assert.deepEqual(downwards, ['未定', '100', '96.5', '96.4', '96.25', '96.250', '12–15', '9.75'])
  const [numbers] = await Promise.all([page.waitForEvent('download'), coefficients.getByRole('button', { name: '导出 XLSX' }).click()])
  const cells = [...cellsOf(readFileSync(await numbers.path()))].filter(([name]) => /^C([2-9]|\d\d)$/.test(name)).map(([, cell]) => cell)
  assert.deepEqual(cells.map(({ kind }) => kind), ['s', 'n', 'n', 'n', 'n', 'n', 's', 'n'], 'a range and a word are texts')
  assert.deepEqual(cells.filter(({ kind }) => kind === 'n').map(({ value }) => value), ['100', '96.5', '96.4', '96.25', '96.25', '9.75'])
  await page.unroute(`**/api/rounds/${ROUND}/assessment`)

  desk.doing('of two thousand schools only those in sight are in the page')
  const many = Array.from({ length: 2_000 }, (_, index) => {
    const id = `990102${String(index).padStart(4, '0')}`
    return { ...school, school: { ...school.school, id, name: `第${index}小学` }, figures: {} }
  })
  await page.route(`**/api/rounds/${ROUND}/assessment`, (route) => route.fulfill({ json: { ...after, schools: many } }))
  await page.reload()
  const inPage = page.locator('.heat tbody tr.line')
  await inPage.first().waitFor()
  const first = await inPage.first().getAttribute('data-school')
  assert((await inPage.count()) < 100, 'rows in the page')
  await page.locator('.heat').evaluate((heat) => heat.scrollTo(0, heat.scrollHeight))
  await page.locator(`tr[data-school="${many.at(-1).school.id}"]`).waitFor()
  assert((await inPage.count()) < 100, 'rows in the page at the end')
  assert.notEqual(await inPage.first().getAttribute('data-school'), first)
})
