import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { loginPolicyConfig } from '#login'
import { authorize, post, REDIRECT, textOf, type Answer } from './oauth-client.ts'
import { ADMIN, askAdmin } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/**
 * Enterprise-managed authorization (ID-JAG), both ways: one house vouches for its people, another takes its word, and
 * that of a provider of others, which signs whatever a test wants it to.
 */

const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "files"
  tools = ["reference/*"]

  [[gateways]]
  slug = "archive"
  tools = ["reference/*"]
`
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'

type Client = { readonly id: string; readonly secret: string }

let provider: {
  readonly issuer: string
  readonly server: Server
  sign(claims: JWTPayload, header?: object): Promise<string>
}
let home: TestHouse
let away: TestHouse
/** One program, which has an id at each of the two houses. */
let atHome: Client
let atAway: Client

beforeAll(async () => {
  provider = await startProvider()
  home = await startHouse({ toml: TOML })
  away = await startHouse({ toml: `${TOML}${sourceOf('home', home.url)}${sourceOf('company', provider.issuer)}` })
  await away.listed()
  atAway = await createClient(away, { name: 'Agent', grants: ['jwt_bearer'] })
  atHome = await createClient(home, {
    name: 'Agent',
    redirectUris: [REDIRECT],
    grants: ['authorization_code', 'refresh_token', 'token_exchange'],
    idJag: [{ audience: away.url, clientId: atAway.id, resources: [`${away.url}/mcp/files`] }],
  })
})
afterAll(async () => {
  await Promise.all([home.close(), away.close()])
  provider.server.close()
})

function sourceOf(name: string, issuer: string): string {
  return `
  [[identity_sources]]
  name = "${name}"
  issuer = "${issuer}"
  client_id = "gatehouse"
  user_id_claim = "sub"
  auto_create = true
  accept_id_jag = true
`
}

/** A provider of others: it publishes its key and signs. */
async function startProvider() {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }]
  const server = createServer((req, res) => {
    const issuer = issuerOf(server)
    const ends = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` }
    const isKeys = req.url === '/keys'
    const body = isKeys ? { keys } : { issuer, jwks_uri: `${issuer}/keys`, ...ends }
    res.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sign = (claims: JWTPayload, header: object = {}): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'oauth-id-jag+jwt', ...header })
      .sign(privateKey)
  return { server, issuer: issuerOf(server), sign }
}

function issuerOf(server: Server): string {
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

async function createClient(house: TestHouse, body: JsonObject): Promise<Client> {
  const { status, text, body: said } = await askAdmin(house, '/api/v1/clients', { body })
  if (status !== 201) throw new Error(text)
  return { id: textOf(said['id']), secret: textOf(said['secret']) }
}

const proofOf = ({ id, secret }: Client) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

type Change = Readonly<Record<string, string>>

/** What the program sends home with the id token of its user. */
const askHome = (idToken: string, change: Change = {}, by: Client = atHome): Promise<Answer> =>
  post(
    `${home.url}/oauth/token`,
    {
      grant_type: TOKEN_EXCHANGE,
      requested_token_type: ID_JAG,
      subject_token: idToken,
      subject_token_type: ID_TOKEN,
      audience: away.url,
      resource: `${away.url}/mcp/files`,
      ...change,
    },
    proofOf(by),
  )

const bring = (assertion: string, change: Change = {}, by: Client = atAway): Promise<Answer> =>
  post(`${away.url}/oauth/token`, { grant_type: JWT_BEARER, assertion, ...change }, proofOf(by))

async function signInAtHome(userId: string, clientId = atHome.id, secret = atHome.secret) {
  const { id: accountId } = await home.gatehouse.identity.accounts.create({ userId }, ADMIN)
  const change = (params: URLSearchParams): void => {
    params.delete('resource')
    params.set('scope', 'openid')
  }
  const { back, codeVerifier } = await authorize(home, { clientId, accountId, gateway: 'files', change })
  const form = { code: back.searchParams.get('code') ?? '', redirect_uri: REDIRECT, code_verifier: codeVerifier }
  const answer = await post(
    `${home.url}/oauth/token`,
    { grant_type: 'authorization_code', ...form },
    proofOf({ id: clientId, secret }),
  )
  return { accountId, idToken: textOf(answer.body['id_token']) }
}

/** What a company's provider says of somebody, with whatever a test makes of it. */
function saidBy(issuer: string, change: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1_000)
  return {
    iss: issuer,
    sub: 'worker-7',
    aud: away.url,
    client_id: atAway.id,
    resource: `${away.url}/mcp/files`,
    scope: 'mcp',
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 300,
    ...change,
  }
}

const use = (gateway: string, key: string) => callTool({ url: gatewayUrl(away, gateway), key }, 'whoami', {})

test('one house vouches for somebody, the other takes its word: from an id token to a call, without a browser', async () => {
  const { accountId, idToken } = await signInAtHome('anne@example.com')

  const vouched = await askHome(idToken)
  const granted = await bring(textOf(vouched.body['access_token']))

  const token = textOf(granted.body['access_token'])
  const called = await use('files', token)
  expect([vouched.status, vouched.body]).toEqual([
    200,
    { access_token: expect.any(String), issued_token_type: ID_JAG, token_type: 'N_A', expires_in: 300 },
  ])
  expect([granted.status, granted.body]).toEqual([
    200,
    { access_token: token, token_type: 'Bearer', expires_in: 600, scope: 'mcp' },
  ])
  expect([called.status, JSON.stringify(called.result).includes(accountId)]).toEqual([200, true])
  expect((await use('archive', token)).status).toBe(401)
  const { records } = await away.gatehouse.audit.search({ what: 'oauth.token-issued' })
  expect(records[0]).toMatchObject({ client: atAway.id, extra: { assertion_issuer: home.url, subject: accountId } })
})

test('the metadata of both says that they do', async () => {
  const response = await fetch(`${home.url}/.well-known/oauth-authorization-server`)
  const said: unknown = await response.json()

  expect(said).toMatchObject({
    grant_types_supported: expect.arrayContaining([JWT_BEARER, TOKEN_EXCHANGE]),
    authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
  })
})

test.each<[string, string, (idToken: string, accountId: string) => Promise<Answer>]>([
  ['another authorization server', 'invalid_target', (idToken) => askHome(idToken, { audience: 'https://as.example' })],
  ['another server there', 'invalid_target', (idToken) => askHome(idToken, { resource: `${away.url}/mcp/archive` })],
  ['a changed id token', 'invalid_request', (idToken) => askHome(idToken.replace(/.{8}$/, 'AAAAAAAA'))],
  [
    'an access token for an id token',
    'invalid_request',
    (idToken) => askHome(idToken, { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
  ],
  [
    'the id token of another client',
    'invalid_request',
    async () => {
      const other = await createClient(home, { name: 'Other', redirectUris: [REDIRECT] })
      return askHome((await signInAtHome('other@example.com', other.id, other.secret)).idToken)
    },
  ],
  [
    'somebody who was switched off',
    'invalid_request',
    async (idToken, accountId) => {
      await home.gatehouse.identity.accounts.update(accountId, { isActive: false }, ADMIN)
      return askHome(idToken)
    },
  ],
  [
    'somebody who took the client its grant',
    'invalid_request',
    async (idToken, accountId) => {
      const [grant] = await home.gatehouse.oauth.server.grants(accountId)
      await home.gatehouse.oauth.server.revokeGrant(accountId, grant?.grantId ?? '')
      return askHome(idToken)
    },
  ],
  [
    'somebody whom the login policy keeps from the client',
    'invalid_target',
    (idToken) => {
      const rule = { id: 'no', effect: 'deny', services: [`client:${atHome.id}`] }
      home.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({ rules: [rule] }))
      return askHome(idToken).finally(() => home.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({})))
    },
  ],
])('home does not vouch: %s', async (what, error, ask) => {
  const { idToken, accountId } = await signInAtHome(`${what.replaceAll(/\W+/g, '-')}@example.com`)

  const { status, body } = await ask(idToken, accountId)

  expect([status, body['error'], body['access_token']]).toEqual([400, error, undefined])
})

test.each<[string, string, Readonly<Record<string, unknown>>, object?]>([
  ['no type of its own', 'invalid_grant', {}, { typ: 'JWT' }],
  ['the type of an access token', 'invalid_grant', {}, { typ: 'at+jwt' }],
  ['another audience', 'invalid_grant', { aud: 'https://as.example' }],
  ['further audiences', 'invalid_grant', { aud: ['https://as.example', 'AWAY'] }],
  ['another client', 'invalid_grant', { client_id: 'client_other' }],
  ['no client', 'invalid_grant', { client_id: undefined }],
  ['an issuer that nobody trusts', 'invalid_grant', { iss: 'https://idp.example' }],
  ['the issuer of the other source', 'invalid_grant', { iss: 'HOME' }],
  ['no id of its own', 'invalid_grant', { jti: undefined }],
  ['an hour to live', 'invalid_grant', { exp: Math.floor(Date.now() / 1_000) + 3_600 }],
  ['its time over', 'invalid_grant', { iat: 1_700_000_000, exp: 1_700_000_300 }],
  ['a time to come', 'invalid_grant', { iat: Math.floor(Date.now() / 1_000) + 120 }],
  ['no end', 'invalid_grant', { exp: undefined }],
  ['a server that is not here', 'invalid_target', { resource: 'https://mcp.example/mcp' }],
  ['no server', 'invalid_target', { resource: undefined }],
  ['no scope that the gateway has', 'invalid_scope', { scope: 'mail' }],
])('away does not take an assertion with %s', async (_what, error, change, header) => {
  const filled = JSON.parse(JSON.stringify(change).replaceAll('AWAY', away.url).replaceAll('HOME', home.url))
  const gone = Object.fromEntries(Object.entries(change).filter(([, value]) => value === undefined))
  const assertion = await provider.sign(saidBy(provider.issuer, { ...filled, ...gone }), header)

  const { status, body } = await bring(assertion)

  expect([status, body['error'], body['access_token']]).toEqual([400, error, undefined])
})

test('an assertion counts once, for whoever comes first of many', async () => {
  const assertion = await provider.sign(saidBy(provider.issuer))

  const answers = await Promise.all(Array.from({ length: 12 }, () => bring(assertion)))
  const unsigned = await bring(`${btoa('{"alg":"none","typ":"oauth-id-jag+jwt"}')}.${assertion.split('.')[1] ?? ''}.`)

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ body }) => body['error'] === 'invalid_grant')).toHaveLength(11)
  expect([unsigned.status, unsigned.body['error']]).toEqual([400, 'invalid_grant'])
})

test('what the client wants besides must be what the provider said, and less of it at the most', async () => {
  const assertion = () => provider.sign(saidBy(provider.issuer))
  const same = await bring(await assertion(), { resource: `${away.url}/mcp/files`, scope: 'mcp' })
  const other = await bring(await assertion(), { resource: `${away.url}/mcp/archive` })
  const more = await bring(await assertion(), { scope: 'mcp files:write' })

  expect([same.status, other.body['error'], more.body['error']]).toEqual([200, 'invalid_target', 'invalid_scope'])
})

test('only a client that an admin made for it, and that proves who it is, brings assertions', async () => {
  const without = await createClient(away, { name: 'Plain', redirectUris: [REDIRECT] })
  const assertion = await provider.sign(saidBy(provider.issuer))

  const plain = await bring(assertion, {}, without)
  const unproved = await bring(assertion, {}, { ...atAway, secret: 'wrong' })

  expect([plain.status, unproved.status]).toEqual([400, 401])
})

test('whoever is switched off here gets nothing by any word of the provider, nor whom the policy keeps out', async () => {
  const sub = 'worker-8'
  const first = await bring(await provider.sign(saidBy(provider.issuer, { sub })))
  const account = away.gatehouse.identity.directory().findByUserId(sub)
  const rule = { id: 'no-files', effect: 'deny', users: [sub], services: ['files'] }
  away.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({ rules: [rule] }))
  const kept = await bring(await provider.sign(saidBy(provider.issuer, { sub })))
  away.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({}))
  await away.gatehouse.identity.accounts.update(account?.accountId ?? '', { isActive: false }, ADMIN)
  const off = await bring(await provider.sign(saidBy(provider.issuer, { sub })))

  expect([first.status, kept.body['error'], off.body['error']]).toEqual([200, 'invalid_grant', 'invalid_grant'])
  expect((await use('files', textOf(first.body['access_token']))).status).toBe(401)
})

test('a source that does not accept assertions is not asked for its keys', async () => {
  await using closed = await startHouse({
    toml: `${TOML}${sourceOf('company', provider.issuer).replace('accept_id_jag = true', '')}`,
  })
  const client = await createClient(closed, { name: 'Agent', grants: ['jwt_bearer'] })
  const said = { aud: closed.url, client_id: client.id, resource: `${closed.url}/mcp/files` }
  const assertion = await provider.sign(saidBy(provider.issuer, said))

  const answer = await post(`${closed.url}/oauth/token`, { grant_type: JWT_BEARER, assertion }, proofOf(client))

  expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_grant'])
})
