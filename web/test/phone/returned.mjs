// The supervisor returns an entry; the phone shows it with the reason, leads to
// the entry, and the answer is a new claim.


export const name = 'a supervisor’s return'
const SCHOOL = '9901010015'
const ENTRY = 'quantities/teachers:primary'
const REASON = '与花名册不符'

export async function run(world) {
  const phone = world.phone('returned')
  const page = await phone.open()
  await phone.enrol(await world.code('zhou-min', [SCHOOL]))

  world.doing('a figure is captured and synced')
  await phone.school(SCHOOL, 'quantities')
  await phone.fill('teachers:primary', '28')
  await page.locator('input[id="teachers:primary"]').blur()
  await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()
  await phone.school(SCHOOL, 'rooms/new')
  await page.locator('[data-value="art"]').click()
  await phone.fill('identity/number', '301')
  await phone.fill('size/length_m', '9')
  await phone.fill('size/width_m', '8')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: '301 · 美术' }).waitFor()
  await phone.synced()

  world.doing('the supervisor returns it')
  const supervisor = world.line('supervisor', { DUXUE_PASSWORD: 'duxue-demo-supervisor' })
  await supervisor('login', '--server', world.url, '--name', 'supervisor')
  await supervisor('packet')
  await supervisor('sync')
  const giveBack = async (entry) => {
    await supervisor('sync')
    await supervisor('survey', SCHOOL)
    await supervisor('return', SCHOOL, entry, '--reason', REASON)
    await supervisor('sync')
  }
  await giveBack(ENTRY)

  world.doing('the phone shows it by itself, with the reason')
  await phone.at('')
  const returned = page.locator('[data-test="returned"]', { hasText: REASON })
  await returned.waitFor()
  await phone.picture('today-returned')
  await returned.click()
  await page.locator('input[id="teachers:primary"]').waitFor()
  await phone.school(SCHOOL)
  await page.locator('.van-cell', { hasText: `退回：${REASON}` }).waitFor()
  await phone.picture('school-returned')

  world.doing('the same figure, seen again, answers it')
  await page.locator('.van-cell', { hasText: `退回：${REASON}` }).click()
  const row = page.locator('[id="row-teachers:primary"]')
  await row.locator('[data-test="again"]').click()
  await row.getByText(REASON).waitFor({ state: 'detached' })
  await phone.synced()
  await giveBack(ENTRY)

  world.doing('a photo answers it')
  await phone.at('')
  await returned.click()
  await row.getByText(REASON).waitFor()
  await row.locator('[data-test="more"]').click()
  await row.locator('[data-test="camera"]').setInputFiles(world.photos.small)
  await row.getByText(REASON).waitFor({ state: 'detached' })
  await phone.synced()
  await giveBack(ENTRY)
  await phone.at('')
  await returned.waitFor()

  world.doing('a new figure answers it')
  await phone.school(SCHOOL, 'quantities')
  await phone.fill('teachers:primary', '29')
  await page.locator('input[id="teachers:primary"]').blur()
  await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()
  await phone.at('')
  await returned.waitFor({ state: 'detached' })
  await phone.synced()

  world.doing('a room that came back is the same when it is measured again')
  const size = /rooms\/[0-9a-z]+\/size/.exec(await world.seen(SCHOOL))?.[0] ?? `rooms/${/"rooms\/([0-9a-z]+)"/.exec(await world.seen(SCHOOL))[1]}/size`
  await giveBack(size)
  await phone.at('')
  await returned.click()
  await page.locator('[data-test="again-size"]').check()
  await phone.picture('room-again')
  await page.getByRole('button', { name: '保存' }).click()
  await page.locator('.van-cell', { hasText: '301 · 美术' }).waitFor()
  await phone.at('')
  await returned.waitFor({ state: 'detached' })
  await phone.synced()
}
