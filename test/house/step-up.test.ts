import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientProvider,
} from '@modelcontextprotocol/client'
import { expect, onTestFinished, test } from 'vitest'
import { authorize, Browser, post, REDIRECT, redeem, register, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession, toolNames } from './talk.ts'

const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "demo"
  title = "Demo"
  tools = ["reference/*"]

  [[gateways.step_up]]
  tools = ["reference/add"]
  scope = "mcp:count"
  allows = "Count for you"

  [[gateways]]
  slug = "other"
  tools = ["reference/*"]
`
const ANNE = 'anne@example.com'

async function start(toml = TOML): Promise<{ house: TestHouse; accountId: string }> {
  const house = await openHouse({ toml })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: ANNE }, ADMIN)
  return { house, accountId: id }
}

/** Tokens that a client got for the scopes it asked for. */
async function tokensWith(house: TestHouse, who: { accountId: string; gateway: string; scope: string }) {
  const clientId = textOf((await register(house)).body['client_id'])
  const change = (params: URLSearchParams): void => params.set('scope', who.scope)
  const { body } = await redeem(house, { clientId, ...(await authorize(house, { clientId, ...who, change })) })
  const { access_token: access, refresh_token: refreshToken, scope } = body
  return { clientId, access: textOf(access), refreshToken: textOf(refreshToken), scope: textOf(scope) }
}

const add = (house: TestHouse, key: string, slug = 'demo') =>
  callTool({ url: gatewayUrl(house, slug), key }, 'add', { a: 1, b: 2 })

test('a call that needs a further scope is answered with the scopes to ask for; with them it is made', async () => {
  const { house, accountId } = await start()
  const first = await tokensFor(house, { accountId, gateway: 'demo' })
  const next = await tokensWith(house, { accountId, gateway: 'demo', scope: 'mcp mcp:count' })

  const refused = await add(house, first.access)
  const others = await callTool({ url: gatewayUrl(house, 'demo'), key: first.access }, 'whoami', {})
  const made = await add(house, next.access)

  expect([refused.status, others.status, made.status]).toEqual([403, 200, 200])
  expect(refused.headers.get('www-authenticate')).toBe(
    'Bearer error="insufficient_scope", ' +
      `resource_metadata="${house.url}/.well-known/oauth-protected-resource/mcp/demo", scope="mcp mcp:count"`,
  )
  expect(made.text).toContain('3')
  expect(next.scope).toBe('mcp mcp:count')
})

test('the scope is among those of its gateway and of no other, and its tool is listed without it', async () => {
  const { house, accountId } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  const documents = await Promise.all(
    ['demo', 'other'].map(
      async (slug) => await (await fetch(`${house.url}/.well-known/oauth-protected-resource/mcp/${slug}`)).json(),
    ),
  )

  const strange = await tokensWith(house, { accountId, gateway: 'other', scope: 'mcp mcp:count' })

  expect(documents.map(({ scopes_supported }) => scopes_supported)).toEqual([['mcp', 'mcp:count'], ['mcp']])
  expect(await toolNames({ url: gatewayUrl(house, 'demo'), key: access })).toContain('add')
  expect(strange.scope).toBe('mcp')
})

test('a session and the REST face are no way around it', async () => {
  const { house, accountId } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  const session = await openSession({ url: gatewayUrl(house, 'demo'), key: access })

  const legacy = await session.call('add', { a: 1, b: 2 })
  const rest = await fetch(`${house.url}/api/v1/gateways/demo/call`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tool: 'add', arguments: { a: 1, b: 2 } }),
  })

  expect(legacy.status).toBe(403)
  expect(legacy.headers.get('www-authenticate')).toContain('scope="mcp mcp:count"')
  expect([rest.status, await rest.json()]).toMatchObject([403, { scope: 'mcp mcp:count' }])
})

test('an API key has no scopes, so the policy alone says what it may call', async () => {
  const { house } = await start()
  const key = await house.createKey({ user: ANNE, gateway: 'demo' })

  expect((await add(house, key)).status).toBe(200)
})

test('of a tool that somebody may not use they learn no more than of one that is not there', async () => {
  const { house, accountId } = await start(TOML.replace('title = "Demo"', 'access = "grants"'))
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })

  const hidden = await add(house, access)
  const missing = await callTool({ url: gatewayUrl(house, 'demo'), key: access }, 'nothing', {})

  expect([hidden.status, hidden.headers.get('www-authenticate')]).toEqual([missing.status, null])
  expect(hidden.error?.message).toBe('Unknown tool: "add"')
})

test('refreshing never widens what was allowed', async () => {
  const { house, accountId } = await start()
  const { clientId, refreshToken } = await tokensFor(house, { accountId, gateway: 'demo' })
  const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken }

  const wider = await post(`${house.url}/oauth/token`, { ...form, scope: 'mcp mcp:count' })
  const same = await post(`${house.url}/oauth/token`, form)

  expect([wider.status, wider.body['error']]).toEqual([400, 'invalid_scope'])
  expect([same.status, same.body['scope']]).toEqual([200, 'mcp'])
})

test('the trail says who lacked which scope for which tool', async () => {
  const { house, accountId } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })

  await add(house, access)

  const reasons = async (): Promise<unknown[]> =>
    (await house.gatehouse.audit.search({ user: ANNE, what: 'gateway.entered' })).records.map(({ reason }) => reason)
  await expect.poll(reasons).toEqual([expect.stringContaining('"add" needs the scope "mcp:count"')])
})

test('the SDK’s own client asks for the further scope by itself, and then makes the call', async () => {
  const { house, accountId } = await start()
  const person = new PersonAtBrowser(house, accountId)
  const client = new Client({ name: 'sdk', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  onTestFinished(() => client.close())
  const connect = () => new StreamableHTTPClientTransport(new URL(gatewayUrl(house, 'demo')), { authProvider: person })

  const first = connect()
  await expect(client.connect(first)).rejects.toThrow(UnauthorizedError)
  await first.finishAuth(person.back)
  const transport = connect()
  await client.connect(transport)
  const call = { name: 'add', arguments: { a: 1, b: 2 } }
  await expect(client.callTool(call)).rejects.toThrow(UnauthorizedError)
  await transport.finishAuth(person.back)
  const answer = await client.callTool(call)

  expect(JSON.stringify(answer.content)).toContain('3')
  expect(person.asked).toEqual(['mcp offline_access', 'mcp mcp:count offline_access'])
})

type Saved<Verb extends 'saveClientInformation' | 'saveTokens' | 'saveDiscoveryState'> = Parameters<
  NonNullable<OAuthClientProvider[Verb]>
>[0]

/** What a client of the SDK brings: its memory, and a browser before which somebody says yes. */
class PersonAtBrowser implements OAuthClientProvider {
  readonly redirectUrl = REDIRECT
  readonly clientMetadata = {
    client_name: 'SDK',
    redirect_uris: [REDIRECT],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
  }
  readonly asked: (string | null)[] = []
  back = new URLSearchParams()
  readonly #house: TestHouse
  readonly #accountId: string
  #client: Saved<'saveClientInformation'> | undefined
  #tokens: Saved<'saveTokens'> | undefined
  #discovered: Saved<'saveDiscoveryState'> | undefined
  #verifier = ''

  constructor(house: TestHouse, accountId: string) {
    this.#house = house
    this.#accountId = accountId
  }

  clientInformation() {
    return this.#client
  }

  saveClientInformation(client: Saved<'saveClientInformation'>) {
    this.#client = client
  }

  tokens() {
    return this.#tokens
  }

  saveTokens(tokens: Saved<'saveTokens'>) {
    this.#tokens = tokens
  }

  discoveryState() {
    return this.#discovered
  }

  saveDiscoveryState(discovered: Saved<'saveDiscoveryState'>) {
    this.#discovered = discovered
  }

  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier
  }

  codeVerifier() {
    return this.#verifier
  }

  async redirectToAuthorization(url: URL) {
    this.asked.push(url.searchParams.get('scope'))
    const browser = new Browser()
    const { location } = await browser.visit(url.href)
    const uid = /\/signin\/([\w-]+)$/.exec(location)?.[1] ?? ''
    const by = { accountId: this.#accountId, factor: 'password', signedInAt: Date.now() }
    const onward = await this.#house.gatehouse.oauth.server.allow(browser.cookie, { uid, by })
    this.back = new URL((await browser.visit(onward)).location).searchParams
  }
}
