import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorize, Browser, REDIRECT, register, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN, REFERENCE } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { gatewayUrl } from './talk.ts'

const VERIFIER = 'v'.repeat(43)
const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
let house: TestHouse

beforeAll(async () => {
  house = await startHouse({ toml: REFERENCE, clock })
  await house.listed()
})
afterAll(() => house.close())

const addPerson = async (userId: string) => (await house.gatehouse.identity.accounts.create({ userId }, ADMIN)).id
const grantsOf = (accountId: string) => house.gatehouse.oauth.server.grants(accountId)

/** A browser that is asked whether a client may act for somebody. */
async function ask() {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: textOf((await register(house)).body['client_id']),
    redirect_uri: REDIRECT,
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
    resource: gatewayUrl(house, 'demo'),
  })
  const browser = new Browser()
  const { location } = await browser.visit(`${house.url}/oauth/authorize?${query}`)
  return { browser, uid: location.split('/').at(-1) ?? '' }
}

test('whoever presses "Allow" five times is led to one place, and has allowed it once', async () => {
  const accountId = await addPerson('ada')
  const { browser, uid } = await ask()
  const by = { accountId, factor: 'password', signedInAt: Date.now() }

  const onward = await Promise.all(
    Array.from({ length: 5 }, () => house.gatehouse.oauth.server.allow(browser.cookie, { uid, by })),
  )
  const back = new URL((await browser.visit(onward[0] ?? '')).location)

  expect(new Set(onward).size).toBe(1)
  expect(back.searchParams.get('code')).not.toBeNull()
  expect(await grantsOf(accountId)).toHaveLength(1)
})

test('of a yes and a no the first counts', async () => {
  const accountId = await addPerson('bea')
  const { browser, uid } = await ask()
  const by = { accountId, factor: 'password', signedInAt: Date.now() }
  const { server } = house.gatehouse.oauth

  const no = await server.deny(browser.cookie, uid)
  const yes = await server.allow(browser.cookie, { uid, by })
  const back = new URL((await browser.visit(yes)).location)

  expect(yes).toBe(no)
  expect(back.searchParams.get('error')).toBe('access_denied')
  expect(await grantsOf(accountId)).toEqual([])
})

test('a program is listed as long as it can do something, and no longer', async () => {
  const accountId = await addPerson('cleo')
  const clientId = textOf((await register(house)).body['client_id'])
  await authorize(house, { clientId, accountId, gateway: 'demo' }) // and never asks for tokens
  const { clientId: other } = await tokensFor(house, { accountId, gateway: 'demo' })
  const names = async () => (await grantsOf(accountId)).length

  const atOnce = await names()
  clock.skippedMs += 601_000
  const later = await names()
  clock.skippedMs += 30 * 86_400_000
  const afterAMonth = await names()

  expect(other).not.toBe(clientId)
  expect([atOnce, later, afterAMonth]).toEqual([2, 1, 0])
})

test('the trail tells whose tokens were issued, by their user id', async () => {
  const accountId = await addPerson('dora')
  const { clientId } = await tokensFor(house, { accountId, gateway: 'demo' })

  const issued = async () => (await house.gatehouse.audit.search({ user: 'dora', what: 'oauth.token-issued' })).records

  await expect.poll(issued).toMatchObject([{ decision: 'allowed', userId: 'dora', client: clientId }])
})
