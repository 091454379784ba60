import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { startArcadeWorker } from '../fakes/arcade-worker.ts'
import { startCatalogueServer } from '../fakes/catalogue-server.ts'
import { createIdentityCheck, type Checked } from '../fakes/identity-check.ts'
import { stdioCommand } from '../fakes/stdio-programs.ts'
import { claimsIn, startStrictUpstream, type StrictUpstream } from '../fakes/strict-upstream.ts'
import { tokensFor } from './oauth-client.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession, textOf, type Heard } from './talk.ts'

/** Servers that verify with `jose` who calls, by the keys at `/oauth/jwks`, and refuse everything else. */

const GATEWAY = `[[gateways]]\nslug = "demo"\ntools = ["*"]\n`
const KINDS = ['modern', 'legacy', 'sse'] as const

const httpServer = (name: string, url: string, more = 'identity_token = true'): string =>
  `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n${more}\n`

async function start(toml: string): Promise<TestHouse> {
  const house = await startHouse({ toml: `${toml}${GATEWAY}` })
  onTestFinished(() => house.close())
  return house
}

async function strict(kind: (typeof KINDS)[number]): Promise<StrictUpstream> {
  const upstream = await startStrictUpstream(kind)
  onTestFinished(() => upstream.close())
  return upstream
}

/** The house's keys can be had only now that it listens, so the server is listed again. */
async function trusting(upstream: StrictUpstream, house: TestHouse, audience = upstream.url): Promise<string> {
  upstream.trust(createIdentityCheck({ issuer: house.url, audience }))
  return (await house.gatehouse.toolsAdmin.checkServer('strict')).health.state
}

const whoami = (house: TestHouse, key: string, line: { headers?: Record<string, string>; meta?: JsonObject } = {}) =>
  callTool(
    { url: gatewayUrl(house, 'demo'), key, ...(line.headers === undefined ? {} : { headers: line.headers }) },
    'whoami',
    {},
    line.meta === undefined ? {} : { meta: line.meta },
  )
const claimsOf = (heard: Heard | undefined): JsonObject => claimsIn(heard ? textOf(heard) : '{}')
const subjectOf = (checked: Checked): unknown => ('claims' in checked ? checked.claims['sub'] : checked.reason)

async function account(house: TestHouse, userId: string): Promise<{ id: string; key: string }> {
  const { id } = await house.gatehouse.identity.accounts.create({ userId }, ADMIN)
  return { id, key: await house.createKey({ user: userId, gateway: 'demo' }) }
}

test.each(KINDS)('a server of the kind %s learns with every request who calls', async (kind) => {
  const upstream = await strict(kind)
  const house = await start(httpServer('strict', upstream.url))
  const state = await trusting(upstream, house)
  const anne = await account(house, 'anne@example.com')

  const claims = claimsOf(await whoami(house, anne.key))

  expect(state).toBe('healthy')
  expect(claims).toMatchObject({
    iss: house.url,
    aud: upstream.url,
    sub: anne.id,
    user: 'anne@example.com',
    account: 'person',
    role: 'user',
    groups: [],
    gateway: 'demo',
    tool: 'whoami',
  })
  expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60)
  expect(claims['jti']).toMatch(/^[\w-]{20,}$/)
  const refusedSince = upstream.seen.entries.slice(
    upstream.seen.entries.findIndex(({ checked }) => 'claims' in checked),
  )
  expect(refusedSince.filter(({ checked }) => 'reason' in checked)).toEqual([])
})

test.each(KINDS)('two users at once never get each other’s identity at a server of the kind %s', async (kind) => {
  const upstream = await strict(kind)
  const house = await start(httpServer('strict', upstream.url))
  await trusting(upstream, house)
  const users = [await account(house, 'anne@example.com'), await account(house, 'ben@example.com')]
  const sessions = await Promise.all(users.map(({ key }) => openSession({ url: gatewayUrl(house, 'demo'), key })))

  const rounds = Array.from({ length: 40 }, (_, round) => round)
  const answers = await Promise.all(
    rounds.flatMap((round) =>
      users.map(async ({ id, key }, who) => {
        const heard = await (round % 2 === 0 ? whoami(house, key) : sessions[who]?.call('whoami'))
        return { id, sub: claimsOf(heard)['sub'] }
      }),
    ),
  )

  expect(answers.filter(({ id, sub }) => id !== sub)).toEqual([])
  const subjects = new Set(upstream.seen.entries.map(({ checked }) => subjectOf(checked)))
  expect(subjects).toEqual(new Set(['nobody is trusted yet', 'gatehouse', ...users.map(({ id }) => id)]))
})

test('a worker learns it too', async () => {
  const trusted: { check?: ReturnType<typeof createIdentityCheck> } = {}
  const calls: Checked[] = []
  const worker = await startArcadeWorker({
    guard: async (req) => {
      const checked = await trusted.check?.(req.headers['gatehouse-identity'])
      if (req.url?.endsWith('/invoke') && checked) calls.push(checked)
      return checked && 'claims' in checked ? undefined : (checked?.reason ?? 'nobody is trusted yet')
    },
  })
  onTestFinished(() => worker.close())
  const house = await start(
    `[[servers]]\nname = "strict"\ntransport = "worker"\nurl = "${worker.url}"\nsecret = "${worker.secret}"\nidentity_token = true\n`,
  )
  trusted.check = createIdentityCheck({ issuer: house.url, audience: worker.url })
  const checked = await house.gatehouse.toolsAdmin.checkServer('strict')
  const anne = await account(house, 'anne@example.com')
  const names = [...(house.gatehouse.house.snapshot().views.get('demo')?.toolByName.keys() ?? [])]

  await callTool({ url: gatewayUrl(house, 'demo'), key: anne.key }, names[0] ?? '', {})

  expect(checked.health.state).toBe('healthy')
  expect(calls.map(subjectOf)).toEqual([anne.id])
})

test('a program learns it in the message, what it prints of it is blank in the log', async () => {
  const house = await start('')
  const command = stdioCommand('strict', `--issuer=${house.url}`, '--audience=gatehouse:server:strict', '--careless')
  await house.gatehouse.toolsAdmin.addServer(ADMIN, {
    name: 'strict',
    transport: 'stdio',
    command,
    isolation: 'shared',
    identity_token: true,
  })
  const anne = await account(house, 'anne@example.com')
  const ben = await account(house, 'ben@example.com')

  const heard = await Promise.all([anne, ben, anne].map(({ key }) => whoami(house, key)))

  expect(heard.map((one) => claimsOf(one)['sub'])).toEqual([anne.id, ben.id, anne.id])
  expect(claimsOf(heard[0])).toMatchObject({ aud: 'gatehouse:server:strict', tool: 'whoami' })
  expect(house.logs.join('\n')).toContain('io.gatehouse/identity')
  expect(house.logs.join('\n')).not.toMatch(/eyJ[\w-]+\.[\w-]+/)
})

test('what a client writes as its identity never goes on, by header or in the message', async () => {
  const upstream = await strict('modern')
  const plain = await startCatalogueServer({
    era: 'modern',
    tools: [{ name: 'plain', inputSchema: { type: 'object' } }],
  })
  onTestFinished(() => plain.close())
  const house = await start(httpServer('strict', upstream.url) + httpServer('plain', plain.url, ''))
  await trusting(upstream, house)
  const anne = await account(house, 'anne@example.com')
  const ben = await account(house, 'ben@example.com')
  await whoami(house, anne.key)
  const forged = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.'
  const line = { headers: { 'gatehouse-identity': forged }, meta: { 'io.gatehouse/identity': forged } }

  const heard = await whoami(house, ben.key, line)
  await callTool({ url: gatewayUrl(house, 'demo'), key: ben.key, headers: line.headers }, 'plain', {}, line)

  expect(claimsOf(heard)['sub']).toBe(ben.id)
  expect(plain.calls).toHaveLength(1)
  expect(JSON.stringify(plain.calls)).not.toContain(forged)
})

test('a name that no account has is told from an account, whatever the name is', async () => {
  const upstream = await strict('modern')
  const house = await start(httpServer('strict', upstream.url))
  await trusting(upstream, house)
  const anne = await account(house, 'anne@example.com')
  const key = await house.createKey({ gateway: 'demo' })

  const heard = await whoami(house, key, { headers: { 'gatehouse-user-id': anne.id } })

  expect(claimsOf(heard)).toMatchObject({ sub: `user:${anne.id}`, user: anne.id, account: 'unknown' })
})

test('a token says which OAuth client a person uses, and another server’s is refused', async () => {
  const upstream = await strict('modern')
  const house = await start(httpServer('strict', upstream.url))
  await trusting(upstream, house)
  const anne = await account(house, 'anne@example.com')
  const { access, clientId } = await tokensFor(house, { accountId: anne.id, gateway: 'demo' })

  const heard = await whoami(house, access)
  const elsewhere = await trusting(upstream, house, 'https://another.example/mcp')
  const refused = await whoami(house, access)

  expect(claimsOf(heard)).toMatchObject({ sub: anne.id, client: clientId })
  expect(elsewhere).toBe('needs_consent')
  expect(refused.text).not.toContain(anne.id)
  expect(upstream.seen.entries.at(-1)?.checked).toEqual({ reason: 'unexpected "aud" claim value' })
})

test('the token is no access token, and no access token is one', async () => {
  const upstream = await strict('modern')
  const sent: string[] = []
  const house = await start(
    httpServer('strict', upstream.url, `identity_token = true\nidentity_audience = "demo-audience"`),
  )
  const check = createIdentityCheck({ issuer: house.url, audience: 'demo-audience' })
  upstream.trust(async (token) => {
    sent.push(String(token))
    return check(token)
  })
  await house.gatehouse.toolsAdmin.checkServer('strict')
  const anne = await account(house, 'anne@example.com')
  const { access } = await tokensFor(house, { accountId: anne.id, gateway: 'demo' })
  await whoami(house, anne.key)

  const asAccess = await whoami(house, sent.at(-1) ?? '')
  const asIdentity = await createIdentityCheck({ issuer: house.url, audience: `${house.url}/mcp/demo` })(access)

  expect(asAccess.status).toBe(401)
  expect(asIdentity).toEqual({ reason: 'unexpected "typ" JWT header value' })
})

test('no token is in a log, the audit trail or the traces', async () => {
  const upstream = await strict('legacy')
  const house = await start(`${httpServer('strict', upstream.url)}[[audit.payloads]]\nrecord = "full"\n`)
  const sent: string[] = []
  upstream.trust(async (token) => {
    sent.push(String(token))
    return createIdentityCheck({ issuer: house.url, audience: upstream.url })(token)
  })
  await house.gatehouse.toolsAdmin.checkServer('strict')
  const anne = await account(house, 'anne@example.com')
  await whoami(house, anne.key)

  const { records } = await house.gatehouse.audit.search({})
  const backup = join(house.dataDir, 'backup.jsonl')
  await house.gatehouse.storage.backup(backup)
  const written = [...house.logs, JSON.stringify(records), readFileSync(backup, 'utf8')]

  const tokens = new Set(sent)
  expect(tokens.size).toBeGreaterThan(1)
  expect([...tokens].filter((token) => written.some((text) => text.includes(token)))).toEqual([])
})
