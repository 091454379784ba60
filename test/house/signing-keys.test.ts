import { decodeProtectedHeader } from 'jose'
import * as client from 'openid-client'
import { expect, test } from 'vitest'
import { authorize, REDIRECT, register, textOf } from './oauth-client.ts'
import { ADMIN, REFERENCE, openHouse, askAdmin } from './kit.ts'
import type { TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** A new key waits ten minutes; the library of the authorization server knows no other clock than the real one. */
const BEHIND_MS = 600_000

async function start() {
  const late = { ms: BEHIND_MS }
  const house = await openHouse({ toml: REFERENCE, clock: { now: () => Date.now() - late.ms } })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
  return { house, late, accountId: id }
}

/** A relying party that verifies the signature of every ID token by the published keys. */
async function relyingParty(house: TestHouse) {
  const clientId = textOf((await register(house)).body['client_id'])
  const config = await client.discovery(
    new URL(house.url),
    clientId,
    { token_endpoint_auth_method: 'none' },
    client.None(),
    {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
    },
  )
  return { clientId, config }
}

async function signIn(house: TestHouse, accountId: string) {
  const { clientId, config } = await relyingParty(house)
  const { back, codeVerifier } = await authorize(house, {
    clientId,
    accountId,
    gateway: 'demo',
    change: (params) => params.set('scope', 'openid mcp offline_access'),
  })
  const checks = { pkceCodeVerifier: codeVerifier, expectedState: 'the-state', idTokenExpected: true }
  const url = new URL(back)
  expect(`${url.origin}${url.pathname}`).toBe(REDIRECT)
  const tokens = await client.authorizationCodeGrant(config, url, checks)
  return { config, tokens }
}

const useOf = async (house: TestHouse, access: string): Promise<number> =>
  (await callTool({ url: gatewayUrl(house, 'demo'), key: access }, 'whoami', {})).status
const kidOf = (token: string | undefined): string => textOf(decodeProtectedHeader(token ?? '').kid)

const PARTIES = 10
const REFRESHES = 19

test('through a change of the keys no sign-in, refresh or call fails', async () => {
  const { house, late, accountId } = await start()
  const done = { count: 0 }
  const kids = new Set<string>()
  const statuses: number[] = []
  const note = async (tokens: { access_token: string; id_token?: string | undefined }): Promise<void> => {
    statuses.push(await useOf(house, tokens.access_token))
    kids.add(kidOf(tokens.access_token)).add(kidOf(tokens.id_token))
    done.count += 1
    if (done.count === 100) late.ms = -1_000
  }

  // Whoever fetches the keys from now on has the new ones, ten minutes before they sign, and never fetches them again.
  await house.gatehouse.keyRing.rotate({ now: false, dropOld: false }, ADMIN)
  await Promise.all(
    Array.from({ length: PARTIES }, async () => {
      const party = await signIn(house, accountId)
      await note(party.tokens)
      let refreshToken = party.tokens.refresh_token ?? ''
      for (let turn = 0; turn < REFRESHES; turn += 1) {
        const next = await client.refreshTokenGrant(party.config, refreshToken)
        refreshToken = next.refresh_token ?? refreshToken
        await note(next)
      }
    }),
  )

  expect(statuses).toHaveLength(PARTIES * (REFRESHES + 1))
  expect(statuses.filter((status) => status !== 200)).toEqual([])
  expect(kids.size).toBe(4)
})

test('a token of a retired key counts; without the old keys it is refused at once, and a refresh goes on', async () => {
  const { house, accountId } = await start()
  const { config, tokens } = await signIn(house, accountId)
  await house.gatehouse.keyRing.rotate({ now: true, dropOld: false }, ADMIN)
  const retired = await useOf(house, tokens.access_token)

  const answer = await askAdmin(house, '/api/v1/signing-keys/rotate', { body: { dropOld: true } })
  const dropped = await useOf(house, tokens.access_token)
  const fresh = (await relyingParty(house)).config.serverMetadata()
  const jwks = await (await fetch(textOf(fresh.jwks_uri))).json()
  const body = {
    grant_type: 'refresh_token',
    client_id: config.clientMetadata().client_id,
    refresh_token: tokens.refresh_token ?? '',
  }
  const refreshed = await (
    await fetch(`${house.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(body) })
  ).json()

  expect([answer.status, retired, dropped]).toEqual([200, 200, 401])
  expect(jwks.keys).toHaveLength(2)
  expect(JSON.stringify(jwks)).not.toMatch(/"(d|p|q|dp|dq|qi)":/)
  expect(await useOf(house, refreshed.access_token)).toBe(200)
})

test('nobody but an admin sees or changes the keys', async () => {
  const { house } = await start()
  const key = await house.createKey({ user: 'anne@example.com', gateway: 'demo' })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const before = house.gatehouse.keyRing.list()

  const seen = await fetch(`${house.url}/api/v1/signing-keys`, { headers })
  const changed = await fetch(`${house.url}/api/v1/signing-keys/rotate`, { method: 'POST', headers, body: '{}' })

  expect([seen.status, changed.status].map((status) => status >= 401 && status <= 404)).toEqual([true, true])
  expect(house.gatehouse.keyRing.list()).toEqual(before)
})
