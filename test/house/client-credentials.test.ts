import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { loginPolicyConfig } from '#login'
import type { TestCli } from '../../src/cli/testing.ts'
import { post, register, textOf } from './oauth-client.ts'
import { ADMIN, REFERENCE } from './kit.ts'
import { startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, toolNames } from './talk.ts'

/** Clients that act by themselves, as a system account (RFC 6749 §4.4), with a secret or a key of their own. */

const TOML = `${REFERENCE}
  [[gateways]]
  slug = "wiki"
  tools = ["reference/*"]

  [[gateways]]
  slug = "keys"
  tools = ["reference/*"]
  auth = "key"
`
const created = z.object({ id: z.string(), secret: z.string().nullable(), account: z.string().nullable() })

let cwd: string
let house: TestHouse
let cli: TestCli
let accountId: string

beforeAll(async () => {
  ;({ cwd, house, cli } = await startHouseWithCli({ toml: TOML }))
  accountId = (await house.gatehouse.identity.accounts.create({ userId: 'reporter', kind: 'system' }, ADMIN)).id
  await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
})
afterAll(() => house.close())

const create = (...words: string[]) => cli('client', 'create', '--name', 'Nightly', ...words, '--json')

async function machine(...words: string[]) {
  const ran = await create('--grant', 'client_credentials', '--account', 'reporter', ...words)
  expect(ran).toMatchObject({ code: 0, err: '' })
  const { id, secret } = created.parse(JSON.parse(ran.out))
  return { id, secret: secret ?? '' }
}

const address = (gateway: string): string => `${house.url}/mcp/${gateway}`

function ask({ id, secret }: { id: string; secret: string }, form: Record<string, string> = {}) {
  const headers = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
  const all = { grant_type: 'client_credentials', resource: address('demo'), ...form }
  const said = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''))
  return post(`${house.url}/oauth/token`, said, headers)
}

const use = (access: string, gateway = 'demo') =>
  callTool({ url: gatewayUrl(house, gateway), key: access }, 'whoami', {})

test('a client gets a token as its account, for one gateway, without a refresh token', async () => {
  const client = await machine()

  const { status, body, headers } = await ask(client)

  const access = textOf(body['access_token'])
  const [here, there] = [await use(access), await use(access, 'wiki')]
  expect([status, headers.get('cache-control'), body]).toEqual([
    200,
    'no-store',
    { access_token: access, token_type: 'Bearer', expires_in: 600, scope: 'mcp' },
  ])
  expect([here.status, JSON.stringify(here.result).includes('reporter'), there.status]).toEqual([200, true, 401])
  const { records } = await house.gatehouse.audit.search({ what: 'oauth.token-issued' })
  expect(records[0]).toMatchObject({ client: client.id, extra: { account: accountId } })
})

test('openid-client does it with the secret in either way, and with a key in place of one', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  await writeFile(join(cwd, 'keys.json'), JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] }))
  const [withSecret, withKey] = [await machine(), await machine('--keys', 'keys.json')]
  const ways: [string, oidc.ClientAuth][] = [
    [withSecret.id, oidc.ClientSecretBasic(withSecret.secret)],
    [withSecret.id, oidc.ClientSecretPost(withSecret.secret)],
    [withKey.id, oidc.PrivateKeyJwt({ key: privateKey, kid: 'k1' })],
  ]

  const tokens = await Promise.all(
    ways.map(async ([id, auth]) => {
      const execute = [oidc.allowInsecureRequests]
      const config = await oidc.discovery(new URL(house.url), id, {}, auth, { execute })
      return oidc.clientCredentialsGrant(config, { resource: address('demo') })
    }),
  )

  const used = await Promise.all(tokens.map(({ access_token: access }) => use(access)))
  expect(used.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(withKey.secret).toBe('')
})

test('of many uses of one client assertion at once, one counts', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  await writeFile(join(cwd, 'keys.json'), JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] }))
  const { id } = await machine('--keys', 'keys.json')
  const assertion = await new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(id)
    .setSubject(id)
    .setAudience(house.url)
    .setJti('once')
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(privateKey)
  const form = {
    grant_type: 'client_credentials',
    resource: address('demo'),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  }

  const answers = await Promise.all(Array.from({ length: 12 }, () => post(`${house.url}/oauth/token`, form)))

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ body }) => body['error'] === 'invalid_client')).toHaveLength(11)
})

test.each<[string, Record<string, string>, string]>([
  ['no gateway', { resource: '' }, 'invalid_target'],
  ['a gateway that does not exist', { resource: 'http://127.0.0.1/mcp/none' }, 'invalid_target'],
  ['a scope that the gateway does not have', { scope: 'mail' }, 'invalid_scope'],
  ['such a scope beside one that it has', { scope: 'mcp mail' }, 'invalid_scope'],
])('refused: %s', async (_what, form, error) => {
  const { status, body } = await ask(await machine(), form)

  expect([status, body['error']]).toEqual([400, error])
})

test('a wrong secret, and a gateway that takes keys alone, get nothing', async () => {
  const client = await machine()

  const wrong = await ask({ ...client, secret: 'wrong' })
  const keys = await ask(client, { resource: address('keys') })

  expect([wrong.status, wrong.body['error'], keys.body['error']]).toEqual([401, 'invalid_client', 'invalid_target'])
})

test.each<[string, string[], RegExp]>([
  ['without an account', ['--grant', 'client_credentials'], /belong together/],
  ['with an account and no grant for it', ['--account', 'reporter', '--redirect', 'https://a.example/cb'], /together/],
  ['as a person', ['--grant', 'client_credentials', '--account', 'anne@example.com'], /no system account/],
  ['as nobody', ['--grant', 'client_credentials', '--account', 'nobody'], /There is no account/],
  ['in public', ['--grant', 'client_credentials', '--account', 'reporter', '--public'], /public client/],
])('no client is made %s', async (_what, words, why) => {
  const ran = await create(...words)

  expect([ran.code === 0, ran.err]).toEqual([false, expect.stringMatching(why)])
})

test('nobody registers such a client for themselves', async () => {
  const grant_types = ['client_credentials']
  const { status, body } = await register(house, { grant_types, token_endpoint_auth_method: 'client_secret_basic' })

  expect([status, body['error']]).toEqual([400, 'invalid_client_metadata'])
})

test('it may do what was granted to its account, and the login policy is asked', async () => {
  await house.gatehouse.policy.addGrant(
    { subject: { kind: 'account', id: 'reporter' }, gateway: 'wiki', tools: ['reference/echo'] },
    ADMIN,
  )
  const client = await machine()
  const { body } = await ask(client, { resource: address('wiki') })
  const listed = await toolNames({ url: gatewayUrl(house, 'wiki'), key: textOf(body['access_token']) })
  const rule = { id: 'no-machines', effect: 'deny', accounts: ['system'], services: ['wiki'] }
  house.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({ rules: [rule] }))
  const refused = await ask(client, { resource: address('wiki') })
  const elsewhere = await ask(client)
  house.gatehouse.loginPolicy.declare(loginPolicyConfig.parse({}))

  expect([listed, refused.body['error'], elsewhere.status]).toEqual([['echo'], 'invalid_grant', 200])
})

test('a revoked token is over and the client gets the next; what ends the client or its account ends all of it', async () => {
  const [first, second] = [await machine(), await machine()]
  const [one, two, other] = await Promise.all([ask(first), ask(first), ask(second)])
  const [a, b, c] = [one, two, other].map(({ body }) => textOf(body['access_token']))
  const revoked = await post(
    `${house.url}/oauth/revoke`,
    { token: a ?? '' },
    { authorization: `Basic ${Buffer.from(`${first.id}:${first.secret}`).toString('base64')}` },
  )
  const afterRevoking = [await use(a ?? ''), await use(b ?? ''), await use(c ?? '')]
  const next = await ask(first)
  await cli('client', 'remove', second.id)
  const afterRemoving = [await use(c ?? ''), await ask(second)]
  await house.gatehouse.identity.accounts.update(accountId, { isActive: false }, ADMIN)
  const afterAccount = [await use(b ?? ''), await ask(first)]

  expect([revoked.status, ...afterRevoking.map(({ status }) => status), next.status]).toEqual([200, 401, 200, 200, 200])
  expect(afterRemoving.map(({ status }) => status)).toEqual([401, 401])
  expect(afterAccount.map(({ status }) => status)).toEqual([401, 400])
})
