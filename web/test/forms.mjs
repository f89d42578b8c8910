// The national forms in a real browser: every cell as the server fills it in,
// with what leaves it open; they follow a claim that arrives, are printed in
// landscape and leave as files. And the template of the register, which the
// import takes back.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import { ROUND, device, environment, scenario, session } from './board-kit.mjs'

const squeeze = (text) => (text ?? '').replace(/\s+/g, '')
const FORMS = ['I', 'II-1', 'II-2', 'III', 'IV', 'V', 'VI']

/** The texts of a zip's files by name, from its directory at the end. */
function unzip(bytes) {
  const files = {}
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  let at = bytes.readUInt32LE(end + 16)
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [size, name, extra, comment] = [bytes.readUInt32LE(at + 20), bytes.readUInt16LE(at + 28), bytes.readUInt16LE(at + 30), bytes.readUInt16LE(at + 32)]
    const local = bytes.readUInt32LE(at + 42)
    const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
    const packed = bytes.subarray(from, from + size)
    files[bytes.toString('utf8', at + 46, at + 46 + name)] = (bytes.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed)).toString('utf8')
    at += 46 + name + extra + comment
  }
  return files
}

await scenario('forms', async (desk) => {
  const { program } = environment()
  const bureau = await session(desk.url, 'bureau')
  const national = () => bureau.get(`/rounds/${ROUND}/forms`)
  const page = await desk.open()
  const shown = (id) => page.locator(`[data-form="${id}"]`)

  desk.doing('every cell of every form is that of the server, and what is open says so')
  await desk.login(page, 'bureau')
  await page.getByRole('link', { name: '国家报表' }).click()
  await shown('I').waitFor()
  const truth = await national()
  assert.deepEqual(truth.forms.map(({ id }) => id), FORMS)
  for (const form of truth.forms) {
    await page.locator(`[data-tab="${form.id}"]`).click()
    await shown(form.id).waitFor()
    await page.waitForURL(new RegExp(`/forms/${form.id}$`))
    const rows = await shown(form.id).locator('tbody tr').all()
    const table = await Promise.all(rows.map((row) => row.locator('td').allTextContents()))
    if (form.rows.length === 0) continue
    assert.equal(table.length, form.rows.length, form.id)
    form.rows.forEach((cells, number) => {
      const own = cells.filter((cell, column) => column >= form.grouped || number === 0 || form.rows[number - 1][column].printed !== cell.printed)
      const expected = own.map((cell) => squeeze(cell.printed) + (cell.note ? '※' + squeeze(cell.note.zh) : '') + (cell.open ? '待定' : ''))
      assert.deepEqual(table[number].map(squeeze), expected, `${form.id} row ${number + 1}`)
    })
    const heads = squeeze((await shown(form.id).locator('thead').textContent()) ?? '')
    for (const { text } of form.head.flat()) assert(heads.includes(squeeze(text.zh)), `${form.id}: ${text.zh}`)
    await desk.picture(page, `form-${form.id}`)
    await desk.accessible(page, `form ${form.id}`)
  }
  const banner = squeeze(await page.locator('[data-test="status"]').textContent())
  assert(banner.includes(truth.final ? '已可定稿' : `${truth.open_cells}个单元格待定`), banner)
  if (truth.open_conflicts) assert(banner.includes(`${truth.open_conflicts}处冲突待裁决`), banner)

  desk.doing('a link to one form opens it, and why a cell is open leads to the school')
  const open = truth.forms.find(({ id }) => id === 'II-2').rows.flat().find((cell) => cell.open?.reasons.some(({ school }) => school))
  assert(open, 'something in the demonstration is not known yet')
  await desk.go(page, `/rounds/${ROUND}/forms/II-2`)
  await page.reload()
  await shown('II-2').waitFor()
  const reason = open.open.reasons.find(({ school }) => school)
  const cause = page.locator('[data-test="causes"] dl > div', { hasText: reason.school_name }).first()
  assert(((await cause.textContent()) ?? '').includes(reason.text.zh))
  await cause.scrollIntoViewIfNeeded()
  await desk.picture(page, 'causes')
  await cause.getByRole('link').click()
  await page.waitForURL(`**/board/${reason.school}`)
  await page.goBack()
  await shown('II-2').waitFor()

  desk.doing('a claim that arrives changes the form while it is looked at')
  await page.evaluate(() => void (globalThis.sameDocument = true))
  const row = truth.forms.find(({ id }) => id === 'II-2').rows.find((cells) => !cells.some(({ open: doubt }) => doubt))
  const name = row[1].printed
  const before = row[7].printed
  const school = (await bureau.get(`/rounds/${ROUND}/schools`)).find((one) => one.school.name === name && one.school.kind === 'primary')?.school.id
  if (school) {
    const inspector = device(program)
    const { code } = await bureau.post('/enrolments', { person_name: '报表测试员', round: ROUND, schools: [school] })
    await inspector.run('enrol', '--server', desk.url, '--code', code, '--name', 'forms')
    await inspector.run('packet')
    await inspector.run('sync')
    await inspector.run('set', school, 'quantities/teachers_backbone:primary', 'value=0')
    await inspector.run('sync')
    await page.locator('[data-form="II-2"] tbody tr', { hasText: name }).first().locator('td').nth(7).getByText('0.00').waitFor()
    assert.notEqual(before, '0.00')
    assert.equal(await page.evaluate(() => globalThis.sameDocument), true, 'the document is the same')
    inspector.end()
  }

  desk.doing('the workbook has a sheet a form with merged heads, the table is the form')
  const now = await national()
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: '本表 CSV' }).click()])
  const lines = readFileSync(await csv.path(), 'utf8').trim().split('\r\n')
  const second = now.forms.find(({ id }) => id === 'II-2')
  assert.equal(lines.length, second.rows.length + 1)
  assert(lines[1].includes(second.rows[0][1].printed))
  const [xlsx] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: '全部表 XLSX' }).click()])
  const book = unzip(readFileSync(await xlsx.path()))
  const names = [...book['xl/workbook.xml'].matchAll(/<sheet [^>]*name="([^"]*)"/g)].map(([, found]) => found)
  assert.deepEqual(names, ['表Ⅰ', '表Ⅱ-1', '表Ⅱ-2', '表Ⅲ', '表Ⅳ', '表Ⅴ', '表Ⅵ', '说明与待定'])
  const first = book['xl/worksheets/sheet1.xml']
  for (const merged of ['A1:X1', 'A3:D3', 'N3:N5', 'U3:X3']) assert(first.includes(`ref="${merged}"`), `${merged} is merged`)
  assert(first.includes('orientation="landscape"'))
  assert(book['xl/worksheets/sheet2.xml'].includes('ref="A5:A6"'), 'the stage spans its lines')

  desk.doing('on paper: landscape, one form a page, heads again')
  await page.evaluate(() => void (globalThis.print = () => undefined))
  await page.getByRole('button', { name: '打印全部' }).click()
  const paper = (await page.pdf({ preferCSSPageSize: true })).toString('latin1')
  const sizes = [...paper.matchAll(/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)/g)].map(([, width, height]) => Number(width) > Number(height))
  assert(sizes.length >= FORMS.length, `${sizes.length} pages`)
  assert(sizes.every(Boolean), 'every page is landscape')
  await page.emulateMedia({ media: 'print' })
  await desk.picture(page, 'paper', true)
  await page.emulateMedia({ media: 'screen' })
  await page.evaluate(() => dispatchEvent(new Event('afterprint')))

  desk.doing('at 1024 × 768, and in English')
  await page.setViewportSize({ width: 1024, height: 768 })
  for (const id of ['I', 'II-2']) {
    await page.locator(`[data-tab="${id}"]`).click()
    await shown(id).waitFor()
    await desk.picture(page, `1024-${id}`)
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'the page is no wider than the screen')
  }
  await page.getByRole('button', { name: 'English' }).click()
  await page.getByRole('heading', { name: 'National forms' }).waitFor()
  for (const id of FORMS) {
    await page.locator(`[data-tab="${id}"]`).click()
    await shown(id).waitFor()
    await desk.picture(page, `english-${id}`)
  }
  await desk.accessible(page, 'the forms in English')
  await page.getByRole('button', { name: '中文' }).click()
  await page.setViewportSize({ width: 1440, height: 900 })

  desk.doing('with the keyboard alone')
  await page.locator('[data-tab="I"]').focus()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await shown('II-1').waitFor()

  desk.doing('a server that does not answer is said, with a way to try again')
  desk.expected.push(/status of 503/)
  // What the feed tells would have the page read again by itself, before the tap.
  await page.route('**/feed', () => undefined)
  await page.route(`**/api/rounds/${ROUND}/forms`, (route) => route.fulfill({ status: 503, json: { code: 'store.failed', message_zh: '暂时读不到', message_en: 'cannot be read now' } }))
  await page.reload()
  await page.getByText('暂时读不到').waitFor()
  await desk.picture(page, 'error')
  await page.unroute(`**/api/rounds/${ROUND}/forms`)
  await page.getByRole('button', { name: '重试' }).click()
  await shown('II-1').waitFor()
  await page.unroute('**/feed')

  desk.doing('the template of the register comes back through the import')
  await desk.go(page, `/rounds/${ROUND}/import`)
  const [template] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: '下载填报模板' }).click()])
  const made = await template.path()
  const sheets = [...unzip(readFileSync(made))['xl/workbook.xml'].matchAll(/<sheet [^>]*name="([^"]*)"/g)].map(([, found]) => found)
  assert.deepEqual(sheets, ['学校', '县级数据', '填写说明'])
  await page.locator('input[name="register"]').setInputFiles({ name: 'template.xlsx', mimeType: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', buffer: readFileSync(made) })
  await page.getByText('检查通过：0 所学校').waitFor()
  await desk.picture(page, 'template')
  await desk.accessible(page, 'the import page')
})
