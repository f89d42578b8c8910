// What the scenarios share: phones (a browser with a profile of its own), the
// server's interface for the other parties, and the command line.

import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'

/** The longest wait for one thing; a machine that does much else needs more. */
const PATIENCE_MS = Number(process.env.DUXUE_PATIENCE_MS ?? 30_000)
export const ROUND = 'demo-2026'
export const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
/** The browser's words for a network that the scenario took away, and for a disk that it filled. */
const EXPECTED = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_FAILED|WebSocket connection|net::ERR_/

const run = promisify(execFile)

export class World {
  constructor({ url, browser, photos, duxue, results }) {
    Object.assign(this, { url, browser, photos, duxue, results })
    this.phones = []
    this.figures = {}
    this.pictures = 0
  }

  /** Someone of the demonstration's desk, the administrator where nobody is named. */
  async api(method, path, body, who = 'admin') {
    this.tokens ??= {}
    if (!this.tokens[who]) {
      const login = { name: who, password: `duxue-demo-${who}` }
      const answer = await fetch(`${this.url}/api/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(login) })
      this.tokens[who] = (await answer.json()).token
    }
    const answer = await fetch(`${this.url}/api${path}`, {
      method,
      headers: { authorization: `Bearer ${this.tokens[who]}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    const text = await answer.text()
    return text === '' ? null : JSON.parse(text)
  }

  /** A school as the bureau sees it, as text to look into. */
  async seen(school) {
    return JSON.stringify(await this.api('GET', `/rounds/${ROUND}/schools/${school}`, undefined, 'bureau'))
  }

  /** A one-time code for an inspector of some schools. */
  async code(person, schools) {
    const enrolment = await this.api('POST', '/enrolments', { person_name: person, person, round: ROUND, schools })
    return enrolment.code
  }

  /** A command line of someone else, with a home of its own. */
  line(name, environment = {}) {
    const home = join(this.results, 'homes', name)
    return async (...words) => {
      const { stdout } = await run(this.duxue, ['--home', home, '--lang', 'en', ...words], { env: { ...process.env, ...environment }, timeout: PATIENCE_MS })
      return stdout
    }
  }

  phone(name, options = {}) {
    const phone = new Phone(this, name, options)
    this.phones.push(phone)
    return phone
  }

  async end() {
    for (const phone of this.phones) {
      await phone.close()
      rmSync(phone.profile, { recursive: true, force: true })
    }
    rmSync(join(this.results, 'homes'), { recursive: true, force: true })
  }

  doing(step) {
    this.step = step
    console.log(`  · ${step}`)
  }
}

export class Phone {
  constructor(world, name, { origin = world.url, ...options }) {
    Object.assign(this, { world, name, origin, options })
    this.profile = join(world.results, 'profiles', name)
    this.complaints = []
    rmSync(this.profile, { recursive: true, force: true })
    mkdirSync(this.profile, { recursive: true })
  }

  async open() {
    this.context = await chromium.launchPersistentContext(this.profile, {
      executablePath: this.world.browser,
      headless: true,
      args: ARGUMENTS,
      viewport: { width: 360, height: 740 },
      deviceScaleFactor: 2,
      isMobile: true,
      hasTouch: true,
      locale: 'zh-CN',
      timezoneId: 'Asia/Shanghai',
      ...this.options,
    })
    this.context.setDefaultTimeout(PATIENCE_MS)
    this.context.on('page', (page) => this.watch(page))
    this.context.pages().forEach((page) => this.watch(page))
    this.page = this.context.pages()[0] ?? (await this.context.newPage())
    return this.page
  }

  /** What a page complains of fails the scenario. */
  watch(page) {
    page.on('pageerror', (error) => this.complaints.push(`${this.world.step}: ${error}`))
    page.on('console', (message) => {
      const text = message.text()
      if (message.type() === 'error' && !EXPECTED.test(text)) this.complaints.push(`${this.world.step}: ${text}`)
    })
  }

  async close() {
    await this.context?.close()
    this.context = undefined
  }

  /** The app put away and opened again, as cold as a browser that runs can be. */
  async reopen(place = '') {
    await this.page.close()
    this.page = await this.context.newPage()
    await this.at(place)
    return this.page
  }

  at(place) {
    return this.page.goto(`${this.origin}/phone/${place && `#/${place}`}`)
  }

  school(school, rest = '') {
    return this.at(`school/${ROUND}/${school}${rest && `/${rest}`}`)
  }

  fill(id, text) {
    return this.page.locator(`[id="${id}"]`).fill(text)
  }

  text(id) {
    return this.page.locator(`[id="${id}"]`).inputValue()
  }

  async enrol(code, device = '测试手机') {
    await this.at(`enrol/${code}`)
    await this.page.locator('input[name="device"]').fill(device)
    await this.page.getByRole('button', { name: /^(登记|Enrol)$/ }).click()
    await this.page.getByText(/已可离线使用|Ready to work offline/).waitFor()
  }

  /** Everything sent and signed for. */
  async synced() {
    await this.at('sync')
    await this.page.getByRole('button', { name: /^(立即同步|Sync now)$/ }).click()
    await this.page.locator('[data-test="outbox"]', { hasText: /全部内容已由服务器签收|signed for everything/ }).waitFor({ timeout: 2 * PATIENCE_MS })
  }

  async devtools() {
    return this.context.newCDPSession(this.page)
  }

  async picture(name) {
    this.world.pictures += 1
    const file = `${String(this.world.pictures).padStart(2, '0')}-${name}.png`
    await this.page.screenshot({ path: join(this.world.results, file), animations: 'disabled' })
  }
}
