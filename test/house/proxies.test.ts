import { expect, test } from 'vitest'
import { loginPolicyConfig } from '#login'
import { register, tokensFor } from './oauth-client.ts'
import { ADMIN, REFERENCE, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

const TOML = `
  [server]
  listen = "127.0.0.1:0"
  trusted_proxies = ["127.0.0.1", "10.1.0.0/16"]
  ${REFERENCE}`
const OFFICE = '203.0.113.9'
const HOME = '198.51.100.7'

async function start(toml = TOML): Promise<{ house: TestHouse; accountId: string }> {
  const house = await openHouse({ toml })
  const { id } = await house.gatehouse.identity.accounts.create({ userId: 'anne' }, ADMIN)
  return { house, accountId: id }
}

const OFFICE_ONLY = loginPolicyConfig.parse({
  default: 'deny',
  rules: [{ id: 'office', effect: 'allow', networks: ['203.0.113.0/24'] }],
})
const refreshed = async (house: TestHouse, form: Record<string, string>, through: string): Promise<number> => {
  const headers = { 'x-forwarded-for': through }
  return (await fetch(`${house.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(form), headers })).status
}

test.each([
  ['from the office', OFFICE, [200, 200, 200]],
  ['from home', HOME, [403, 403, 400]],
  ['from home by somebody who writes the office into the header', `${OFFICE}, ${HOME}`, [403, 403, 400]],
  ['from home, with this machine in the header', `127.0.0.1, ${HOME}`, [403, 403, 400]],
  ['from the office past two proxies', `${OFFICE}, 10.1.2.3`, [200, 200, 200]],
])('MCP, REST and refreshing alike see who comes %s', async (_what, through, statuses) => {
  const { house, accountId } = await start()
  const { access, clientId, refreshToken } = await tokensFor(house, { accountId, gateway: 'demo' })
  house.gatehouse.loginPolicy.declare(OFFICE_ONLY)
  const headers = { 'x-forwarded-for': through }

  const mcp = await callTool({ url: gatewayUrl(house, 'demo'), key: access, headers }, 'whoami', {})
  const rest = await fetch(`${house.url}/api/v1/gateways/demo/call`, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${access}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tool: 'whoami', arguments: {} }),
  })
  const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken }

  expect([mcp.status, rest.status, await refreshed(house, form, through)]).toEqual(statuses)
})

test('rules in Cedar see the same address by MCP and by REST, with a key as with a token', async () => {
  const { house, accountId } = await start()
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  const key = await house.createKey({ user: 'anne', gateway: 'demo' })
  const text = `@id("office") permit(principal, action, resource in Gateway::"demo")
    when { context has address && context.address.isInRange(ip("203.0.113.0/24")) };`
  await house.gatehouse.policy.declarePolicies([{ name: 'house.cedar', text }])
  const isCalled = async (credential: string, through: string): Promise<boolean[]> => {
    const headers = { 'x-forwarded-for': through }
    const mcp = await callTool({ url: gatewayUrl(house, 'demo'), key: credential, headers }, 'whoami', {})
    const rest = await fetch(`${house.url}/api/v1/gateways/demo/call`, {
      method: 'POST',
      headers: { ...headers, authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify({ tool: 'whoami', arguments: {} }),
    })
    return [mcp.text, await rest.text()].map((answer) => answer.includes('anne'))
  }

  const office = [await isCalled(access, OFFICE), await isCalled(key, OFFICE)]
  const home = [await isCalled(access, HOME), await isCalled(key, HOME)]

  expect(office.flat()).toEqual([true, true, true, true])
  expect(home.flat()).toEqual([false, false, false, false])
})

test('whoever is not a trusted proxy is not believed, and not taken for this machine', async () => {
  const { house, accountId } = await start(TOML.replace('"127.0.0.1", ', ''))
  const { access } = await tokensFor(house, { accountId, gateway: 'demo' })
  house.gatehouse.loginPolicy.declare(OFFICE_ONLY)
  const headers = { 'x-forwarded-for': OFFICE }

  const call = await callTool({ url: gatewayUrl(house, 'demo'), key: access, headers }, 'whoami', {})

  expect(call.status).toBe(403)
  const origins = async (): Promise<unknown[]> =>
    (await house.gatehouse.audit.search({ what: 'gateway.entered' })).records.map(({ extra }) => extra?.['from'])
  await expect.poll(origins).toEqual(['a proxy at 127.0.0.1'])
})

test('registrations are counted for each caller behind a proxy, and writing the header does not make another one', async () => {
  const { house } = await start()
  const registerFrom = async (through: string): Promise<number> => {
    const response = await fetch(`${house.url}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': through },
      body: JSON.stringify({ redirect_uris: ['https://app.example/cb'], token_endpoint_auth_method: 'none' }),
    })
    return response.status
  }

  const many = await Promise.all(Array.from({ length: 61 }, (_, n) => registerFrom(`192.0.2.${n}, ${HOME}`)))

  expect(many.filter((status) => status === 429)).toHaveLength(1)
  expect(await registerFrom(OFFICE)).toBe(201)
  expect((await register(house)).status).toBe(201)
})
