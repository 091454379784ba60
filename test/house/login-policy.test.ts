import { expect, test } from 'vitest'
import { loginPolicyConfig } from '#login'
import { authorize, post, redeem, refresh, register, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN, REFERENCE, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

const TOML = `${REFERENCE}
  [[gateways]]
  slug = "wiki"
  tools = ["reference/*"]
`
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
type PolicyInput = Parameters<typeof loginPolicyConfig.parse>[0]

async function start() {
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const house = await openHouse({ toml: TOML, clock })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: 'anne' }, ADMIN)
  const declare = (policy: PolicyInput) => house.gatehouse.loginPolicy.declare(loginPolicyConfig.parse(policy))
  return { house, clock, accountId: id, declare }
}

const NO_ANNE = { rules: [{ id: 'no-anne', effect: 'deny', users: ['anne'], services: ['demo'] }] }
const refusalsOf = async (house: TestHouse): Promise<unknown[]> => {
  const { records } = await house.gatehouse.audit.search({ what: 'oauth.token-issued', decision: 'denied' })
  return records.map(({ reason }) => reason)
}

test('a new rule refuses the next refresh and says so in the trail; without it the same token is good again', async () => {
  const { house, accountId, declare } = await start()
  const first = await tokensFor(house, { accountId, gateway: 'demo' })
  const other = await tokensFor(house, { accountId, gateway: 'wiki' })

  declare(NO_ANNE)
  const refused = await refresh(house, first)
  const elsewhere = await refresh(house, other)
  declare({})
  const after = await refresh(house, first)

  expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_grant'])
  expect(refused.body['error_description']).toContain('"no-anne"')
  expect([elsewhere.status, after.status]).toEqual([200, 200])
  await expect.poll(() => refusalsOf(house)).toEqual([expect.stringContaining('the rule "no-anne" refuses')])
})

test('a new rule refuses the code that somebody got just before', async () => {
  const { house, accountId, declare } = await start()
  const clientId = textOf((await register(house)).body['client_id'])
  const code = await authorize(house, { clientId, accountId, gateway: 'demo' })

  declare(NO_ANNE)
  const answer = await redeem(house, { clientId, ...code })

  expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_grant'])
})

test('a new rule refuses the device that somebody has approved just before', async () => {
  const { house, accountId, declare } = await start()
  const grants = ['authorization_code', 'refresh_token', DEVICE_GRANT]
  const clientId = textOf((await register(house, { grant_types: grants })).body['client_id'])
  const wish = { client_id: clientId, scope: 'mcp', resource: gatewayUrl(house, 'demo') }
  const asked = await post(`${house.url}/oauth/device`, wish)
  const by = { accountId, factor: 'password', signedInAt: Date.now() }
  await house.gatehouse.oauth.server.allowDevice({ userCode: textOf(asked.body['user_code']), by })

  declare(NO_ANNE)
  const form = { grant_type: DEVICE_GRANT, client_id: clientId, device_code: textOf(asked.body['device_code']) }
  const answer = await post(`${house.url}/oauth/token`, form)

  expect([answer.status, answer.body['error']]).toEqual([400, 'access_denied'])
  await expect.poll(() => refusalsOf(house)).toEqual([expect.stringContaining('the rule "no-anne" refuses')])
})

test('a client learns no more who somebody is, once they may not use it', async () => {
  const { house, accountId, declare } = await start()
  const clientId = textOf((await register(house)).body['client_id'])
  const change = (params: URLSearchParams): void => {
    params.delete('resource')
    params.set('scope', 'openid profile')
  }
  const { body } = await redeem(house, {
    clientId,
    ...(await authorize(house, { clientId, accountId, gateway: '', change })),
  })
  const headers = { authorization: `Bearer ${textOf(body['access_token'])}` }
  const before = await fetch(`${house.url}/oauth/userinfo`, { headers })

  declare({ rules: [{ id: 'no-client', effect: 'deny', services: [`client:${clientId}`] }] })
  const after = await fetch(`${house.url}/oauth/userinfo`, { headers })

  expect([before.status, after.status]).toEqual([200, 401])
})

test.each([
  ['where the caller is', { networks: ['127.0.0.0/8'] }],
  ['a proxy before the caller, so that nobody knows where that is', { networks: ['203.0.113.0/24'] }],
])('the REST face and MCP refuse for %s alike, with tokens and with keys', async (what, condition) => {
  const { house, accountId, declare } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  const key = await house.createKey({ user: 'anne', gateway: 'demo' })
  const proxy: Record<string, string> = what.includes('proxy') ? { 'x-forwarded-for': '198.51.100.1' } : {}
  const ask = async (credential: string): Promise<number[]> => {
    const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json', ...proxy }
    const body = JSON.stringify({ tool: 'whoami', arguments: {} })
    const rest = await fetch(`${house.url}/api/v1/gateways/demo/call`, { method: 'POST', headers, body })
    const mcp = await callTool({ url: gatewayUrl(house, 'demo'), key: credential, headers: proxy }, 'whoami', {})
    return [rest.status, mcp.status]
  }

  const before = await Promise.all([access, key].map(ask))
  declare({ rules: [{ id: 'from-there', effect: 'deny', ...condition }] })

  expect(before.flat()).toEqual([200, 200, 200, 200])
  expect((await Promise.all([access, key].map(ask))).flat()).toEqual([403, 403, 403, 403])
})
