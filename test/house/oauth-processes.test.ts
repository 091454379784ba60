import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openBrowser, type TestBrowser } from '../../src/signin/testing/browser.ts'
import { createTestPlace, postgresIsAvailable } from '../../src/storage/testing.ts'
import { freePort } from '../fakes/listen.ts'
import { authorize, post, redeem, refresh, register, textOf, tokensFor } from './oauth-client.ts'
import { addPerson, PASSWORD } from './person.ts'
import { startHouseProcess } from './start-house-process.ts'
import { REFERENCE, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { ask, eventually, gatewayUrl } from './talk.ts'

/** One house of two processes on one database, under one public address; the first of them is this process. */
async function startTwo(): Promise<{ house: TestHouse; both: readonly [TestHouse, TestHouse] }> {
  const place = await createTestPlace('postgres')
  onTestFinished(() => place.remove())
  const port = await freePort()
  const server = `[server]\nlisten = "127.0.0.1:${port}"\n`
  const house = await openHouse({ toml: server + REFERENCE, storageUrl: place.url })
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-second-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const second = await startHouseProcess({ toml: REFERENCE, dataDir, storageUrl: place.url, publicUrl: house.url })
  onTestFinished(() => second.stop())
  return { house, both: [house, { ...house, url: second.url }] }
}

/** Does it fifty times at once, in turns at each process. */
function fiftyTimes<T>(both: readonly TestHouse[], act: (house: TestHouse) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: 25 }, () => both.map(act)).flat())
}

const tools = (house: TestHouse, key: string) =>
  ask({ url: gatewayUrl(house, 'demo'), key }, 'tools/list').then(({ status }) => status)

describe.skipIf(!postgresIsAvailable())('two processes on one database', { timeout: 120_000 }, () => {
  test('of fifty who redeem one code one gets a token, the others a refusal, and nobody an error of ours', async () => {
    const { house, both } = await startTwo()
    const { accountId } = await addPerson(house, 'ada')
    const clientId = textOf((await register(house)).body['client_id'])
    const code = { clientId, ...(await authorize(house, { clientId, accountId, gateway: 'demo' })) }

    const answers = await fiftyTimes(both, (at) => redeem(at, code))
    const outcomes = answers.map(({ status, body }) =>
      status === 200 ? 'a token' : `${status} ${textOf(body['error'])}`,
    )

    expect(outcomes.toSorted()).toEqual([...Array.from({ length: 49 }, () => '400 invalid_grant'), 'a token'])
  })

  test('a code that is used a second time ends what came of the first, at the other process too', async () => {
    const { house, both } = await startTwo()
    const { accountId } = await addPerson(house, 'ada')
    const clientId = textOf((await register(house)).body['client_id'])
    const code = { clientId, ...(await authorize(house, { clientId, accountId, gateway: 'demo' })) }
    const access = textOf((await redeem(both[0], code)).body['access_token'])
    const before = await eventually(
      () => Promise.all(both.map((at) => tools(at, access))),
      (statuses) => statuses.every((status) => status === 200),
    )

    const replay = await redeem(both[1], code)
    await eventually(
      () => Promise.all(both.map((at) => tools(at, access))),
      (statuses) => statuses.every((status) => status === 401),
      30_000,
    )

    expect([before, replay.status, replay.body['error']]).toEqual([[200, 200], 400, 'invalid_grant'])
  })

  test('one refresh token used fifty times at once gives one answer fifty times, and its heir works', async () => {
    const { house, both } = await startTwo()
    const { accountId } = await addPerson(house, 'ada')
    const first = await tokensFor(house, { accountId, gateway: 'demo' })

    const answers = await fiftyTimes(both, (at) => refresh(at, first))
    const heir = { clientId: first.clientId, refreshToken: textOf(answers[0]?.body['refresh_token']) }

    expect(answers[0]?.status).toBe(200)
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect((await refresh(both[1], heir)).status).toBe(200)
  })

  test('a device that two people allow at once, and one refuses, at both processes, is answered once', async () => {
    const { house, both } = await startTwo()
    const people = [await addPerson(house, 'ada'), await addPerson(house, 'bea')] as const
    await eventually(
      () => openBrowser(both[1].url).signIn('bea', PASSWORD),
      ({ status }) => status === 303,
      10_000,
    )
    const [ada, adaThere, bea] = await Promise.all([
      signedIn(both[0], 'ada'),
      signedIn(both[1], 'ada'),
      signedIn(both[1], 'bea'),
    ])

    const rounds: { answered: boolean[]; isAllowed: boolean }[] = []
    for (let round = 0; round < 5; round += 1) {
      const { userCode, poll } = await askForDevice(house)
      const pages = await Promise.all([
        ada.post('/device/approve', { user_code: userCode, decision: 'allow' }),
        bea.post('/device/approve', { user_code: userCode, decision: 'allow' }),
        adaThere.post('/device/approve', { user_code: userCode, decision: 'deny' }),
      ])
      const answered = pages.map(({ status }) => status === 200)
      rounds.push({ answered, isAllowed: (await poll()).status === 200 })
    }

    const grants = await Promise.all(people.map(({ accountId }) => house.gatehouse.oauth.server.grants(accountId)))
    const wins = (who: number) => rounds.filter(({ answered }) => answered[who]).length
    expect(rounds.map(({ answered }) => answered.filter(Boolean).length)).toEqual([1, 1, 1, 1, 1])
    expect(rounds.map(({ isAllowed }) => isAllowed)).toEqual(rounds.map(({ answered }) => answered[2] === false))
    expect(grants.map((list) => list.length)).toEqual([wins(0), wins(1)])
  })

  test('a code of an app is taken once, of fifty who send it at once and however it is written later', async () => {
    const { house, both } = await startTwo()
    const { browser } = await addPerson(house, 'ada')
    const totp = await addApp(browser)
    await eventually(
      () => openBrowser(both[1].url).signIn('ada', PASSWORD),
      ({ text }) => text.includes('Second step'),
      10_000,
    )
    // The window in which the app was set up is spent.
    const code = totp.generate({ timestamp: Date.now() + 30_000 })
    const wide = code.replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)))
    const waiting = await fiftyTimes(both, (at) => halfway(at))

    const statuses = await Promise.all(waiting.map((one) => one.post('/signin/factor', { code })))
    const later = await Promise.all(both.map(halfway))
    const again = [
      await later[1]?.post('/signin/factor', { code: `${code.slice(0, 3)} ${code.slice(3)}` }),
      await later[0]?.post('/signin/factor', { code: wide }),
    ]

    expect(statuses.filter(({ status }) => status === 303)).toHaveLength(1)
    expect(statuses.filter(({ status }) => status >= 500)).toEqual([])
    expect(again.map((seen) => seen?.status)).not.toContain(303)
  })
})

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

async function askForDevice(house: TestHouse) {
  const clientId = textOf(
    (await register(house, { grant_types: [DEVICE_GRANT], redirect_uris: [], response_types: [] })).body['client_id'],
  )
  const wish = { client_id: clientId, scope: 'mcp', resource: gatewayUrl(house, 'demo') }
  const { body } = await post(`${house.url}/oauth/device`, wish)
  const form = { grant_type: DEVICE_GRANT, client_id: clientId, device_code: textOf(body['device_code']) }
  return { userCode: textOf(body['user_code']), poll: () => post(`${house.url}/oauth/token`, form) }
}

async function signedIn(house: TestHouse, userId: string): Promise<TestBrowser> {
  const browser = openBrowser(house.url)
  await browser.signIn(userId, PASSWORD)
  await browser.get('/device')
  return browser
}

async function addApp(browser: TestBrowser): Promise<TOTP> {
  const page = await browser.get('/account/totp?first=1')
  const secret = /Key: <code>([^<]+)/.exec(page.text)?.[1]?.replaceAll(' ', '') ?? ''
  const totp = new TOTP({ secret: Secret.fromBase32(secret) })
  await browser.post('/account/totp?first=1', { code: totp.generate() })
  return totp
}

/** A browser that has shown the password and owes a code. */
async function halfway(house: TestHouse): Promise<TestBrowser> {
  const browser = openBrowser(house.url)
  await browser.signIn('ada', PASSWORD)
  return browser
}
