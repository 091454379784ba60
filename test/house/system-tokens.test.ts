import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestCli } from '../../src/cli/testing.ts'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { ADMIN, REFERENCE } from './kit.ts'
import { startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** The life of a token of a system account: a year, a month of which somebody is told that it ends. */

const DAY = 86_400_000
const YEAR = 365 * DAY

let house: TestHouse
let cli: TestCli
/** The house's clock is so far behind the command line's. */
const late = { ms: 0 }

beforeAll(async () => {
  const clock = { now: () => Date.now() - late.ms }
  ;({ house, cli } = await startHouseWithCli({ toml: REFERENCE, clock }))
})

afterAll(() => house.close())

/** A system account with a token that was made so many days ago. */
async function makeToken(userId: string, daysAgo: number) {
  late.ms = daysAgo * DAY
  const { identity, clock } = house.gatehouse
  await identity.accounts.create({ userId, kind: 'system' }, ADMIN)
  return identity.createKey({ userId, gateways: ['demo'], role: 'user', expiresAt: clock.now() + YEAR }, ADMIN)
}

const use = (key: string) => callTool({ url: gatewayUrl(house, 'demo'), key }, 'whoami', {})

test('it is made for 365 days, shown once and kept as a hash', async () => {
  await cli('account', 'add', 'backup-bot', '--system')
  const made = await cli('account', 'token', 'backup-bot', '--gateway', 'demo', '--json')
  const { key, expiresAt } = JSON.parse(made.out)

  const names = await readdir(house.dataDir)
  const files = await Promise.all(names.map((name) => readFile(join(house.dataDir, name)).catch(() => Buffer.of())))
  const listed = await cli('key', 'list', '--json')

  expect(expiresAt - Date.now()).toBeCloseTo(YEAR, -5)
  expect((await use(key)).text).toContain('backup-bot')
  const written = [Buffer.concat(files).toString('latin1'), listed.out, house.logs.join()]
  expect(written.map((text) => text.includes(key))).toEqual([false, false, false])
})

test('it opens calls until day 365 and nothing from then on', async () => {
  const { key, expiresAt } = await makeToken('year-bot', YEAR / DAY)
  const first = await use(key)

  late.ms = Date.now() - (expiresAt ?? 0) + 60_000
  const last = await use(key)
  late.ms = Date.now() - (expiresAt ?? 0)
  const after = await use(key)

  expect([first.status, last.status, after.status]).toEqual([200, 200, 401])
  expect(after.text).toContain('expired')
})

test('it signs nobody in: not at the sign-in page, not at the authorization endpoint, not at the admin API', async () => {
  const { key } = await makeToken('door-bot', 0)
  const browser = openBrowser(house.url)

  const page = await browser.signIn('door-bot', key)
  const account = await browser.get('/account')
  const asked = await fetch(`${house.url}/oauth/authorize?response_type=code&client_id=x`, {
    headers: { authorization: `Bearer ${key}` },
    redirect: 'manual',
  })
  const api = await fetch(`${house.url}/api/v1/accounts`, { headers: { authorization: `Bearer ${key}` } })

  expect((await use(key)).status).toBe(200)
  expect([page.location, account.location?.startsWith('/signin')]).toEqual([null, true])
  expect([asked.status, api.status]).toEqual([400, 403])
})

test('a revoked one is refused with the next call, and so is that of an account that is switched off', async () => {
  const revoked = await makeToken('lost-bot', 0)
  const off = await makeToken('off-bot', 0)
  const before = [(await use(revoked.key)).status, (await use(off.key)).status]

  await cli('key', 'revoke', revoked.id)
  await cli('account', 'deactivate', 'off-bot')

  expect(before).toEqual([200, 200])
  expect([(await use(revoked.key)).status, (await use(off.key)).status]).toEqual([401, 403])
})

test('thirty days before its end it is told of: once in the trail and the log, and wherever somebody looks', async () => {
  const { identity, audit, metrics } = house.gatehouse
  const old = await makeToken('old-bot', 336)
  const young = await makeToken('young-bot', 334)
  late.ms = 2 * DAY
  await identity.expiry.warn()
  const early = await audit.search({ what: 'key.expires-soon', key: old.id })

  late.ms = 0
  await Promise.all([identity.expiry.warn(), identity.expiry.warn(), identity.expiry.warn()])
  await identity.expiry.warn()

  const { records } = await audit.search({ what: 'key.expires-soon', user: 'old-bot' })
  const logged = house.logs.filter((line) => line.includes('ends soon') && line.includes(old.id))
  const doctor = await cli('doctor')
  const accounts: { userId: string; expiresSoon: boolean }[] = JSON.parse(
    (await cli('account', 'list', '--json')).out,
  ).accounts
  expect(early.records).toEqual([])
  expect(records).toMatchObject([{ decision: 'allowed', userId: 'old-bot', extra: { key: old.id } }])
  expect(logged).toHaveLength(1)
  expect(await metrics.render()).toContain('gatehouse_keys_ending_soon 1')
  expect(doctor.out).toMatch(new RegExp(`warn {2}key ${old.id}: of old-bot, ends in 2[89] d`))
  expect(doctor.out).not.toContain(young.id)
  expect(accounts.filter(({ expiresSoon }) => expiresSoon).map(({ userId }) => userId)).toEqual(['old-bot'])
})
