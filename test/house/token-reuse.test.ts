import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorize, redeem, refresh, register, textOf, tokensFor } from './oauth-client.ts'
import { addPerson } from './person.ts'
import { REFERENCE } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
let house: TestHouse

beforeAll(async () => {
  house = await startHouse({ toml: REFERENCE, clock })
  await house.listed()
})
afterAll(() => house.close())

const reuses = async (accountId: string) => {
  const { records } = await house.gatehouse.audit.search({ what: 'oauth.token-reused' })
  return records.filter(({ extra }) => extra?.['account'] === accountId)
}

test('an old refresh token that is used after the window is told of, once: to its person, in the trail, in a metric', async () => {
  const ada = await addPerson(house, 'ada')
  const first = await tokensFor(house, { accountId: ada.accountId, gateway: 'demo' })
  await refresh(house, first)
  const before = await ada.browser.get('/account')

  clock.skippedMs += 31_000
  const answers = await Promise.all([refresh(house, first), refresh(house, first), refresh(house, first)])
  await refresh(house, first)

  const seen = await ada.browser.get('/account')
  expect(answers.map(({ body }) => body['error'])).toEqual(['invalid_grant', 'invalid_grant', 'invalid_grant'])
  expect(before.text).not.toContain('was ended')
  expect(seen.text.match(/The access of A client was ended/g)).toHaveLength(1)
  expect(seen.text).toContain('an old refresh token of it was used again, from 127.0.0.1')
  expect(await reuses(ada.accountId)).toMatchObject([
    { decision: 'denied', userId: 'ada', client: first.clientId, extra: { reused: 'refresh token' } },
  ])
  expect(await house.gatehouse.metrics.render()).toContain(
    'gatehouse_oauth_token_reuses_total{reused="refresh token"} 1',
  )
})

test('a person takes the notice away when they have read it, and nobody else can', async () => {
  const [bea, eve] = await Promise.all([addPerson(house, 'bea'), addPerson(house, 'eve')])
  const clientId = textOf((await register(house)).body['client_id'])
  const code = { clientId, ...(await authorize(house, { clientId, accountId: bea.accountId, gateway: 'demo' })) }
  await redeem(house, code)
  await redeem(house, code)
  const noticed = await bea.browser.get('/account')
  const id = /notices\/dismiss[\s\S]*?name="id" value="([^"]+)"/.exec(noticed.text)?.[1] ?? ''

  await eve.browser.get('/account')
  await eve.browser.post('/account/notices/dismiss', { id })
  const still = await bea.browser.get('/account')
  await bea.browser.post('/account/notices/dismiss', { id })
  const after = await bea.browser.get('/account')

  expect(noticed.text).toContain('an old authorization code of it was used again')
  expect(still.text).toContain('was ended')
  expect(after.text).not.toContain('was ended')
})

test('five refreshes within the window, and a grant that its person ends, are no reuse', async () => {
  const { accountId, browser } = await addPerson(house, 'cleo')
  const first = await tokensFor(house, { accountId, gateway: 'demo' })
  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(house, first)))
  const heir = { clientId: first.clientId, refreshToken: textOf(answers[0]?.body['refresh_token']) }
  const [grant] = await house.gatehouse.oauth.server.grants(accountId)

  await house.gatehouse.oauth.server.revokeGrant(accountId, grant?.grantId ?? '')
  const ended = await refresh(house, heir)

  expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
  expect(ended.body['error']).toBe('invalid_grant')
  expect(await reuses(accountId)).toEqual([])
  expect((await browser.get('/account')).text).not.toContain('was ended')
})
