// What the scenarios of the board and of the administration share: a browser
// at a desk, the server's answers to hold it against, and the command line as
// the other party.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inflateRawSync } from 'node:zlib'
import { chromium } from 'playwright-core'

export const ROUND = 'demo-2026'
/** The longest wait for one thing; a machine that does much else needs more. */
export const PATIENCE_MS = Number(process.env.DUXUE_PATIENCE_MS ?? 30_000)
const here = dirname(fileURLToPath(import.meta.url))
const results = join(here, '../test-results/desk')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The accounts of the demonstration (`xtask/src/run.rs`). */
export const PASSWORDS = { bureau: 'duxue-demo-bureau', supervisor: 'duxue-demo-supervisor', admin: 'duxue-demo-admin' }

export function environment() {
  const { DUXUE_URL: url, CHROMIUM: browser, DUXUE_CLI: program } = process.env
  assert(url && browser && program, 'set DUXUE_URL, DUXUE_CLI and CHROMIUM')
  return { url, browser, program }
}

/** The server's answers, as the page should show them. */
export async function session(url, name) {
  const ask = async (method, path, body, token) => {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, json: answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : null }
  }
  const { json } = await ask('POST', '/login', { name, password: PASSWORDS[name] })
  const call = async (method, path, body) => {
    const { status, json: found } = await ask(method, path, body, json.token)
    assert(status < 300, `${method} ${path}: ${status} ${JSON.stringify(found)}`)
    return found
  }
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    status: async (path, token) => (await ask('GET', path, undefined, token)).status,
    /** Whether it is there for them. */
    sees: async (path) => (await ask('GET', path, undefined, json.token)).status === 200,
  }
}

/** The command line on a device of its own. */
export function device(program) {
  const home = mkdtempSync(join(tmpdir(), 'duxue-board-'))
  const run = async (...words) => (await promisify(execFile)(program, ['--home', home, '--lang', 'en', ...words], { timeout: PATIENCE_MS })).stdout
  return { run, end: () => rmSync(home, { recursive: true, force: true }) }
}

/** The cells of a workbook's first sheet, by their names: the kind, and what stands in them (of texts their place in the list). */
export function cellsOf(workbook) {
  const end = workbook.lastIndexOf('PK\x05\x06')
  let at = workbook.readUInt32LE(end + 16)
  for (; workbook.readUInt32LE(at) === 0x02014b50; at += 46 + workbook.readUInt16LE(at + 28) + workbook.readUInt16LE(at + 30) + workbook.readUInt16LE(at + 32)) {
    const name = workbook.toString('utf8', at + 46, at + 46 + workbook.readUInt16LE(at + 28))
    if (name !== 'xl/worksheets/sheet1.xml') continue
    const file = workbook.readUInt32LE(at + 42)
    const begin = file + 30 + workbook.readUInt16LE(file + 26) + workbook.readUInt16LE(file + 28)
    const packed = workbook.subarray(begin, begin + workbook.readUInt32LE(at + 20))
    const xml = (workbook.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed)).toString('utf8')
    const cells = [...xml.matchAll(/<c r="([A-Z]+\d+)"([^>]*)><v>([^<]*)<\/v>/g)]
    return new Map(cells.map(([, cell, about, value]) => [cell, { kind: about.match(/ t="(\w+)"/)?.[1] ?? 'n', value }]))
  }
  return assert.fail('the workbook has no sheet')
}

/** Runs a scenario and ends the process with what it came to. */
export async function scenario(name, play) {
  const { url, browser: executablePath } = environment()
  mkdirSync(results, { recursive: true })
  // Pictures of an earlier run, above all of one that failed, say nothing of this one.
  for (const old of readdirSync(results).filter((file) => file.startsWith(`${name}-`))) rmSync(join(results, old))
  const problems = []
  let step = 'start'
  let pictures = 0
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  const desk = {
    url,
    doing: (what) => {
      step = what
      console.log(`· ${what}`)
    },
    /** What the page complains of on purpose, such as a refusal that is tried. */
    expected: [],
    async open(size = { width: 1440, height: 900 }) {
      const context = await browser.newContext({ viewport: size, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', acceptDownloads: true })
      context.setDefaultTimeout(PATIENCE_MS)
      const page = await context.newPage()
      page.on('pageerror', (error) => problems.push(`${step}: ${error}`))
      page.on('console', (message) => {
        const text = message.text()
        if (message.type() === 'error' && !desk.expected.some((known) => known.test(text))) problems.push(`${step}: ${text}`)
      })
      return page
    },
    async login(page, who) {
      await page.goto(`${url}/desk/#/login`)
      await page.getByLabel('账号').fill(who)
      await page.getByLabel('密码').fill(PASSWORDS[who])
      await page.getByRole('button', { name: '登录' }).click()
      await page.getByRole('button', { name: '退出登录' }).waitFor()
    },
    go: (page, path) => page.goto(`${url}/desk/#${path}`),
    async picture(page, of, fullPage = false) {
      pictures += 1
      const number = String(pictures).padStart(2, '0')
      await page.screenshot({ path: join(results, `${name}-${number}-${of}.png`), animations: 'disabled', fullPage })
    },
    /** Nothing serious for those who use a keyboard or a screen reader. */
    async accessible(page, of) {
      await page.evaluate(AXE)
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
      const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      const said = grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary}`).join(' | ')}`)
      assert.deepEqual(said, [], `axe finds in ${of}`)
    },
  }
  let failed
  try {
    await play(desk)
  } catch (error) {
    failed = error
  }
  if (failed) await Promise.all(browser.contexts().flatMap((context) => context.pages()).map((page) => desk.picture(page, 'failed').catch(() => undefined)))
  await browser.close()
  for (const problem of problems) console.error(`the page complains: ${problem}`)
  if (failed) {
    console.error(`failed at: ${step}`)
    console.error(failed)
  }
  console.log(`${pictures} pictures in web/test-results/desk`)
  process.exit(failed || problems.length ? 1 : 0)
}
