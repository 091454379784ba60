import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as client from 'openid-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestCli } from '../../src/cli/testing.ts'
import { authorize, post, REDIRECT, refresh, register, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN, REFERENCE } from './kit.ts'
import { printed, startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** OAuth clients that admins make, and what becomes of any client that is removed. */

let house: TestHouse
let cli: TestCli
let accountId: string

beforeAll(async () => {
  ;({ house, cli } = await startHouseWithCli({ toml: REFERENCE }))
  accountId = (await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)).id
})

afterAll(() => house.close())

const json = (...words: string[]) => printed(cli, ...words)

const create = (...words: string[]) => json('client', 'create', '--name', 'Wiki', '--redirect', REDIRECT, ...words)

const useOf = async (access: string): Promise<number> =>
  (await callTool({ url: gatewayUrl(house, 'demo'), key: access }, 'whoami', {})).status

/** A relying party as the library for it is used, from discovery to the tokens. */
async function signIn({ id, secret }: { id: string; secret: string }, how = client.ClientSecretBasic(secret)) {
  const execute = [client.allowInsecureRequests]
  const config = await client.discovery(new URL(house.url), id, secret, how, { execute })
  const { back, codeVerifier } = await authorize(house, {
    clientId: id,
    accountId,
    gateway: 'demo',
    change: (params) => params.set('scope', 'openid profile mcp offline_access'),
  })
  const checks = { pkceCodeVerifier: codeVerifier, expectedState: 'the-state', idTokenExpected: true }
  return { config, tokens: await client.authorizationCodeGrant(config, back, checks) }
}

test('a client that an admin made signs people in with its secret, sent in either way', async () => {
  const made = await create('--post-logout-redirect', 'https://wiki.example/bye')

  const basic = await signIn(made)
  const posted = await signIn(made, client.ClientSecretPost(made.secret))
  const next = await client.refreshTokenGrant(basic.config, basic.tokens.refresh_token ?? '')

  expect(made).toMatchObject({
    origin: 'registered',
    grants: ['authorization_code', 'refresh_token'],
    postLogoutRedirectUris: ['https://wiki.example/bye'],
    secret: expect.stringMatching(/^ghc_[\w-]{43}$/),
  })
  expect(basic.tokens.claims()).toMatchObject({ aud: made.id, sub: accountId })
  expect([await useOf(basic.tokens.access_token), await useOf(posted.tokens.access_token)]).toEqual([200, 200])
  expect(await useOf(next.access_token)).toBe(200)
})

test.each<[string, (secret: string) => string]>([
  ['a wrong one', () => 'wrong'],
  ['none', () => ''],
  ['what stands for it while it is made', () => 'to-be-made'],
  ['what is kept of it', (secret) => `sha256:${hash('sha256', secret, 'base64url')}`],
])('in place of the secret, %s opens nothing', async (_what, change) => {
  const { id, secret: right } = await create()
  const secret = change(right)
  const code = await authorize(house, { clientId: id, accountId, gateway: 'demo' })

  const answer = await post(`${house.url}/oauth/token`, {
    grant_type: 'authorization_code',
    client_id: id,
    ...(secret === '' ? {} : { client_secret: secret }),
    code: code.back.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT,
    code_verifier: code.codeVerifier,
  })

  expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client'])
})

test('the secret is shown once: it is in no answer, log, record or file after that', async () => {
  const { id, secret } = await create()
  await signIn({ id, secret })

  const shown = await cli('client', 'show', id, '--json')
  const listed = await cli('client', 'list', '--json')
  const { records } = await house.gatehouse.audit.search({ what: 'oauth.client-created' })
  const names = await readdir(house.dataDir)
  const files = await Promise.all(names.map((name) => readFile(join(house.dataDir, name)).catch(() => Buffer.of())))

  const written = [
    shown.out,
    listed.out,
    JSON.stringify(records),
    house.logs.join(),
    Buffer.concat(files).toString('latin1'),
  ]
  expect(written.map((text) => text.includes(secret))).toEqual([false, false, false, false, false])
  expect(records[0]).toMatchObject({ decision: 'allowed', userId: 'admin', extra: { client: id, name: 'Wiki' } })
})

test('the list has everybody: made here, registered by themselves; and when they were used', async () => {
  const { id } = await create('--public')
  const self = textOf((await register(house, { client_name: 'Cursor' })).body['client_id'])
  const used = await tokensFor(house, { accountId, gateway: 'demo' })

  const { clients } = await json('client', 'list')
  const text = await cli('client', 'show', self)

  const byId = new Map(clients.map((one: { id: string }) => [one.id, one]))
  expect(byId.get(id)).toMatchObject({ origin: 'registered', isPublic: true, lastUsedAt: null })
  expect(byId.get(self)).toMatchObject({ origin: 'self-registered', name: 'Cursor', redirectUris: [REDIRECT] })
  await expect.poll(() => json('client', 'show', used.clientId)).toMatchObject({ lastUsedAt: expect.any(Number) })
  expect(text.out).toContain('Cursor')
})

test('pages of the list hold every client once', async () => {
  const first = await house.gatehouse.oauth.clients.list({ limit: 2 })
  const rest = await house.gatehouse.oauth.clients.list({ limit: 1_000, cursor: first.next ?? '' })
  const all = await house.gatehouse.oauth.clients.list({ limit: 1_000 })

  expect([...first.clients, ...rest.clients]).toEqual(all.clients)
})

test('a client that is removed gets nothing any more, and what it had is refused at once', async () => {
  const made = await create()
  const { tokens } = await signIn(made)
  const other = await tokensFor(house, { accountId, gateway: 'demo' })
  const before = await useOf(tokens.access_token)

  const removed = await cli('client', 'remove', made.id)

  const again = await post(`${house.url}/oauth/token`, {
    grant_type: 'refresh_token',
    client_id: made.id,
    client_secret: made.secret,
    refresh_token: tokens.refresh_token ?? '',
  })
  const grants = await house.gatehouse.oauth.server.grants(accountId)
  expect([before, removed.code, await useOf(tokens.access_token), again.status]).toEqual([200, 0, 401, 401])
  expect(await useOf(other.access)).toBe(200)
  expect(grants.map(({ name }) => name)).not.toContain(made.id)
  expect(await cli('client', 'show', made.id)).toMatchObject({ code: 1, err: expect.stringContaining('client list') })
})

test('a client that registered itself is removed like any other, by an admin or by itself', async () => {
  const byAdmin = await tokensFor(house, { accountId, gateway: 'demo' })
  const { body } = await register(house)
  const byItself = textOf(body['client_id'])

  await cli('client', 'remove', byAdmin.clientId)
  const left = await fetch(textOf(body['registration_client_uri']), {
    method: 'DELETE',
    headers: { authorization: `Bearer ${textOf(body['registration_access_token'])}` },
  })

  expect([await useOf(byAdmin.access), (await refresh(house, byAdmin)).status, left.status]).toEqual([401, 401, 204])
  expect(byItself).toMatch(/^app_/)
  expect(await cli('client', 'show', byItself)).toMatchObject({ code: 1 })
})

test.each([
  ['no redirect', ['--name', 'x'], 'redirect'],
  ['an address without encryption', ['--name', 'x', '--redirect', 'http://wiki.example/cb'], 'redirect'],
  ['a script', ['--name', 'x', '--redirect', 'javascript:alert(1)'], 'redirect'],
  ['a name that steers', ['--name', 'x\u202ey', '--redirect', REDIRECT], 'client_name'],
])('a client with %s is not made, and told why', async (_what, words, why) => {
  const ran = await cli('client', 'create', ...words)

  expect(ran.code).toBe(1)
  expect(ran.err).toContain(why)
})

test('nobody but an admin sees or makes clients', async () => {
  const key = await house.createKey({ gateway: '*' })

  const statuses = await Promise.all(
    [undefined, key].map(async (token) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      return (await fetch(`${house.url}/api/v1/clients`, { headers })).status
    }),
  )

  expect(statuses).toEqual([401, 403])
})
