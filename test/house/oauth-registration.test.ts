import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { authorize, post, REDIRECT, refresh, register, textOf, tokensFor, type Answer } from './oauth-client.ts'
import { addPerson } from './person.ts'
import { ADMIN, REFERENCE, askAdmin } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** What anybody may leave behind by registering clients, and how little that is. */

const TOML = `
  [server]
  listen = "127.0.0.1:0"
  trusted_proxies = ["127.0.0.1"]

  [oauth]
  unused_clients_days = 10
  ${REFERENCE}`
const DAY = 86_400_000

/** For all that has nothing to do with time. */
let common: Awaited<ReturnType<typeof start>>

beforeAll(async () => {
  common = await start()
})

afterAll(() => common.house.close())

async function startLate(behindMs: number) {
  const started = await start(behindMs)
  onTestFinished(() => started.house.close())
  return started
}

async function start(behindMs = 0) {
  const late = { ms: behindMs }
  const house = await startHouse({ toml: TOML, clock: { now: () => Date.now() - late.ms } })
  await house.listed()
  const { id } = await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
  return { house, late, accountId: id }
}

async function registerFrom(house: TestHouse, address: string): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': address }
  const body = JSON.stringify({ redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' })
  return fetch(`${house.url}/oauth/register`, { method: 'POST', headers, body })
}

/** A client with this redirect, from the registration to the token. */
async function connect(house: TestHouse, wish: { accountId: string; redirectUri: string; metadata: JsonObject }) {
  const { accountId, redirectUri, metadata } = wish
  const { body } = await register(house, { redirect_uris: [redirectUri], ...metadata })
  const clientId = textOf(body['client_id'])
  const { back, codeVerifier } = await authorize(house, {
    clientId,
    accountId,
    gateway: 'demo',
    change: (params) => params.set('redirect_uri', redirectUri),
  })
  const answer: Answer = await post(`${house.url}/oauth/token`, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code: back.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  })
  return { back, answer }
}

test('the sixty-first registration of an hour from one caller waits; the caller beside it does not', async () => {
  const { house } = common

  const statuses = await Promise.all(
    Array.from({ length: 61 }, async () => (await registerFrom(house, '203.0.113.9')).status),
  )
  const again = await registerFrom(house, '203.0.113.9')
  const other = await registerFrom(house, '198.51.100.7')
  const metrics = await house.gatehouse.metrics.render()

  expect(statuses.filter((status) => status === 429)).toHaveLength(1)
  expect([again.status, Number(again.headers.get('retry-after'))]).toEqual([429, expect.closeTo(60, -1)])
  expect(other.status).toBe(201)
  expect(metrics).toContain('gatehouse_oauth_registrations_total{outcome="made"} 61')
  expect(metrics).toContain('gatehouse_oauth_registrations_total{outcome="too-many"} 2')
})

test('whoever has to wait before the next registration still does after the signing keys are other ones', async () => {
  const { house } = await startLate(0)
  for (let at = 0; at < 60; at++) await registerFrom(house, '203.0.113.9')

  const headers = { authorization: `Bearer ${house.adminToken}`, 'content-type': 'application/json' }
  const rotated = await fetch(`${house.url}/api/v1/signing-keys/rotate`, {
    method: 'POST',
    headers,
    body: '{"now":true}',
  })

  expect(rotated.status).toBe(200)
  expect((await registerFrom(house, '203.0.113.9')).status).toBe(429)
})

test('a client that registered itself and is not used is removed; one that is used stays, and so do those of admins', async () => {
  const { house, late, accountId } = await startLate(20 * DAY)
  const { clients } = house.gatehouse.oauth
  const unused = textOf((await register(house, { client_name: 'Tried once' })).body['client_id'])
  const used = await tokensFor(house, { accountId, gateway: 'demo' })
  const wish = { name: 'Wiki', redirectUris: ['https://wiki.example/cb'] }
  const ours = textOf((await askAdmin(house, '/api/v1/clients', { body: wish })).body['id'])
  late.ms = 11 * DAY
  await clients.removeUnused()
  const early = (await clients.list({ limit: 100 })).clients.map(({ id }) => id)
  await refresh(house, used)
  await expect.poll(async () => (await clients.get(used.clientId)).lastUsedAt).toBeGreaterThan(Date.now() - 12 * DAY)

  late.ms = 9 * DAY
  await clients.removeUnused()

  const left = (await clients.list({ limit: 100 })).clients.map(({ id }) => id)
  const { records } = await house.gatehouse.audit.search({ what: 'oauth.client-removed' })
  expect(early).toEqual(expect.arrayContaining([unused, used.clientId, ours]))
  expect(new Set(left)).toEqual(new Set([used.clientId, ours]))
  expect(records).toMatchObject([{ reason: 'not used for 10 days', extra: { client: unused } }])
  const asked = await fetch(`${house.url}/oauth/authorize?client_id=${unused}&response_type=code`)
  expect([asked.status, await asked.text()]).toEqual([400, expect.stringContaining('invalid_client')])
})

test('a secret that came by registering ends after a year, and is refused then', async () => {
  const year = 365 * DAY
  const { house, late } = await startLate(year + DAY)
  const { body } = await register(house, { token_endpoint_auth_method: 'client_secret_basic' })
  late.ms = 0
  const basic = Buffer.from(`${textOf(body['client_id'])}:${textOf(body['client_secret'])}`).toString('base64')

  const answer = await post(
    `${house.url}/oauth/token`,
    { grant_type: 'refresh_token', refresh_token: 'x' },
    { authorization: `Basic ${basic}` },
  )

  expect(Number(body['client_secret_expires_at']) * 1_000 - Date.now()).toBeCloseTo(-DAY, -6)
  expect(answer.body['error_description']).toContain('expired')
  expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client'])
})

test.each<[string, JsonObject]>([
  ['by registering', { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
  ['beside a person', { grant_types: ['authorization_code', 'client_credentials'] }],
])('nobody lets a client act by itself %s, nor by a change afterwards', async (_what, metadata) => {
  const { house } = common
  const secret = { token_endpoint_auth_method: 'client_secret_basic' }
  const { body } = await register(house, secret)
  const { registration_client_uri, registration_access_token, client_id_issued_at, client_secret_expires_at, ...own } =
    body

  const refused = await register(house, { ...secret, ...metadata })
  const changed = await fetch(textOf(registration_client_uri), {
    method: 'PUT',
    headers: { authorization: `Bearer ${textOf(registration_access_token)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...own, ...metadata }),
  })
  const basic = Buffer.from(`${textOf(body['client_id'])}:${textOf(body['client_secret'])}`).toString('base64')
  const asked = await post(
    `${house.url}/oauth/token`,
    { grant_type: 'client_credentials', resource: `${house.url}/mcp/demo` },
    { authorization: `Basic ${basic}` },
  )

  expect([client_id_issued_at, client_secret_expires_at]).toEqual([expect.any(Number), expect.any(Number)])
  expect([refused.status, changed.status, asked.status]).toEqual([400, 400, 400])
})

test('the name of a client is shown as text, whatever is in it', async () => {
  const { house } = common
  const { browser } = await addPerson(house, 'bob@example.com')
  const name = `<script>alert(1)</script><b onclick='x()'>"Claude" & co</b>{{7*7}}`
  const clientId = textOf((await register(house, { client_name: name })).body['client_id'])
  const params = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    resource: `${house.url}/mcp/demo`,
  })

  const asked = await browser.get(`/oauth/authorize?${params}`)
  const page = await browser.get(asked.location ?? '')

  expect(page.status).toBe(200)
  expect(page.text).toContain(
    '&lt;script&gt;alert(1)&lt;/script&gt;&lt;b onclick=&#39;x()&#39;&gt;&quot;Claude&quot; &amp; co&lt;/b&gt;{{7*7}}',
  )
  expect(page.text).not.toMatch(/<script>alert|onclick='x/)
})

test.each<[string, string, JsonObject]>([
  ['an editor with a scheme of its own', 'cursor://anysphere.cursor-mcp/oauth/callback', {}],
  ['one that says nothing of its kind', 'http://localhost:3334/oauth/callback', {}],
  ['one that listens on this machine', 'http://127.0.0.1:33418/', { application_type: 'native' }],
])('%s gets its answer at %s and its token', async (_what, redirectUri, metadata) => {
  const { house, accountId } = common

  const { back, answer } = await connect(house, { accountId, redirectUri, metadata })

  expect(back.href.startsWith(redirectUri)).toBe(true)
  expect([answer.status, isJsonObject(answer.body)]).toEqual([200, true])
})
