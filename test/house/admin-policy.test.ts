import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditRecord } from '#audit'
import type { Json } from '#kernel'
import { startHouse, type TestHouse } from './start-house.ts'
import { eventually } from './talk.ts'

/** What rules do to the admin API, in a house that runs: whom they let in, what is written down, and how fast they change. */

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "x"
  tools = ["reference/*"]

  [[gateways]]
  slug = "y"
  tools = ["reference/*"]

  [[gateways]]
  slug = "z"
  tools = ["reference/*"]
`

let house: TestHouse
const keys: Record<string, string> = {}

beforeAll(async () => {
  house = await startHouse({ toml: TOML })
  await house.listed()
  const { accounts } = house.gatehouse.identity
  await accounts.create({ userId: 'admin@example.com', role: 'admin' }, ADMIN)
  await accounts.create({ userId: 'eve@example.com', role: 'admin' }, ADMIN)
  await accounts.create({ userId: 'tim@example.com' }, ADMIN)
  await accounts.create({ userId: 'lea@example.com' }, ADMIN)
  await accounts.createGroup('team-x', ADMIN)
  await accounts.addMember('team-x', 'tim@example.com', ADMIN)
  for (const name of ['admin', 'eve', 'tim', 'lea']) keys[name] = await keyOf(`${name}@example.com`)
})

afterAll(() => house.close())

async function keyOf(userId: string): Promise<string> {
  return (await house.gatehouse.identity.createKey({ userId, gateways: ['*'], role: 'admin' }, ADMIN)).key
}

/** Puts these rules in force, in the place of those before. */
async function rule(text: string): Promise<number> {
  const { version } = await house.gatehouse.policy.putPolicy({ text }, ADMIN)
  await house.gatehouse.policy.activatePolicy(version, ADMIN)
  return version
}

type Answer = { readonly status: number; readonly body: { readonly [name: string]: Json } }

async function ask(who: string, path: string, sent: { method?: string; body?: object } = {}): Promise<Answer> {
  const { body, method = body === undefined ? 'GET' : 'POST' } = sent
  const response = await fetch(`${house.url}/api/v1/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${keys[who] ?? house.adminToken}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: JSON.parse((await response.text()) || '{}') }
}

const statusOf = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).status

const grantFor = (gateway: string | null) => ({
  subject: { kind: 'user', id: 'tim@example.com' },
  gateway,
  tools: ['reference/*'],
})

async function newest(what: string): Promise<AuditRecord> {
  const { records } = await house.gatehouse.audit.search({ what }, { limit: 1 })
  const [record] = records
  if (!record) throw new Error(`no record of ${what}`)
  return record
}

describe('whoever may administer one gateway', () => {
  const GRANTS_OF_X =
    'permit(principal in Group::"team-x", action == Action::"admin:grants", resource in Gateway::"x");'

  test('makes, lists and takes back its grants, and no others', async () => {
    await rule(GRANTS_OF_X)
    const [ofY, ofAll] = await Promise.all([
      ask('token', 'grants', { body: grantFor('y') }),
      ask('token', 'grants', { body: grantFor(null) }),
    ])
    const idOf = ({ body }: Answer): string => Object(body['grant']).id

    const ofX = await ask('tim', 'grants', { body: grantFor('x') })

    expect(ofX.status).toBe(201)
    expect(await statusOf('tim', 'grants', { body: grantFor('y') })).toBe(403)
    expect(await statusOf('tim', 'grants', { body: grantFor(null) })).toBe(403)
    expect(await statusOf('tim', 'grants?gateway=x')).toBe(200)
    expect(await statusOf('tim', 'grants?gateway=y')).toBe(403)
    expect(await statusOf('tim', 'grants')).toBe(403)
    expect(await statusOf('tim', 'grants?gateway=x&gateway=y')).toBe(400)
    expect(await statusOf('tim', 'grants?gateway=')).toBe(403)
    expect(await statusOf('tim', 'grants/usage')).toBe(403)
    expect(await statusOf('tim', `grants/${idOf(ofY)}`, { method: 'DELETE' })).toBe(403)
    expect(await statusOf('tim', `grants/${idOf(ofAll)}`, { method: 'DELETE' })).toBe(403)
    expect(await statusOf('tim', 'grants/grant_unknown', { method: 'DELETE' })).toBe(403)
    expect(await statusOf('tim', `grants/${idOf(ofX)}`, { method: 'DELETE' })).toBe(200)
    for (const made of [ofY, ofAll]) await house.gatehouse.policy.removeGrant(idOf(made), ADMIN)
  })

  test('does not make the gateway one of default deny by that', async () => {
    await rule(
      'permit(principal in Group::"team-x", action == Action::"admin:gateways", resource in Gateway::"fresh");',
    )

    const made = await ask('tim', 'gateways', { body: { slug: 'fresh', tools: ['reference/*'] } })
    const elsewhere = await ask('tim', 'gateways', { body: { slug: 'x', tools: ['reference/*'] } })
    const key = await house.createKey({ user: 'lea@example.com', gateway: 'fresh' })
    const headers = { authorization: `Bearer ${key}` }
    const shown = await fetch(`${house.url}/api/v1/gateways/fresh/tools`, { headers })

    expect([made.status, elsewhere.status]).toEqual([200, 403])
    expect(Object(await shown.json()).tools.length).toBeGreaterThan(0)
  })

  test('is told that a body is wrong only where some of it may be theirs', async () => {
    await rule(GRANTS_OF_X)

    expect(await statusOf('tim', 'grants', { body: { gateway: 'x', tools: 4 } })).toBe(400)
    expect(await statusOf('lea', 'grants', { body: { gateway: 'x', tools: 4 } })).toBe(403)
  })
})

describe('a forbid', () => {
  test('takes from an admin what it names, and nothing from the token of the machine', async () => {
    await rule('forbid(principal == User::"eve@example.com", action == Action::"admin:keys", resource);')

    expect(await statusOf('eve', 'keys')).toBe(403)
    expect(await statusOf('eve', 'groups')).toBe(200)
    expect(await statusOf('admin', 'keys')).toBe(200)

    await rule('forbid(principal, action, resource);')

    expect(await statusOf('admin', 'keys')).toBe(403)
    expect(await statusOf('token', 'keys')).toBe(200)
    expect(await statusOf('admin', 'policy/rollback', { method: 'POST' })).toBe(403)
    expect(await statusOf('token', 'policy/rollback', { method: 'POST' })).toBe(200)
    expect(await statusOf('admin', 'keys')).toBe(200)
  })

  test('keeps an admin from acting for others at a gateway as well', async () => {
    await rule('forbid(principal in Role::"admin", action == Action::"admin:gateways", resource in Gateway::"x");')
    const call = { body: { tool: 'whoami', user: 'lea@example.com' } }

    expect(await statusOf('eve', 'gateways/x/call', call)).toBe(403)
    expect(await statusOf('eve', 'gateways/z/call', call)).toBe(200)
  })

  test('wins over a permit', async () => {
    await rule(`
      permit(principal == User::"lea@example.com", action in Action::"admin", resource);
      forbid(principal, action in Action::"admin", resource) when { context.operation == "listKeys" };
    `)

    expect(await statusOf('lea', 'keys')).toBe(403)
    expect(await statusOf('lea', 'groups')).toBe(200)
  })

  test('that looks at the address counts where the request comes from there', async () => {
    const from = (net: string) =>
      `permit(principal == User::"lea@example.com", action in Action::"admin", resource)
       when { context has address && context.address.isInRange(ip("${net}")) };`

    await rule(from('127.0.0.0/8'))
    const near = await statusOf('lea', 'groups')
    await rule(from('10.0.0.0/8'))

    expect([near, await statusOf('lea', 'groups')]).toEqual([200, 403])
  })

  test('that cannot be evaluated is a no, and so is such a permit', async () => {
    const broken = 'when { context.now.offset(duration("9223372036854775807ms")) > context.now };'
    await rule(`permit(principal == User::"lea@example.com", action == Action::"admin:audit", resource);
      @id("broken") forbid(principal, action == Action::"admin:audit", resource) ${broken}`)

    expect(await statusOf('lea', 'audit')).toBe(403)
    expect(await statusOf('admin', 'audit')).toBe(403)
    expect(await statusOf('token', 'audit')).toBe(200)

    await rule(`permit(principal == User::"lea@example.com", action == Action::"admin:audit", resource) ${broken}`)

    expect(await statusOf('lea', 'audit')).toBe(403)
  })
})

describe('the audit trail', () => {
  test('says of a refusal who it was and which rules decided', async () => {
    const version = await rule(
      '@id("no-keys") @note("keys are for admins") forbid(principal, action == Action::"admin:keys", resource); permit(principal == User::"lea@example.com", action in Action::"admin", resource);',
    )

    const refused = await ask('lea', 'keys', { body: { gateways: ['x'] } })
    const record = await newest('api.attempted')

    expect(refused.status).toBe(403)
    expect(refused.body['detail']).toContain('forbidden by rule no-keys (keys are for admins)')
    expect(record).toMatchObject({ decision: 'denied', userId: 'lea@example.com', face: 'rest' })
    expect(record.keyId).toMatch(/^key_/)
    expect(record.extra).toMatchObject({
      operation: 'createKey',
      admin: {
        module: 'keys',
        operation: 'createKey',
        writes: true,
        effect: 'deny',
        rule: 'no-keys',
        policyVersion: `v${version}`,
      },
    })
  })

  test('says of a change which rule, role or token allowed it', async () => {
    const version = await rule(
      '@id("lea") permit(principal == User::"lea@example.com", action in Action::"admin", resource);',
    )
    const by = async (who: string) => {
      await ask(who, 'groups', { body: { name: `made-by-${who}` } })
      return (await newest('group.created')).extra?.['admin']
    }

    expect(await by('lea')).toMatchObject({ effect: 'allow', rule: 'lea', policyVersion: `v${version}` })
    expect(await by('admin')).toEqual({
      module: 'groups',
      operation: 'createGroup',
      writes: true,
      effect: 'allow',
      rule: 'admin-role',
    })
    expect(await by('token')).toMatchObject({ effect: 'allow', rule: 'admin-token' })
  })

  test('keeps what was done, however long the name of the rule is', async () => {
    await rule(
      `@id("${'x'.repeat(5_000)}") permit(principal == User::"lea@example.com", action in Action::"admin", resource);`,
    )

    await ask('lea', 'groups', { body: { name: 'made-by-a-long-rule' } })
    const { extra } = await newest('group.created')

    expect(extra).toMatchObject({ group: 'made-by-a-long-rule', admin: { rule: 'x'.repeat(128) } })
  })

  test('is found by the rule, and has the gateway that it was about', async () => {
    await rule(
      '@id("x-only") permit(principal in Group::"team-x", action in Action::"admin", resource in Gateway::"x");',
    )

    await ask('tim', 'grants', { body: grantFor('x') })
    const { records } = await house.gatehouse.audit.search({ rule: 'x-only' })

    expect(records.map(({ what, extra }) => [what, Object(extra?.['admin']).about])).toEqual([
      ['grant.added', { kind: 'gateway', name: 'x' }],
    ])
  })
})

test('rules in shadow decide nothing, and what they would have decided otherwise is written down, also of reading', async () => {
  await rule('permit(principal == User::"lea@example.com", action == Action::"admin:groups", resource);')
  const { policy } = house.gatehouse
  const { version } = await policy.putPolicy({ text: '@id("tried") forbid(principal, action, resource);' }, ADMIN)
  await policy.shadowPolicy(version, ADMIN)

  const read = await ask('lea', 'groups')
  const record = await newest('api.attempted')
  await policy.shadowPolicy(null, ADMIN)

  expect(read.status).toBe(200)
  expect(record).toMatchObject({ decision: 'allowed', userId: 'lea@example.com' })
  expect(record.extra?.['admin']).toMatchObject({
    operation: 'listGroups',
    effect: 'allow',
    shadow: { effect: 'deny', rule: 'tried', policy: `v${version}` },
  })
})

test('replay names what would have ended otherwise at the admin API', async () => {
  const since = Date.now()
  await rule('@id("team") permit(principal in Group::"team-x", action == Action::"admin:groups", resource);')
  await ask('tim', 'groups', { body: { name: 'replayed' } })
  await ask('tim', 'keys')
  await ask('admin', 'groups', { body: { name: 'replayed-too' } })

  const told = await house.gatehouse.policy.replay({
    since,
    text: `forbid(principal, action == Action::"admin:groups", resource);
      permit(principal in Group::"team-x", action == Action::"admin:keys", resource);`,
  })

  const named = told.changes.map(({ user, what, tool, before, after, calls }) =>
    [user, what, tool, before, after, calls].join(' '),
  )
  expect(named.toSorted()).toEqual([
    'admin@example.com admin:groups createGroup allow deny 1',
    'tim@example.com admin:groups createGroup allow deny 1',
    'tim@example.com admin:keys listKeys deny allow 1',
  ])
})

describe('somebody who reads on while it ends', () => {
  const READS = 'permit(principal == User::"lea@example.com", action == Action::"admin:audit", resource);'

  /** Follows the trail until it is cut off; resolves with what was heard. */
  async function follow(): Promise<{ heard: () => string; ended: Promise<void> }> {
    const headers = { authorization: `Bearer ${keys['lea'] ?? ''}` }
    const response = await fetch(`${house.url}/api/v1/audit/follow`, { headers })
    let text = ''
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder()
      for await (const part of response.body ?? []) text += decoder.decode(part, { stream: true })
    }
    const ended = read().catch(() => {})
    await eventually(
      async () => {
        await house.gatehouse.audit.record({ what: 'test.noise', decision: 'allowed' })
        return text
      },
      (heard) => heard.includes('test.noise'),
    )
    return { heard: () => text, ended }
  }

  test.each<[string, () => Promise<unknown>]>([
    ['the rule is gone', () => rule('')],
    ['a rule forbids it', () => rule(`${READS}\nforbid(principal == User::"lea@example.com", action, resource);`)],
    [
      'the account is switched off',
      () => house.gatehouse.identity.accounts.update('lea@example.com', { isActive: false }, ADMIN),
    ],
    ['the key is revoked', revokeKey],
  ])('hears nothing more: %s', async (_, end) => {
    await house.gatehouse.identity.accounts.update('lea@example.com', { isActive: true }, ADMIN)
    keys['lea'] = await keyOf('lea@example.com')
    await rule(READS)
    const { heard, ended } = await follow()

    await end()
    await house.gatehouse.audit.record({ what: 'test.secret', decision: 'allowed' })
    await ended

    expect(heard()).not.toContain('test.secret')
  })

  async function revokeKey(): Promise<void> {
    const { identity } = house.gatehouse
    const { keys: all } = await identity.listKeys({ userId: 'lea@example.com' })
    for (const { id } of all) await identity.revokeKey(id, ADMIN)
  }
})

test('from another machine, /metrics is for whom a rule permits it, and /health hides from an admin whom one forbids', async () => {
  await rule(`permit(principal == User::"tim@example.com", action == Action::"admin:metrics", resource);
    forbid(principal == User::"eve@example.com", action in Action::"admin", resource);`)
  keys['lea'] = await keyOf('lea@example.com')
  const from = (who: string | null, path: string) => {
    const sent = who === null ? {} : { authorization: `Bearer ${keys[who] ?? ''}` }
    return house.gatehouse.fetch(
      new Request(`${house.url}${path}`, { headers: { ...sent, 'gatehouse-peer-address': '203.0.113.9' } }),
    )
  }
  const metrics = await Promise.all(['admin', 'tim', 'lea', 'eve', null].map((who) => from(who, '/metrics')))
  const health = await Promise.all(
    ['admin', 'tim', 'eve'].map(async (who) => Object.keys(Object(await (await from(who, '/health')).json()))),
  )

  expect(metrics.map(({ status }) => status)).toEqual([200, 200, 403, 403, 401])
  expect(health.map((told) => told.includes('servers'))).toEqual([true, false, false])
})

test('/metrics counts each use once, by module and by what decided', async () => {
  await rule('permit(principal == User::"tim@example.com", action == Action::"admin:signing-keys", resource);')
  await ask('tim', 'signing-keys')
  await ask('tim', 'hooks')
  await ask('tim', 'hooks', { body: {} })
  const text = await (await fetch(`${house.url}/metrics`)).text()

  expect(text).toContain('gatehouse_policy_admin_decisions_total{module="signing-keys",effect="allow",reason="rule"} 1')
  expect(text).toContain('gatehouse_policy_admin_decisions_total{module="hooks",effect="deny",reason="nothing"} 2')
})

test('a key of a name that no account has opens nothing, whatever is permitted to all', async () => {
  keys['Lea'] = await keyOf('Lea@example.com')
  await rule(`permit(principal, action == Action::"admin:audit", resource);
    forbid(principal == User::"lea@example.com", action, resource);`)

  const { status, body } = await ask('Lea', 'audit')

  expect([status, await statusOf('lea', 'audit'), await statusOf('tim', 'audit')]).toEqual([403, 403, 200])
  expect(body['detail']).toContain('no account')
})

test('files that do not go with the version in force are refused, and changes count as before', async () => {
  const { policy } = house.gatehouse
  await rule('@id("stored") permit(principal == User::"tim@example.com", action == Action::"admin:audit", resource);')
  const before = await statusOf('tim', 'audit')

  const files = [{ name: 'house.cedar', text: '@id("stored") forbid(principal, action, resource);' }]
  await expect(policy.declarePolicies(files)).rejects.toThrow('"stored" is taken')
  const meanwhile = await statusOf('tim', 'audit')
  await rule('permit(principal == User::"lea@example.com", action == Action::"admin:audit", resource);')

  expect([before, meanwhile]).toEqual([200, 200])
  expect([await statusOf('tim', 'audit'), await statusOf('lea', 'audit')]).toEqual([403, 200])
})
