import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { authorize, Browser, post, redeem, REDIRECT, refresh, register, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { ask, callTool, gatewayUrl, openSession } from './talk.ts'

const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "demo"
  title = "Demo"
  auth = ["key", "oauth"]
  tools = ["reference/*"]

  [[gateways]]
  slug = "other"
  tools = ["reference/*"]

  [[gateways]]
  slug = "keys"
  auth = ["key"]
  tools = ["reference/*"]

  [[gateways]]
  slug = "people"
  auth = "oauth"
  tools = ["reference/*"]
`
const ANNE = 'anne@example.com'

async function start(): Promise<{ house: TestHouse; accountId: string }> {
  const house = await openHouse({ toml: TOML })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: ANNE }, ADMIN)
  return { house, accountId: id }
}

const whoami = (house: TestHouse, slug: string, key: string) =>
  callTool({ url: gatewayUrl(house, slug), key }, 'whoami', {})

test('a client that knows nothing but the address finds its way to a call in somebody’s name', async () => {
  const { house, accountId } = await start()

  const refused = await ask({ url: gatewayUrl(house, 'demo') }, 'tools/list')
  const where = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '')?.[1] ?? ''
  const resource: JsonObject = await (await fetch(where)).json()
  const [issuer] = Array.isArray(resource['authorization_servers']) ? resource['authorization_servers'] : []
  const server: JsonObject = await (await fetch(`${textOf(issuer)}/.well-known/oauth-authorization-server`)).json()
  const tokens = await tokensFor(house, { accountId, gateway: 'demo' })
  const answer = await whoami(house, 'demo', tokens.access)

  expect(refused.status).toBe(401)
  expect(resource).toMatchObject({
    resource: gatewayUrl(house, 'demo'),
    scopes_supported: ['mcp'],
    resource_name: 'Demo',
  })
  expect(server).toMatchObject({
    issuer: house.url,
    authorization_endpoint: `${house.url}/oauth/authorize`,
    code_challenge_methods_supported: ['S256'],
    response_types_supported: ['code'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
  })
  expect(answer.text).toContain(ANNE)
  const { records } = await house.gatehouse.audit.search({ user: ANNE, what: 'tools/call' })
  expect(records).toMatchObject([{ decision: 'allowed', userId: ANNE, tool: 'whoami' }])
})

test('a token is for one gateway alone, and each gateway takes only what it says', async () => {
  const { house, accountId } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  const key = await house.createKey({ user: ANNE, gateway: '*' })

  const statuses = await Promise.all(
    [
      ['demo', access],
      ['other', access],
      ['keys', access],
      ['people', access],
      ['demo', key],
      ['keys', key],
      ['people', key],
    ].map(async ([slug = '', credential = '']) => (await whoami(house, slug, credential)).status),
  )

  expect(statuses).toEqual([200, 401, 401, 401, 200, 200, 401])
  expect((await fetch(`${house.url}/.well-known/oauth-protected-resource/mcp/keys`)).status).toBe(404)
})

test('a session of the session era goes on with the token that came by refreshing', async () => {
  const { house, accountId } = await start()
  const first = await tokensFor(house, { accountId, gateway: 'demo' })
  const session = await openSession({ url: gatewayUrl(house, 'demo'), key: first.access })
  const next = await refresh(house, first)

  const answer = await session.call('whoami', {}, { key: textOf(next.body['access_token']) })

  expect(next.status).toBe(200)
  expect(answer.text).toContain(ANNE)
})

test('of fifty who redeem one code at once one gets a token, and nobody an error of ours', async () => {
  const { house, accountId } = await start()
  const clientId = textOf((await register(house)).body['client_id'])
  const code = await authorize(house, { clientId, accountId, gateway: 'demo' })

  const answers = await Promise.all(Array.from({ length: 50 }, () => redeem(house, { clientId, ...code })))

  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  expect(statuses.filter((status) => status === 400)).toHaveLength(49)
})

test('one refresh token used five times at once gives one answer five times; a minute later it ends the family', async () => {
  const { house, accountId } = await start()
  const first = await tokensFor(house, { accountId, gateway: 'demo' })

  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(house, first)))
  const next = { clientId: first.clientId, refreshToken: textOf(answers[0]?.body['refresh_token']) }
  const after = await refresh(house, next)

  expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
  expect(answers[0]?.status).toBe(200)
  expect(after.status).toBe(200)
})

test.each<[string, (params: URLSearchParams) => void]>([
  ['no challenge', (params) => params.delete('code_challenge')],
  ['the challenge in the clear', (params) => params.set('code_challenge_method', 'plain')],
  ['a challenge without its method', (params) => params.delete('code_challenge_method')],
  ['a token from the front channel', (params) => params.set('response_type', 'token')],
  ['a code and an id token', (params) => params.set('response_type', 'code id_token')],
  ['an unknown resource', (params) => params.set('resource', 'https://elsewhere.example/mcp/demo')],
  [
    'a gateway that takes keys only',
    (params) => params.set('resource', params.get('resource')?.replace('demo', 'keys') ?? ''),
  ],
])('an authorization with %s is refused, and the client is told with state and issuer', async (_what, change) => {
  const { house, accountId } = await start()
  const clientId = textOf((await register(house)).body['client_id'])

  const { back } = await authorize(house, { clientId, accountId, gateway: 'demo', change })

  const told = Object.fromEntries(
    back.protocol === 'about:' ? [] : [...back.searchParams, ...new URLSearchParams(back.hash.slice(1))],
  )
  expect(told).toMatchObject({ error: expect.any(String), state: 'the-state', iss: house.url })
  expect(told['code']).toBeUndefined()
})

test.each([
  `${REDIRECT}/`,
  `${REDIRECT}?x=1`,
  `${REDIRECT}#x`,
  'http://127.0.0.1@evil.example/callback',
  'http://127.0.0.1:3118@evil.example/callback',
  'http://evil.example/callback',
  'https://127.0.0.1:3118/callback',
  'http://127.0.0.1:3118/CALLBACK',
  'http://127.0.0.1:3118/x/../callback',
  'http://127.0.0.1:3118/%63allback',
  'http://0x7f000001:3118/callback',
  'http://[::1]:3118/callback',
  'http://localhost:3118/callback',
  'http://127.0.0.1.evil.example:3118/callback',
  'javascript:alert(1)',
])('nobody is sent to %s, which was not registered', async (redirectUri) => {
  const { house, accountId } = await start()
  const clientId = textOf((await register(house)).body['client_id'])
  const browser = new Browser()

  const { back } = await authorize(house, {
    clientId,
    accountId,
    gateway: 'demo',
    browser,
    change: (params) => params.set('redirect_uri', redirectUri),
  })

  expect(back.protocol).toBe('about:')
})

test('of the registered address of an app on this machine the port alone is free', async () => {
  const { house, accountId } = await start()
  const clientId = textOf((await register(house)).body['client_id'])

  const { back } = await authorize(house, {
    clientId,
    accountId,
    gateway: 'demo',
    change: (params) => params.set('redirect_uri', REDIRECT.replace('3118', '50123')),
  })

  expect(back.origin).toBe('http://127.0.0.1:50123')
  expect(back.searchParams.get('code')).toBeTruthy()
})

test.each<[string, JsonObject, number]>([
  ['an address of the web without encryption', { redirect_uris: ['http://evil.example/cb'] }, 400],
  ['a script', { redirect_uris: ['javascript:alert(1)'] }, 400],
  ['a fragment', { redirect_uris: ['https://app.example/cb#x'] }, 400],
  ['keys on the inside', { jwks_uri: 'https://169.254.169.254/keys' }, 400],
  ['a logo without encryption', { logo_uri: 'http://app.example/logo.png' }, 400],
  ['acting by itself', { grant_types: ['client_credentials'], redirect_uris: [] }, 400],
  ['an app of its own scheme', { redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'] }, 201],
  ['localhost by name', { redirect_uris: ['http://localhost:3334/oauth/callback'] }, 201],
  ['an address of the web', { redirect_uris: ['https://app.example/cb'] }, 201],
])('a registration with %s', async (_what, metadata, status) => {
  const { house } = await start()

  expect((await register(house, metadata)).status).toBe(status)
})

test('a revoked token, a revoked client and an account that is switched off are refused at once', async () => {
  const { house, accountId } = await start()
  const { server } = house.gatehouse.oauth
  const byToken = await tokensFor(house, { accountId, gateway: 'demo' })
  const byPage = await tokensFor(house, { accountId, gateway: 'demo' })
  const byAdmin = await tokensFor(house, { accountId, gateway: 'demo' })
  const grants = await server.grants(accountId)
  const status = async ({ access }: { access: string }) => (await whoami(house, 'demo', access)).status
  const before = await Promise.all([byToken, byPage, byAdmin].map(status))

  await post(`${house.url}/oauth/revoke`, { token: byToken.access, client_id: byToken.clientId })
  await server.revokeGrant(accountId, grants[1]?.grantId ?? '')
  const stranger = await server
    .revokeGrant('acct_other', grants[2]?.grantId ?? '')
    .catch((error: Error) => error.message)
  const between = await Promise.all([byToken, byPage, byAdmin].map(status))
  await house.gatehouse.identity.accounts.update(ANNE, { isActive: false }, ADMIN)

  expect(grants.map(({ name, gateways }) => [name, gateways])).toEqual(
    Array.from({ length: 3 }, () => ['A client', ['demo']]),
  )
  expect(before).toEqual([200, 200, 200])
  expect(stranger).toContain('no such connected client')
  expect(between).toEqual([401, 401, 200])
  expect(await status(byAdmin)).toBe(401)
  expect((await refresh(house, byPage)).status).toBe(400)
  expect((await refresh(house, byAdmin)).status).toBe(400)
})

test('no code and no token is anywhere in what the house keeps or says', async () => {
  const { house, accountId } = await start()
  const clientId = textOf((await register(house)).body['client_id'])
  const code = await authorize(house, { clientId, accountId, gateway: 'demo' })
  const answer = await redeem(house, { clientId, ...code })
  const access = textOf(answer.body['access_token'])
  await whoami(house, 'demo', access)
  const secrets = [code.back.searchParams.get('code') ?? '', access, textOf(answer.body['refresh_token'])]

  const files = readdirSync(house.dataDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  const kept = files.map((file) => readFileSync(join(file.parentPath, file.name)).toString('latin1'))
  const said = [...kept, ...house.logs, JSON.stringify((await house.gatehouse.audit.search({})).records)]

  expect(secrets.every((secret) => secret.length > 20)).toBe(true)
  expect(secrets.filter((secret) => said.some((text) => text.includes(secret)))).toEqual([])
  expect(answer.headers.get('cache-control')).toContain('no-store')
})
