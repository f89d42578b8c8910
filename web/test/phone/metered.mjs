// On a network that is paid by volume measurements go at once and photos wait,
// until the inspector has them sent or the network is another.

export const name = 'a metered network'
const SCHOOL = '9901010017'
const WAITS = { hasText: '流量计费网络，照片暂停发送' }

/** The browser's word on the network, which a test cannot give by DevTools. */
function connection() {
  const told = Object.assign(new EventTarget(), { type: sessionStorage.getItem('network') ?? 'cellular', saveData: false })
  Object.defineProperty(navigator, 'connection', { value: told })
  globalThis.changeNetwork = (type) => {
    sessionStorage.setItem('network', type)
    told.type = type
    told.dispatchEvent(new Event('change'))
  }
}

async function capture(phone, number, photo) {
  const { page } = phone
  await phone.school(SCHOOL, 'rooms/new')
  await page.locator('[data-value="library"]').click()
  await phone.fill('identity/number', number)
  await phone.fill('size/length_m', '12')
  await phone.fill('size/width_m', '8')
  await page.locator('[data-test="camera"]').setInputFiles(photo)
  await page.locator('.photos img').waitFor()
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: `${number} · 图书馆` }).waitFor()
}

export async function run(world) {
  const phone = world.phone('metered')
  const page = await phone.open()
  await phone.context.addInitScript(connection)
  await phone.enrol(await world.code('fan-wei', [SCHOOL]))
  const outbox = page.locator('[data-test="outbox"]')
  const photo = page.locator('.van-cell', WAITS)

  world.doing('measurements go, the photo waits')
  await capture(phone, '501', world.photos.small)
  await phone.at('sync')
  await photo.waitFor()
  await outbox.filter({ hasText: '待送 1 项' }).waitFor()
  await page.locator('[data-test="receipt"]').first().waitFor()
  await phone.picture('sync-metered')

  world.doing('the inspector has photos sent all the same')
  const waits = page.getByRole('switch', { name: '流量计费时照片等待' })
  await waits.click()
  await page.locator('[data-test="receipt"]', { hasText: '1 张照片' }).first().waitFor()
  await outbox.filter({ hasText: '全部内容已由服务器签收' }).waitFor()

  world.doing('the choice stays, and is taken back')
  await page.reload()
  await page.locator('[role="switch"][aria-checked="false"]').first().waitFor()
  await waits.click()
  await capture(phone, '502', world.photos.other)
  await phone.at('sync')
  await photo.waitFor()

  world.doing('another network: the photo goes by itself')
  await page.evaluate(() => globalThis.changeNetwork('wifi'))
  await outbox.filter({ hasText: '全部内容已由服务器签收' }).waitFor()
}
