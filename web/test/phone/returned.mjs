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
  await phone.synced()

  world.doing('the supervisor returns it')
  const supervisor = world.line('supervisor', { DUXUE_PASSWORD: 'duxue-demo-supervisor' })
  await supervisor('login', '--server', world.url, '--name', 'supervisor')
  await supervisor('packet')
  await supervisor('sync')
  await supervisor('survey', SCHOOL)
  await supervisor('return', SCHOOL, ENTRY, '--reason', REASON)
  await supervisor('sync')

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

  world.doing('a new figure answers it')
  await phone.school(SCHOOL, 'quantities')
  await phone.fill('teachers:primary', '29')
  await page.locator('input[id="teachers:primary"]').blur()
  await page.locator('input[id="teachers:primary"]:not(.drafted)').waitFor()
  await phone.at('')
  await returned.waitFor({ state: 'detached' })
  await phone.synced()
}
