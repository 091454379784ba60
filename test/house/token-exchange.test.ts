import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { loginPolicyConfig } from '#login'
import { post, register, textOf, tokensFor, type Answer, type Tokens } from './oauth-client.ts'
import { ADMIN, askAdmin } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** Token exchange (RFC 8693): a client takes somebody's token for one gateway to the next, in their name and its own. */

const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "desk"
  tools = ["reference/*"]

  [[gateways.step_up]]
  scope = "files:write"
  tools = ["reference/add"]

  [[gateways]]
  slug = "files"
  tools = ["reference/*"]

  [[gateways.step_up]]
  scope = "files:write"
  tools = ["reference/add"]

  [[gateways]]
  slug = "archive"
  tools = ["reference/*"]
`
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const WAYS = [
  { from: 'desk', to: 'files' },
  { from: 'files', to: 'files' },
]

const createClient = (body: JsonObject) => askAdmin(house, '/api/v1/clients', { body })

type Machine = { readonly id: string; readonly secret: string }

let house: TestHouse
let machine: Machine
let anne: Tokens

beforeAll(async () => {
  house = await startHouse({ toml: TOML })
  await house.listed()
  machine = await createMachine(WAYS)
  anne = await newPerson('anne@example.com')
})
afterAll(() => house.close())

async function createMachine(exchange: typeof WAYS): Promise<Machine> {
  const { status, body } = await createClient({ name: 'Desk agent', grants: ['token_exchange'], exchange })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return { id: textOf(body['id']), secret: textOf(body['secret']) }
}

async function newPerson(userId: string, scope = 'mcp offline_access'): Promise<Tokens & { accountId: string }> {
  const { id: accountId } = await house.gatehouse.identity.accounts.create({ userId }, ADMIN)
  const change = (params: URLSearchParams): void => params.set('scope', scope)
  return { accountId, ...(await tokensFor(house, { accountId, gateway: 'desk', change })) }
}

type Change = Readonly<Record<string, string | null>>

function exchange(token: string, change: Change = {}, by: Machine = machine): Promise<Answer> {
  const form: Change = {
    grant_type: GRANT,
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    resource: `${house.url}/mcp/files`,
    ...change,
  }
  const said = Object.entries(form).flatMap(([name, value]) => (value === null ? [] : [[name, value]]))
  const proof = Buffer.from(`${by.id}:${by.secret}`).toString('base64')
  return post(`${house.url}/oauth/token`, Object.fromEntries(said), { authorization: `Basic ${proof}` })
}

const exchanged = async (token: string, change: Change = {}, by: Machine = machine): Promise<string> =>
  textOf((await exchange(token, change, by)).body['access_token'])

const use = async (gateway: string, key: string) => callTool({ url: gatewayUrl(house, gateway), key }, 'whoami', {})

function claimsOf(token: string): JsonObject {
  const said: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  return isJsonObject(said) ? said : {}
}

test('somebody’s token is exchanged for one that opens the next gateway in their name, and names who acts', async () => {
  const { status, body, headers } = await exchange(anne.access)

  const token = textOf(body['access_token'])
  const [there, here] = await Promise.all([use('files', token), use('desk', token)])
  expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
  expect(body).toEqual({
    access_token: token,
    issued_token_type: ACCESS_TOKEN,
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    scope: 'mcp',
  })
  expect(claimsOf(token)).toMatchObject({
    aud: `${house.url}/mcp/files`,
    client_id: machine.id,
    act: { sub: machine.id },
    sub: claimsOf(anne.access)['sub'],
    gid: claimsOf(anne.access)['gid'],
  })
  expect(Number(claimsOf(token)['exp'])).toBeLessThanOrEqual(Number(claimsOf(anne.access)['exp']))
  expect([there.status, JSON.stringify(there.result).includes('anne@example.com')]).toEqual([200, true])
  expect(here.status).toBe(401)
})

test('the audience names the gateway as well as the resource does, and both must mean the same', async () => {
  const address = `${house.url}/mcp/files`
  const named = await exchange(anne.access, { resource: null, audience: address })
  const twice = await exchange(anne.access, { audience: `${address}/` })
  const two = await exchange(anne.access, { audience: `${house.url}/mcp/desk` })

  expect([named.status, twice.status, two.status, two.body['error']]).toEqual([200, 200, 400, 'invalid_target'])
})

test('clients that act one for the other are all named, and at the most four of them', async () => {
  let token = await exchanged(anne.access)
  const chain = [machine.id]
  for (let n = 0; n < 3; n += 1) {
    const next = await createMachine(WAYS)
    chain.unshift(next.id)
    token = await exchanged(token, {}, next)
  }

  const beyond = await exchange(token, {}, await createMachine(WAYS))

  const [a, b, c, d] = chain
  expect(claimsOf(token)['act']).toEqual({ sub: a, act: { sub: b, act: { sub: c, act: { sub: d } } } })
  expect([(await use('files', token)).status, beyond.status, beyond.body['error']]).toEqual([
    200,
    400,
    'invalid_request',
  ])
})

test('scopes shrink and never grow', async () => {
  const much = await newPerson('much@example.com', 'mcp files:write offline_access')

  const all = await exchange(much.access)
  const less = await exchange(much.access, { scope: 'mcp' })
  const again = await exchange(textOf(less.body['access_token']), { scope: 'mcp files:write' })
  const more = await exchange(anne.access, { scope: 'mcp files:write' })

  expect([all.body['scope'], less.body['scope']]).toEqual(['mcp files:write', 'mcp'])
  expect([again, more].map(({ status, body }) => [status, body['error']])).toEqual([
    [400, 'invalid_scope'],
    [400, 'invalid_scope'],
  ])
})

test.each<[string, string, () => Promise<Answer>]>([
  ['a way that nobody opened', 'invalid_target', () => exchange(anne.access, { resource: `${house.url}/mcp/archive` })],
  [
    'a gateway that does not exist',
    'invalid_target',
    () => exchange(anne.access, { resource: `${house.url}/mcp/none` }),
  ],
  ['another site', 'invalid_target', () => exchange(anne.access, { resource: 'https://example.com/mcp/files' })],
  ['no target', 'invalid_target', () => exchange(anne.access, { resource: null })],
  ['no subject', 'invalid_request', () => exchange('', { subject_token: null })],
  [
    'another type of subject',
    'invalid_request',
    () => exchange(anne.access, { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }),
  ],
  [
    'another type of token',
    'invalid_request',
    () => exchange(anne.access, { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }),
  ],
  [
    'an actor of its own',
    'invalid_request',
    () => exchange(anne.access, { actor_token: anne.access, actor_token_type: ACCESS_TOKEN }),
  ],
  ['a refresh token as subject', 'invalid_request', () => exchange(anne.refreshToken)],
  ['a changed token', 'invalid_request', () => exchange(anne.access.replace(/.{8}$/, 'AAAAAAAA'))],
  [
    'somebody else’s token',
    'invalid_request',
    () => exchange('eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.'),
  ],
  ['a wrong secret', 'invalid_client', () => exchange(anne.access, {}, { ...machine, secret: 'wrong' })],
])('refused: %s', async (_what, error, ask) => {
  const { status, body } = await ask()

  expect([status, body['error'], body['access_token']]).toEqual([
    error === 'invalid_client' ? 401 : 400,
    error,
    undefined,
  ])
})

test('a client registers itself for no exchange, and one without ways exchanges nothing', async () => {
  const itself = await register(house, { grant_types: [GRANT], token_endpoint_auth_method: 'client_secret_basic' })
  const without = await createClient({ name: 'No ways', grants: ['token_exchange'] })
  const nowhere = [{ from: 'desk', to: 'flies' }]
  const misspelt = await createClient({ name: 'Misspelt', grants: ['token_exchange'], exchange: nowhere })
  const open = await createClient({ name: 'Open', grants: ['token_exchange'], exchange: WAYS, isPublic: true })

  expect([itself.status, itself.body['error']]).toEqual([400, 'invalid_client_metadata'])
  expect([without.status, without.body['detail']]).toEqual([400, expect.stringContaining('token_exchange')])
  expect([misspelt.status, misspelt.body['detail']]).toEqual([400, expect.stringContaining('"flies"')])
  expect([open.status, open.body['detail']]).toEqual([400, expect.stringContaining('public')])
})

test('what was exchanged ends with what it was made from, and with the client', async () => {
  const { accountId, access, clientId } = await newPerson('brief@example.com')
  const other = await createMachine(WAYS)
  const [token, ofOther] = await Promise.all([exchanged(access), exchanged(access, {}, other)])
  const before = await Promise.all([token, ofOther].map((each) => use('files', each)))

  await house.gatehouse.oauth.clients.remove(other.id, ADMIN)
  const withoutClient = await use('files', ofOther)
  const [grant] = await house.gatehouse.oauth.server.grants(accountId)
  await house.gatehouse.oauth.server.revokeGrant(accountId, grant?.grantId ?? '')
  const after = await use('files', token)
  const again = await exchange(access)

  expect([...before, withoutClient, after].map(({ status }) => status)).toEqual([200, 200, 401, 401])
  expect([again.body['error'], clientId === machine.id]).toEqual(['invalid_request', false])
})

test('whoever was switched off, or whom the login policy keeps out of the next gateway, is taken nowhere', async () => {
  const off = await newPerson('off@example.com')
  const kept = await newPerson('kept@example.com')
  await house.gatehouse.identity.accounts.update(off.accountId, { isActive: false }, ADMIN)
  const rule = { id: 'no-files', effect: 'deny', users: ['kept@example.com'], services: ['files'] }
  house.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({ rules: [rule] }))

  const answers = await Promise.all([exchange(off.access), exchange(kept.access), exchange(anne.access)])

  expect(answers.map(({ status, body }) => [status, body['error']])).toEqual([
    [400, 'invalid_request'],
    [400, 'invalid_target'],
    [200, undefined],
  ])
})

test('a token of a machine that was revoked ends what was made from it, and nothing else of the machine', async () => {
  const { id: account } = await house.gatehouse.identity.accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)
  const made = await createClient({ name: 'Robot', grants: ['client_credentials'], account })
  const proof = Buffer.from(`${textOf(made.body['id'])}:${textOf(made.body['secret'])}`).toString('base64')
  const form = { grant_type: 'client_credentials', resource: `${house.url}/mcp/desk` }
  const ask = async (): Promise<string> =>
    textOf((await post(`${house.url}/oauth/token`, form, { authorization: `Basic ${proof}` })).body['access_token'])
  const revoke = (token: string) => post(`${house.url}/oauth/revoke`, { token, client_id: machine.id })
  const [first, second] = [await ask(), await ask()]
  const [ofFirst, ofSecond] = [await exchanged(first), await exchanged(second)]
  const further = await exchanged(ofFirst)

  await revoke(first)
  const afterFirst = await Promise.all([use('desk', first), use('files', ofFirst), use('files', further)])
  await revoke(ofSecond)
  const afterSecond = await Promise.all([use('files', ofSecond), use('desk', second), use('desk', await ask())])

  expect(afterFirst.map(({ status }) => status)).toEqual([401, 401, 401])
  expect(afterSecond.map(({ status }) => status)).toEqual([401, 200, 200])
})

test('every exchange and every refusal has one record, with who acts for whom, and no token in it', async () => {
  const since = Date.now()
  const token = await exchanged(anne.access)
  await exchange(anne.access, { resource: `${house.url}/mcp/archive` })

  const find = () => house.gatehouse.audit.search({ what: 'oauth.token-exchanged', since })
  await expect.poll(async () => (await find()).records.length).toBe(2)
  const { records } = await find()
  const facts = { from: 'desk', subject_client: anne.clientId, actors: [machine.id] }
  expect(records.map(({ decision, client, extra }) => [decision, client, extra])).toEqual([
    ['denied', machine.id, expect.objectContaining({ ...facts, to: 'archive' })],
    ['allowed', machine.id, expect.objectContaining({ ...facts, to: 'files' })],
  ])
  expect([JSON.stringify(records), house.logs.join()].filter((text) => text.includes(token))).toEqual([])
})

test('what was exchanged ends when its subject does, and what has ended is exchanged no more', async () => {
  const { access } = await newPerson('late@example.com')
  const end = Number(claimsOf(access)['exp'])
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    vi.setSystemTime((end - 60) * 1_000)
    const { body } = await exchange(access)
    const token = textOf(body['access_token'])
    vi.setSystemTime((end + 1) * 1_000)
    const over = await exchange(access)
    vi.setSystemTime(end * 1_000 - 400)
    const tooLate = await exchange(access)
    vi.setSystemTime((end + 1) * 1_000)
    const used = await use('files', token)

    expect([claimsOf(token)['exp'], body['expires_in']]).toEqual([end, 60])
    expect([tooLate.status, tooLate.body['error']]).toEqual([400, 'invalid_request'])
    expect([over.status, over.body['error'], used.status]).toEqual([400, 'invalid_request', 401])
  } finally {
    vi.useRealTimers()
  }
})
