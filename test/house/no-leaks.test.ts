import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startIdentityProvider, type IdentityProvider } from '../fakes/identity-provider.ts'
import { ADA, goEveryWayIn, SHORT, WRONG } from './every-way-in.ts'
import { keptBy, leaks, spellings, toldBy, type Exchange, type Secrets } from './secrets.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** Everybody signs in to one house in every way there is, and nothing that proves who they are stays anywhere. */

const IDP_SECRET = 'a-long-secret-of-the-client'
const exchanges: Exchange[] = []
let house: TestHouse
let idp: IdentityProvider
let secrets: Secrets

const fetchAsBefore = globalThis.fetch
beforeAll(async () => {
  globalThis.fetch = async (input, init) => {
    const response = await fetchAsBefore(input, init)
    const { status, headers } = response
    exchanges.push({
      url: input instanceof Request ? input.url : input.toString(),
      status,
      headers,
      body: await response.clone().text(),
    })
    return response
  }
  idp = await startIdentityProvider({ sub: 's-bob', email: 'bob@example.com', email_verified: true })
  house = await startHouse({ toml: configOf(idp), env: { ...process.env, IDP_SECRET } })
  idp.redirectUris = [`${house.url}/signin/sources/work/callback`]
  await house.listed()
  secrets = await goEveryWayIn({ house, idp })
})
afterAll(async () => {
  globalThis.fetch = fetchAsBefore
  await house.close()
  await idp[Symbol.asyncDispose]()
})

function configOf({ issuer }: IdentityProvider): string {
  return `
    [[servers]]
    name = "reference"
    transport = "builtin"

    [[gateways]]
    slug = "demo"
    tools = ["reference/*"]

    [[identity_sources]]
    name = "work"
    issuer = "${issuer}"
    client_id = "gatehouse"
    client_secret = "\${env:IDP_SECRET}"
    authoritative_domains = ["example.com"]
    auto_create = true
  `
}

/** What signs tokens is kept sealed. */
function withSigningKeys(): Secrets {
  const { keyRing } = house.gatehouse
  const parts = keyRing
    .all()
    .map(({ kid, privateKey }) => [`the key ${kid}`, privateKey.export({ format: 'jwk' }).d ?? ''])
  return {
    ...secrets,
    ...Object.fromEntries(
      parts.flatMap(([name = '', d = '']) => [
        [name, d],
        [`${name}, as bytes`, Buffer.from(d, 'base64url')],
      ]),
    ),
  }
}

describe('what proves who somebody is', () => {
  test('is known to this test: fifty of them, none empty', () => {
    const all = Object.entries(withSigningKeys())

    expect(all.length).toBeGreaterThan(50)
    expect(all.filter(([, secret]) => secret.length < 8).map(([name]) => name)).toEqual([])
  })

  test('would be found, however it is spelt and wherever it begins', () => {
    const spelt = ['', 'a', 'ab'].flatMap((before) => {
      const bytes = Buffer.from(`${before}${SHORT}!`)
      return [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex'), bytes.toString()]
    })

    expect(spelt.filter((text) => leaks({ here: text }, { it: SHORT }).length === 0)).toEqual([])
    expect(spellings(WRONG)).toContain('a+wrong+password+that+nobody+may+read')
  })

  test('is in no file and in no row of the database', async () => {
    const kept = await keptBy(house)

    expect(leaks(kept, { 'somebody’s name': ADA })).not.toEqual([])
    expect(leaks(kept, withSigningKeys())).toEqual([])
    expect(leaks(kept, { 'the admin token': house.adminToken })).toEqual(['the admin token in admin-token'])
  })

  test('is in no log, metric, list, record or export', async () => {
    const told = await toldBy(house)

    const withName = leaks(told, { 'somebody’s name': ADA })
    expect(withName).toEqual(
      expect.arrayContaining(['/api/v1/audit/export', '/api/v1/accounts'].map((path) => `somebody’s name in ${path}`)),
    )
    expect(leaks(told, { ...withSigningKeys(), 'the admin token': house.adminToken })).toEqual([])
  })

  test('is in no answer that refuses something', () => {
    const refusals = exchanges.filter(({ status, url }) => status >= 400 && url.startsWith(house.url))
    const texts = refusals.map(({ url, body, headers }, n) => [
      `${n} ${url}`,
      `${body}\n${JSON.stringify([...headers])}`,
    ])

    expect(refusals.length).toBeGreaterThan(20)
    expect(leaks(Object.fromEntries(texts), secrets)).toEqual([])
  })

  test('is kept by no cache, and told to no other site by its address', () => {
    const ours = exchanges.filter(({ url }) => url.startsWith(house.url))
    const withSecret = ours.filter(({ body, url }) => leaks({ body, url }, secrets).length > 0)
    const kept = withSecret.filter(({ headers }) => !headers.get('cache-control')?.includes('no-store'))
    const pages = ours.filter(({ headers }) => headers.get('content-type')?.includes('text/html'))
    const talkative = pages.filter(
      ({ headers }) => !['same-origin', 'no-referrer'].includes(headers.get('referrer-policy') ?? ''),
    )

    expect(withSecret.length).toBeGreaterThan(20)
    expect(kept.map(({ url, status }) => `${status} ${url}`)).toEqual([])
    expect([pages.length > 20, talkative.map(({ url }) => url)]).toEqual([true, []])
  })
})
