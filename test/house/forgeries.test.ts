import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEchoUpstream, type EchoUpstream } from '../fakes/echo-upstream.ts'
import { FORGERIES, forgedFor, type Loot } from './forgeries.ts'
import { authorize, post, redeem, register, textOf, type Answer } from './oauth-client.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession } from './talk.ts'

/** A forged token opens nothing: no gateway by any face, no page of the API, no word about anybody. */

const SCOPE = 'openid mcp offline_access'

let upstream: EchoUpstream
let house: TestHouse
let loot: Loot
/** A token with which a client learns who somebody is. */
let personal: string
/** A service that may ask about tokens. */
let service: Record<'client_id' | 'client_secret', string>

beforeAll(async () => {
  upstream = await startEchoUpstream()
  house = await startHouse({
    toml: `
      [[servers]]
      name = "echo"
      transport = "http"
      url = "${upstream.url}"
      ${['demo', 'other'].map((slug) => `[[gateways]]\nslug = "${slug}"\ntools = ["echo/*"]\n`).join('')}`,
  })
  await house.listed()
  const { id: accountId } = await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
  const clientId = textOf((await register(house)).body['client_id'])
  const wish = { clientId, accountId, gateway: 'demo' }
  const scoped = (params: URLSearchParams) => params.set('scope', SCOPE)
  const code = await authorize(house, { ...wish, change: scoped })
  const { body } = await redeem(house, { clientId, ...code })
  const { keyRing } = house.gatehouse
  loot = {
    access: textOf(body['access_token']),
    idToken: textOf(body['id_token']),
    refreshToken: textOf(body['refresh_token']),
    code: code.back.searchParams.get('code') ?? '',
    keys: { ES256: keyRing.signer('ES256'), RS256: keyRing.signer('RS256') },
    issuer: house.url,
  }
  const unbound = (params: URLSearchParams) => (params.delete('resource'), params.set('scope', 'openid'))
  const noGateway = await redeem(house, { clientId, ...(await authorize(house, { ...wish, change: unbound })) })
  personal = textOf(noGateway.body['access_token'])
  const registered = await register(house, { token_endpoint_auth_method: 'client_secret_post' })
  const [client_id, client_secret] = [registered.body['client_id'], registered.body['client_secret']].map(textOf)
  service = { client_id: client_id ?? '', client_secret: client_secret ?? '' }
})

afterAll(async () => {
  await house.close()
  await upstream.close()
})

/** What each face says to a token. */
async function knock(token: string) {
  const line = { url: gatewayUrl(house, 'demo'), key: token }
  const [modern, session, rest, api, userinfo, introspection] = await Promise.all([
    callTool(line, 'echo', { text: 'x' }),
    openSession(line).then(
      () => 200,
      (error: Error) => Number(/no session was opened: (\d+)/.exec(error.message)?.[1]),
    ),
    send(token, '/api/v1/gateways/demo/call', { tool: 'echo', arguments: { text: 'x' } }),
    send(token, '/api/v1/accounts'),
    send(token, '/oauth/userinfo'),
    post(`${house.url}/oauth/introspect`, { ...service, token }),
  ])
  return { modern: modern.status, session, rest, api, hearsWhoItIs: userinfo < 400, isActive: isActive(introspection) }
}

async function send(token: string, path: string, body?: object): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`${house.url}${path}`, { headers, ...init })
  await response.arrayBuffer()
  return response.status
}

function isActive({ status, body }: Answer): unknown {
  return status === 200 ? body['active'] : status
}

const NOWHERE = { modern: 401, session: 401, rest: 401, api: 401, hearsWhoItIs: false, isActive: false }

describe('a token with', () => {
  test.each(Object.keys(FORGERIES))('%s opens nothing', async (name) => {
    const token = FORGERIES[name]?.(loot) ?? ''
    const { calls } = upstream

    const said = await knock(token)

    expect(said).toEqual(NOWHERE)
    expect([token === loot.access, upstream.calls - calls]).toEqual([false, 0])
  })
})

test('the good one opens its gateway by every face, and nothing else', async () => {
  const { calls } = upstream

  const good = await knock(loot.access)

  expect(good).toEqual({ modern: 200, session: 200, rest: 200, api: 401, hearsWhoItIs: false, isActive: true })
  expect(upstream.calls).toBe(calls + 2)
  expect(await send(personal, '/oauth/userinfo')).toBe(200)
})

test('one for another gateway counts, but not here', async () => {
  const said = await knock(forgedFor(loot, `${house.url}/mcp/other`))

  expect(said).toEqual({ ...NOWHERE, isActive: true })
})

test.each(['alg none', 'a MAC by nothing', 'a key of its own inside', 'a longer life under the old signature'])(
  'one with %s ends no grant',
  async (name) => {
    const clientId = textOf((await register(house)).body['client_id'])

    const answer = await post(`${house.url}/oauth/revoke`, {
      token: FORGERIES[name]?.(loot) ?? '',
      client_id: clientId,
    })

    expect([answer.status, (await knock(loot.access)).modern]).toEqual([200, 200])
  },
)

test('a good token in the address or the body is not looked at', async () => {
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const at = (url: string, body: object) => fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })

  const inAddress = await at(`${gatewayUrl(house, 'demo')}?access_token=${loot.access}`, call)
  const inBody = await at(gatewayUrl(house, 'demo'), { ...call, access_token: loot.access })
  const inCookie = await fetch(gatewayUrl(house, 'demo'), {
    method: 'POST',
    headers: { ...headers, cookie: `access_token=${loot.access}` },
    body: JSON.stringify(call),
  })

  expect([inAddress.status, inBody.status, inCookie.status]).toEqual([401, 401, 401])
})
