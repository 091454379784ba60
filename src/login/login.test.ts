import { describe, expect, test } from 'vitest'
import { forEachEngine } from '../storage/testing.ts'
import { loginRule, type LoginFactor } from './schema.ts'
import { member, openTestLoginPolicy } from './testing.ts'

const BY = { userId: 'admin', keyId: null, face: 'cli' } as const

const members = [
  member('root', { role: 'admin', groups: ['ops'] }),
  member('ada', { groups: ['engineering'] }),
  member('eve', { role: 'guest', groups: ['contractors-berlin'] }),
  member('bot', { kind: 'system', role: null, groups: ['ops'] }),
]

const config = {
  default: 'deny' as const,
  service_tags: { production: ['payroll', 'crm-*'], open: ['wiki'] },
  rules: [
    { id: 'banned', priority: 1, effect: 'deny' as const, users: ['mallory*'] },
    {
      id: 'b-strong-admins',
      priority: 10,
      effect: 'allow' as const,
      roles: ['admin' as const],
      factors: ['two-factor' as const, 'passkey' as const],
    },
    { id: 'a-no-account', priority: 10, effect: 'deny' as const, services: ['account'], accounts: ['system' as const] },
    { id: 'no-old-client', priority: 15, effect: 'deny' as const, services: ['client:https://old.example/*'] },
    { id: 'office', priority: 20, effect: 'deny' as const, service_tags: ['production'], groups: ['contractors-*'] },
    {
      id: 'production',
      priority: 30,
      effect: 'allow' as const,
      service_tags: ['production'],
      networks: ['10.0.0.0/8', '2001:db8::/32'],
    },
    {
      id: 'machines',
      priority: 40,
      effect: 'allow' as const,
      accounts: ['system' as const],
      services: ['wiki', 'build'],
      factors: ['token' as const],
    },
    {
      id: 'wiki',
      priority: 50,
      effect: 'allow' as const,
      service_tags: ['open'],
      roles: ['user' as const, 'guest' as const],
    },
    { id: 'lost-tag', priority: 60, effect: 'allow' as const, service_tags: ['nothing-has-it'] },
  ],
}

type Row = [
  user: string,
  service: string,
  from: string | undefined,
  factor: LoginFactor | undefined,
  effect: 'allow' | 'deny',
  winner: string | null,
]

const rows: readonly Row[] = [
  ['root', 'account', undefined, 'passkey', 'allow', 'b-strong-admins'],
  ['root', 'account', undefined, 'two-factor', 'allow', 'b-strong-admins'],
  ['root', 'account', undefined, 'password', 'deny', null],
  ['root', 'account', undefined, undefined, 'deny', null],
  ['root', 'payroll', '192.0.2.1', 'passkey', 'allow', 'b-strong-admins'],
  ['root', 'payroll', '10.1.1.1', 'password', 'allow', 'production'],
  ['root', 'wiki', '10.1.1.1', 'password', 'deny', null],
  ['root', 'wiki', undefined, 'passkey', 'allow', 'b-strong-admins'],
  ['ada', 'account', '10.1.1.1', 'passkey', 'deny', null],
  ['ada', 'wiki', undefined, undefined, 'allow', 'wiki'],
  ['ada', 'wiki', '192.0.2.1', 'password', 'allow', 'wiki'],
  ['ada', 'payroll', '10.255.255.255', 'password', 'allow', 'production'],
  ['ada', 'payroll', '11.0.0.0', 'passkey', 'deny', null],
  ['ada', 'payroll', undefined, 'passkey', 'deny', null],
  ['ada', 'payroll', '::ffff:10.1.2.3', 'password', 'allow', 'production'],
  ['ada', 'payroll', '::ffff:11.1.2.3', 'password', 'deny', null],
  ['ada', 'payroll', '2001:db8::1', 'password', 'allow', 'production'],
  ['ada', 'payroll', '2001:db9::1', 'password', 'deny', null],
  ['ada', 'crm-eu', '10.0.0.1', 'upstream', 'allow', 'production'],
  ['ada', 'crm-', '10.0.0.1', 'upstream', 'allow', 'production'],
  ['ada', 'crm', '10.0.0.1', 'upstream', 'deny', null],
  ['ada', 'my-crm-eu', '10.0.0.1', 'upstream', 'deny', null],
  ['ada', 'PAYROLL', '10.0.0.1', 'password', 'deny', null],
  ['ada', 'build', '10.0.0.1', 'token', 'deny', null],
  ['eve', 'wiki', '10.0.0.1', 'password', 'allow', 'wiki'],
  ['eve', 'payroll', '10.0.0.1', 'passkey', 'deny', 'office'],
  ['eve', 'crm-eu', '10.0.0.1', 'passkey', 'deny', 'office'],
  ['eve', 'account', '10.0.0.1', 'passkey', 'deny', null],
  ['bot', 'account', '10.0.0.1', 'token', 'deny', 'a-no-account'],
  ['bot', 'wiki', undefined, 'token', 'allow', 'machines'],
  ['bot', 'build', undefined, 'token', 'allow', 'machines'],
  ['bot', 'build', undefined, 'password', 'deny', null],
  ['bot', 'build', undefined, undefined, 'deny', null],
  ['bot', 'payroll', '10.0.0.1', 'token', 'allow', 'production'],
  ['bot', 'payroll', '192.0.2.1', 'token', 'deny', null],
  ['mallory', 'wiki', '10.0.0.1', 'passkey', 'deny', 'banned'],
  ['mallory2', 'payroll', '10.0.0.1', 'passkey', 'deny', 'banned'],
  ['stranger', 'wiki', '10.0.0.1', 'password', 'deny', null],
  ['stranger', 'account', '10.0.0.1', 'password', 'deny', 'a-no-account'],
  ['stranger', 'build', '10.0.0.1', 'token', 'deny', null],
  ['stranger', 'payroll', '10.0.0.1', 'passkey', 'deny', 'office'],
]

describe('the decision', () => {
  test.each(rows)('%s at %s from %s with %s: %s by %s', async (...row) => {
    const [user, service, from, factor, effect, winner] = row
    await using house = await openTestLoginPolicy({ engine: 'sqlite', config, members })

    const tested = house.policy.test({ user, service, from, factor })
    const found = members.find((one) => one.userId === user)
    const enforced = house.policy.mayEnter({
      user,
      account: found?.kind ?? null,
      role: found === undefined ? null : (found.role ?? 'none'),
      groups: found?.groups ?? null,
      services: [service],
      address: from ?? null,
      factor: factor ?? null,
    })

    expect(tested).toMatchObject({ effect, winner })
    expect(tested).toMatchObject(enforced)
  })

  test('is told with whether there is anybody whom it could let in', async () => {
    const off = member('gone', { isActive: false })
    await using house = await openTestLoginPolicy({ engine: 'sqlite', members: [member('ada'), off] })

    const tested = ['ada', 'gone', 'nobody'].map((user) => house.policy.test({ user, service: 'wiki' }))

    expect(tested.map(({ effect, account }) => [effect, account])).toEqual([
      ['allow', 'active'],
      ['allow', 'inactive'],
      ['allow', 'none'],
    ])
  })

  test('a client is refused where the gateway alone would be allowed', async () => {
    await using house = await openTestLoginPolicy({ engine: 'sqlite', config, members })
    const asked = { user: 'ada', service: 'wiki' }

    expect(house.policy.test({ ...asked, client: 'https://new.example/app' })).toMatchObject({ winner: 'wiki' })
    expect(house.policy.test({ ...asked, client: 'https://old.example/app' })).toMatchObject({
      winner: 'no-old-client',
    })
  })

  test('every rule is shown in its order, with what it misses', async () => {
    await using house = await openTestLoginPolicy({ engine: 'sqlite', config, members })

    const { rules } = house.policy.test({ user: 'ada', service: 'payroll' })

    expect(rules.map(({ id, verdict, because }) => [id, verdict, because])).toEqual([
      ['banned', 'miss', ['user']],
      ['a-no-account', 'miss', ['account', 'service']],
      ['b-strong-admins', 'miss', ['role']],
      ['no-old-client', 'miss', ['service']],
      ['office', 'miss', ['group']],
      ['production', 'unknown', ['network']],
      ['machines', 'miss', ['account', 'service']],
      ['wiki', 'miss', ['service tag']],
      ['lost-tag', 'miss', ['service tag']],
    ])
  })
})

test.each([
  ['an address range without an address', { networks: ['/8'] }],
  ['a range that is too long', { networks: ['10.0.0.0/33'] }],
  ['a name for an address', { networks: ['localhost'] }],
  ['an unknown condition', { group: ['x'] }],
  ['an unknown factor', { factors: ['sms'] }],
])('%s is no rule', (_, conditions) => {
  expect(loginRule.safeParse({ id: 'x', effect: 'deny', ...conditions }).success).toBe(false)
})

forEachEngine((engine) => {
  const rule = loginRule.parse({ id: 'no-guests', effect: 'deny', roles: ['guest'] })

  test('an added rule is in force here and on the other replica, and is told in the audit trail', async () => {
    await using house = await openTestLoginPolicy({ engine, members })
    const other = await house.openReplica()
    const heard = new Promise<void>((resolve) => {
      const stop = other.onChange(() => {
        stop()
        resolve()
      })
    })

    await house.policy.add(rule, BY)
    await heard

    expect(house.policy.test({ user: 'eve', service: 'wiki' })).toMatchObject({ effect: 'deny', winner: 'no-guests' })
    expect(other.test({ user: 'eve', service: 'wiki' })).toMatchObject({ effect: 'deny', winner: 'no-guests' })
    const { records } = await house.audit.search({ what: 'login-rule.added' })
    expect(records).toMatchObject([{ decision: 'allowed', userId: 'admin', extra: { rule: 'no-guests', version: 1 } }])
  })

  test('a removed rule lets in again, and each version is kept', async () => {
    await using house = await openTestLoginPolicy({ engine, members })
    await house.policy.add(rule, BY)

    await house.policy.remove('no-guests', BY)

    expect(house.policy.test({ user: 'eve', service: 'wiki' })).toMatchObject({ effect: 'allow', winner: null })
    expect((await house.policy.history()).map(({ version, change }) => [version, change])).toEqual([
      [2, 'removed no-guests'],
      [1, 'added no-guests'],
    ])
  })

  test('of two changes at once both are in force, or one is told to try again', async () => {
    await using house = await openTestLoginPolicy({ engine, members })
    const other = await house.openReplica()

    const ended = await Promise.allSettled([
      house.policy.add(rule, BY),
      other.add({ ...rule, id: 'no-guests-either' }, BY),
    ])

    const made = ended.filter(({ status }) => status === 'fulfilled')
    const newest = (await house.policy.history())[0]
    expect(newest?.rules).toHaveLength(made.length)
    expect(made.length).toBeGreaterThan(0)
  })

  test('a rule of the file wins over one of the same id, and cannot be removed', async () => {
    await using house = await openTestLoginPolicy({
      engine,
      members,
      config: { rules: [{ ...rule, effect: 'allow' }] },
    })

    await expect(house.policy.add(rule, BY)).rejects.toMatchObject({ kind: { code: 'login/bad-rule' } })
    await expect(house.policy.remove('no-guests', BY)).rejects.toMatchObject({ kind: { code: 'login/rule-from-file' } })
    await expect(house.policy.remove('nothing', BY)).rejects.toMatchObject({ kind: { code: 'login/no-such-rule' } })
  })
})
