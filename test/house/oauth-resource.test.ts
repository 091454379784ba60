import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorize, Browser, post, redeem, REDIRECT, register, textOf, type Answer } from './oauth-client.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

const gateway = (slug: string, more = '') => `
  [[gateways]]
  slug = "${slug}"
  tools = ["reference/*"]
  ${more}
`
const SERVER = `
  [[servers]]
  name = "reference"
  transport = "builtin"
`
const STEP_UP = `
  [[gateways.step_up]]
  tools = ["reference/echo"]
  scope = "mcp:echo"
`

let many: TestHouse
let one: TestHouse
const accounts = new Map<TestHouse, string>()

beforeAll(async () => {
  many = await startHouse({ toml: SERVER + gateway('demo') + gateway('other', STEP_UP) })
  one = await startHouse({ toml: SERVER + gateway('demo') + gateway('keys', 'auth = "key"') })
  for (const house of [many, one]) {
    await house.listed()
    accounts.set(house, (await house.gatehouse.identity.accounts.create({ userId: 'anne' }, ADMIN)).id)
  }
})
afterAll(() => Promise.all([many.close(), one.close()]))

/** An authorization by a client of its own, whose parameters are the usual ones but for `change`. */
async function ask(house: TestHouse, change: (params: URLSearchParams) => void) {
  const clientId = textOf((await register(house)).body['client_id'])
  const accountId = accounts.get(house) ?? ''
  return { clientId, ...(await authorize(house, { clientId, accountId, gateway: 'demo', change })) }
}

const whoami = async (house: TestHouse, slug: string, { body }: Answer) =>
  (await callTool({ url: gatewayUrl(house, slug), key: textOf(body['access_token']) }, 'whoami', {})).status

test.each<[string, (params: URLSearchParams) => void]>([
  ['no resource', (params) => params.delete('resource')],
  ['neither resource nor scope', (params) => ['resource', 'scope'].forEach((name) => params.delete(name))],
  [
    'no resource and a scope for who somebody is besides',
    (params) => {
      params.delete('resource')
      params.set('scope', 'openid mcp')
    },
  ],
  [
    'no resource and a scope that no gateway knows',
    (params) => {
      params.delete('resource')
      params.set('scope', 'mcp mcp:nothing')
    },
  ],
  ['two resources', (params) => params.append('resource', gatewayUrl(many, 'other'))],
])(
  'where several gateways take tokens, an authorization with %s is refused, and the client told what to send',
  async (_what, change) => {
    const { back } = await ask(many, change)

    const told = Object.fromEntries(back.searchParams)
    expect(told).toMatchObject({ error: 'invalid_target', state: 'the-state', iss: many.url })
    expect(told['error_description']).toContain('send as resource the address of one gateway')
  },
)

test('a further scope names the gateway that has it', async () => {
  const code = await ask(many, (params) => {
    params.delete('resource')
    params.set('scope', 'mcp mcp:echo')
  })
  const answer = await redeem(many, code)

  expect(answer.body['scope']).toBe('mcp mcp:echo')
  expect(await Promise.all(['other', 'demo'].map((slug) => whoami(many, slug, answer)))).toEqual([200, 401])
})

test('where one gateway takes tokens, it is meant by whoever names none', async () => {
  const code = await ask(one, (params) => ['resource', 'scope'].forEach((name) => params.delete(name)))
  const answer = await redeem(one, code)

  expect(await whoami(one, 'demo', answer)).toBe(200)
})

test('a service that only asks who somebody is names no resource, and gets an id token and the account', async () => {
  const code = await ask(many, (params) => {
    params.delete('resource')
    params.set('scope', 'openid profile')
  })
  const answer = await redeem(many, code)
  const headers = { authorization: `Bearer ${textOf(answer.body['access_token'])}` }
  const info = await fetch(`${many.url}/oauth/userinfo`, { headers })

  expect(textOf(answer.body['id_token']).split('.')).toHaveLength(3)
  expect(await info.json()).toMatchObject({ sub: accounts.get(many), preferred_username: 'anne' })
  expect(await whoami(many, 'demo', answer)).toBe(401)
})

test('a device that names no resource is told so at once', async () => {
  const grant = 'urn:ietf:params:oauth:grant-type:device_code'
  const metadata = { grant_types: [grant], redirect_uris: [], response_types: [] }
  const asked = async (house: TestHouse) => {
    const clientId = textOf((await register(house, metadata)).body['client_id'])
    return post(`${house.url}/oauth/device`, { client_id: clientId })
  }

  const [refused, taken] = [await asked(many), await asked(one)]

  expect([refused.status, refused.body['error'], taken.status]).toEqual([400, 'invalid_target', 200])
})

test('an authorization that was pushed before gets the usual scope as well', async () => {
  const clientId = textOf((await register(many)).body['client_id'])
  const wish = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT,
    code_challenge: createHash('sha256').update('x'.repeat(43)).digest('base64url'),
    code_challenge_method: 'S256',
    resource: gatewayUrl(many, 'demo'),
  }

  const { body } = await post(`${many.url}/oauth/request`, wish)
  const query = new URLSearchParams({ client_id: clientId, request_uri: textOf(body['request_uri']) })
  const browser = new Browser()
  const uid = /\/signin\/([\w-]+)$/.exec((await browser.visit(`${many.url}/oauth/authorize?${query}`)).location)?.[1]

  const question = await many.gatehouse.oauth.server.findInteraction(browser.cookie, uid ?? '')
  expect(question).toMatchObject({ scopes: ['mcp'], gateway: { slug: 'demo' } })
})

test('a redirect address with a question mark in its query stays whole', async () => {
  const redirect = `${REDIRECT}?from=a?b`
  const clientId = textOf((await register(many, { redirect_uris: [redirect] })).body['client_id'])
  const url = `${many.url}/oauth/authorize?response_type=code&client_id=${clientId}&redirect_uri=${redirect}&state=s`

  const { location } = await new Browser().visit(url)

  expect(location).toMatch(/^http:\/\/127.0.0.1:3118\/callback\?from=a%3Fb&error=/)
})
