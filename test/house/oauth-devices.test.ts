import { expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { openBrowser, type TestBrowser } from '../../src/signin/testing/browser.ts'
import { post, refresh, register, textOf, tokensFor, type Answer } from './oauth-client.ts'
import { addPerson } from './person.ts'
import { ADMIN, REFERENCE, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

const ANNE = 'anne@example.com'
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

async function start() {
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const house = await openHouse({ toml: REFERENCE, clock })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: ANNE }, ADMIN)
  return { house, clock, accountId: id }
}

const whoami = (house: TestHouse, key: string) => callTool({ url: gatewayUrl(house, 'demo'), key }, 'whoami', {})

/** A program without a browser, which asks for a code to show. */
async function startDevice(house: TestHouse): Promise<{ asked: Answer; poll: () => Promise<Answer> }> {
  const grants = ['authorization_code', 'refresh_token', DEVICE_GRANT]
  const clientId = textOf((await register(house, { grant_types: grants })).body['client_id'])
  const wish = { client_id: clientId, scope: 'mcp', resource: gatewayUrl(house, 'demo') }
  const asked = await post(`${house.url}/oauth/device`, wish)
  const form = { grant_type: DEVICE_GRANT, client_id: clientId, device_code: textOf(asked.body['device_code']) }
  return { asked, poll: () => post(`${house.url}/oauth/token`, form) }
}

test('a device that asks too soon is told to slow down, and waits five seconds longer from then on', async () => {
  const { house, clock } = await start()
  const { asked, poll } = await startDevice(house)
  const pollAfter = async (ms: number): Promise<unknown> => {
    clock.skippedMs += ms
    return (await poll()).body['error']
  }

  const first = await pollAfter(0)
  const soon = await pollAfter(1_000)
  const afterFive = await pollAfter(6_000)
  const afterFifteen = await pollAfter(15_000)

  expect(asked.body).toMatchObject({ interval: 5 })
  expect([first, soon, afterFive, afterFifteen]).toEqual([
    'authorization_pending',
    'slow_down',
    'slow_down',
    'authorization_pending',
  ])
})

test('a device gets its token once a person has said yes; asking with the used code ends that again', async () => {
  const { house, clock, accountId } = await start()
  const { asked, poll } = await startDevice(house)
  const by = { accountId, factor: 'password', signedInAt: Date.now() }

  await house.gatehouse.oauth.server.allowDevice({ userCode: textOf(asked.body['user_code']), by })
  const answer = await poll()
  const before = await whoami(house, textOf(answer.body['access_token']))
  clock.skippedMs += 6_000
  const again = await poll()

  expect([answer.status, before.status]).toEqual([200, 200])
  const metrics = await house.gatehouse.metrics.render()
  expect(metrics).toContain('gatehouse_oauth_token_requests_total{grant="device_code",outcome="issued"} 1')
  expect(metrics).toContain('gatehouse_oauth_token_requests_total{grant="device_code",outcome="refused"} 1')
  expect(before.text).toContain(ANNE)
  expect(again.body['error']).toBe('invalid_grant')
  expect((await whoami(house, textOf(answer.body['access_token']))).status).toBe(401)
})

test('the trail has that a device was refused, and not how often it asked before', async () => {
  const { house, clock } = await start()
  const { asked, poll } = await startDevice(house)

  await poll()
  await house.gatehouse.oauth.server.denyDevice(textOf(asked.body['user_code']))
  clock.skippedMs += 6_000
  await poll()

  const reasons = async (): Promise<unknown[]> =>
    (await house.gatehouse.audit.search({ what: 'oauth.token-issued' })).records.map(({ reason }) => reason)
  await expect.poll(reasons).toEqual(['access_denied'])
})

test('a device that a person refuses is told so', async () => {
  const { house, clock } = await start()
  const { asked, poll } = await startDevice(house)

  await house.gatehouse.oauth.server.denyDevice(textOf(asked.body['user_code']))
  clock.skippedMs += 6_000

  expect((await poll()).body['error']).toBe('access_denied')
})

test('an old refresh token ends the family after half a minute, and its access tokens with it', async () => {
  const { house, clock, accountId } = await start()
  const first = await tokensFor(house, { accountId, gateway: 'demo' })
  const next = await refresh(house, first)
  const access = textOf(next.body['access_token'])
  const before = await whoami(house, access)

  clock.skippedMs += 31_000
  const stolen = await refresh(house, first)
  const heir = await refresh(house, { clientId: first.clientId, refreshToken: textOf(next.body['refresh_token']) })

  expect([before.status, stolen.status, heir.status]).toEqual([200, 400, 400])
  expect((await whoami(house, access)).status).toBe(401)
})

test('a service that proves who it is learns whether a token counts now, and others learn nothing', async () => {
  const { house, accountId } = await start()
  const { access, clientId } = await tokensFor(house, { accountId, gateway: 'demo' })
  const service = (await register(house, { token_endpoint_auth_method: 'client_secret_post' })).body
  const stranger = textOf((await register(house)).body['client_id'])
  const proof = { client_id: textOf(service['client_id']), client_secret: textOf(service['client_secret']) }
  const introspect = (by: Record<string, string>, token = access): Promise<Answer> =>
    post(`${house.url}/oauth/introspect`, { ...by, token })

  const good = await introspect(proof)
  const own = await introspect({ client_id: clientId })
  const byStranger = await introspect({ client_id: stranger })
  const withoutProof = await introspect({ ...proof, client_secret: 'wrong' })
  const forged = await introspect(proof, `${access.slice(0, -4)}AAAA`)
  await post(`${house.url}/oauth/revoke`, { token: access, client_id: clientId })
  const revoked = await introspect(proof)

  const inactive: JsonObject = { active: false }
  expect(good.body).toMatchObject({ active: true, sub: accountId, username: ANNE, scope: 'mcp', client_id: clientId })
  expect(good.body).toMatchObject({ iss: house.url, aud: gatewayUrl(house, 'demo'), token_type: 'Bearer' })
  expect(good.headers.get('cache-control')).toContain('no-store')
  expect(own.body['active']).toBe(true)
  expect([byStranger.body, forged.body, revoked.body]).toEqual([inactive, inactive, inactive])
  expect(withoutProof.status).toBe(401)
})

test('a device whose code has expired is told so', async () => {
  const { house, clock } = await start()
  const { asked, poll } = await startDevice(house)

  clock.skippedMs += 601_000

  expect((await poll()).body['error']).toBe('expired_token')
  expect(await house.gatehouse.oauth.server.findDevice(textOf(asked.body['user_code']))).toBeNull()
})

test('the link with the code in it asks for a sign-in, shows the program, and connects it only after a yes', async () => {
  const { house, clock } = await start()
  const ada = await addPerson(house, 'ada')
  const { asked, poll } = await startDevice(house)
  const link = textOf(asked.body['verification_uri_complete'])
  const code = textOf(asked.body['user_code'])

  const stranger = await openBrowser(house.url).get(link)
  const form = await ada.browser.get(link)
  const typed = code.toLowerCase().replace('-', ' ')
  const shown = await ada.browser.post('/device', { user_code: typed })
  clock.skippedMs += 6_000
  const before = await poll()
  const done = await ada.browser.post('/device/approve', { user_code: code, decision: 'allow' })
  clock.skippedMs += 6_000
  const after = await poll()

  expect([stranger.status, stranger.location]).toEqual([
    303,
    `/signin?return=${encodeURIComponent(`/device?user_code=${code}`)}`,
  ])
  expect(form.text).toContain(`value="${code}"`)
  expect(shown.text).toContain('<strong>A client</strong> wants to act')
  expect(shown.text).toContain(`<code>${code}</code>`)
  expect([before.body['error'], done.status, after.status]).toEqual(['authorization_pending', 200, 200])
})

test('five wrong codes stop the one who types them, for as long as a code lives, and nobody else', async () => {
  const { house, clock } = await start()
  const [mallory, ada] = await Promise.all([addPerson(house, 'mallory'), addPerson(house, 'ada')])
  const { asked } = await startDevice(house)
  const code = textOf(asked.body['user_code'])
  const own = textOf((await startDevice(house)).asked.body['user_code'])
  const type = async ({ browser }: { browser: TestBrowser }, typed: string): Promise<string> => {
    await browser.get('/device')
    const { status, text } = await browser.post('/device', { user_code: typed })
    return `${status} ${/wants to act|not valid|Too many wrong guesses/.exec(text)?.[0] ?? text}`
  }

  const wrong: string[] = []
  for (const n of [1, 2, 3, 4]) wrong.push(await type(mallory, `BBBB-BBB${n}`))
  // A code of one's own is no way to begin anew.
  const inBetween = await type(mallory, own)
  const fifth = await type(mallory, 'CCCC-CCCC')
  const locked = await type(mallory, code)
  const other = await type(ada, code)
  clock.skippedMs += 601_000
  const later = await type(mallory, textOf((await startDevice(house)).asked.body['user_code']))

  expect(wrong).toEqual(['403 not valid', '403 not valid', '403 not valid', '403 not valid'])
  expect([inBetween, fifth, locked]).toEqual(['200 wants to act', '403 not valid', '429 Too many wrong guesses'])
  expect([other, later]).toEqual(['200 wants to act', '200 wants to act'])
  const { records } = await house.gatehouse.audit.search({ what: 'sign-in.attempted', user: 'mallory' })
  expect(records).toHaveLength(6)
  expect(records[0]).toMatchObject({ reason: 'too many wrong guesses', extra: { factor: 'device-code' } })
})

test('of many answers for one device the first counts, and no other leaves anything behind', async () => {
  const { house, clock } = await start()
  const people = await Promise.all(['ada', 'bea', 'cleo'].map((userId) => addPerson(house, userId)))
  const { asked, poll } = await startDevice(house)
  const userCode = textOf(asked.body['user_code'])
  const { server } = house.gatehouse.oauth
  const signedInAt = Date.now()

  const answers = await Promise.allSettled([
    ...people.map(({ accountId }) =>
      server.allowDevice({ userCode, by: { accountId, factor: 'password', signedInAt } }),
    ),
    server.denyDevice(userCode),
  ])
  clock.skippedMs += 6_000
  const told = await poll()

  const grants = await Promise.all(people.map(({ accountId }) => server.grants(accountId)))
  const allowed = answers.slice(0, 3).filter(({ status }) => status === 'fulfilled')
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(grants.flat()).toHaveLength(allowed.length)
  expect(told.status).toBe(allowed.length === 1 ? 200 : 400)
})
