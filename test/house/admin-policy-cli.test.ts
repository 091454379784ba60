import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { TestCli } from '../../src/cli/testing.ts'
import { createTestPlace, postgresIsAvailable } from '../../src/storage/testing.ts'
import { startHouseWithCli } from './house-with-cli.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { eventually } from './talk.ts'

/** Rules for the admin API as people use them: checked, explained, found by the doctor, and changed while the house runs. */

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "x"
  tools = ["reference/*"]
`
const RULES = `
@id("team-x")
permit(principal in Group::"team-x", action == Action::"admin:grants", resource in Gateway::"x");

@id("leads") @note("leads look")
permit(principal in Group::"leads", action == Action::"admin:audit", resource) unless { context.writes };

@id("helpdesk")
permit(principal == User::"hal@example.com", action in [Action::"admin:accounts", Action::"admin:keys"], resource);

@id("no-hooks")
forbid(principal == User::"ada@example.com", action == Action::"admin:hooks", resource);
`

let cwd: string
let house: TestHouse
let cli: TestCli

beforeAll(async () => {
  ;({ cwd, house, cli } = await startHouseWithCli({ toml: TOML }))
  const { accounts } = house.gatehouse.identity
  await accounts.create({ userId: 'ada@example.com', role: 'admin' }, ADMIN)
  for (const [userId, group] of [
    ['tim@example.com', 'team-x'],
    ['lea@example.com', 'leads'],
    ['hal@example.com', 'helpdesk'],
  ] as const) {
    await accounts.create({ userId }, ADMIN)
    await accounts.createGroup(group, ADMIN)
    await accounts.addMember(group, userId, ADMIN)
  }
  await writeFile(join(cwd, 'rules.cedar'), RULES)
})

afterAll(() => house.close())

test('the check says which rule lets others give themselves more, and the rules are put in force', async () => {
  const checked = await cli('policy', 'check', 'rules.cedar')
  await writeFile(join(cwd, 'wrong.cedar'), 'permit(principal, action == Action::"admin:nothing", resource);\n')
  const wrong = await cli('policy', 'check', 'wrong.cedar')
  await cli('policy', 'put', 'rules.cedar')
  const active = await cli('policy', 'activate', '1')

  expect(checked).toMatchObject({ code: 0 })
  expect(checked.out.match(/warning/g)).toHaveLength(1)
  expect(checked.out).toMatch(
    /rules\.cedar:8: warning: it lets others .* admin:accounts \(make admins.*admin:keys \(make keys of admins\)/,
  )
  expect(wrong).toMatchObject({ code: 1, out: expect.stringMatching(/wrong\.cedar:1: error: .*admin:nothing/) })
  expect(active.out).toContain('4 rules')
})

test.each<[what: string, words: string[], says: RegExp]>([
  [
    'who reads',
    ['lea@example.com', '--admin', 'audit'],
    /may do all of this in admin:audit[^]*rule leads \(leads look\)/,
  ],
  ['who may not write', ['hal@example.com', '--admin', 'audit'], /may do nothing[^]*Rules about it[^]*leads/],
  ['what is limited', ['tim@example.com', '--admin', 'grants'], /may do nothing[^]*rule team-x, of x/],
  [
    'what is of one gateway',
    ['tim@example.com', '--admin', 'grants', '--operation', 'addGrant', '--gateway', 'x'],
    /tim@example.com may do all of this in admin:grants of gateway x\.\nGroups: team-x[^]*addGrant +writes +allow +team-x/,
  ],
  [
    'who could take more',
    ['hal@example.com', '--admin', 'admin:keys', '--write'],
    /createKey[^]*could make keys of admins/,
  ],
  ['an admin', ['ada@example.com', '--admin', 'keys'], /ada@example.com is an admin and may do all/],
  ['what an admin may not', ['ada@example.com', '--admin', 'hooks'], /may do nothing[^]*A forbid wins .*: no-hooks/],
  [
    'a stranger',
    ['nobody', '--admin', 'metrics'],
    /permit\(principal == User::"nobody", action == Action::"admin:metrics"/,
  ],
])('explain tells %s', async (_, words, says) => {
  const told = await cli('policy', 'explain', '--user', ...words)

  expect(told).toMatchObject({ code: 0, out: expect.stringMatching(says) })
})

test.each<[words: string[], says: RegExp]>([
  [['--admin', 'nothing'], /no module "nothing"; there are: accounts, approvals, audit/],
  [['--admin', 'audit', '--operation', 'nothing'], /no such operation; there are: searchAudit/],
  [['--admin', 'audit', '--tool', 'echo', '--gateway', 'x'], /one of: --tool/],
  [['--tool', 'echo'], /--gateway SLUG/],
])('explain says what is wrong with %s', async (words, says) => {
  const told = await cli('policy', 'explain', '--user', 'x', ...words)

  expect(told.code).not.toBe(0)
  expect(told.err).toMatch(says)
})

test('policy admins names whoever may do something, and doctor whoever could give themselves more', async () => {
  const named = await cli('policy', 'admins')
  const { out } = await cli('doctor', '--config', '/dev/null', '--json')
  const findings: { level: string; what: string; detail: string }[] = JSON.parse(out).findings
  const warned = findings.filter(({ what }) => what.startsWith('account '))

  expect(named.out).toMatch(/^3 accounts without the role admin/)
  expect(named.out).toMatch(/lea@example.com +audit +allow +deny +leads\n/)
  expect(named.out).toMatch(/tim@example.com +grants +depends +depends +team-x/)
  expect(warned.map(({ level, what }) => [level, what])).toEqual([['warn', 'account hal@example.com']])
  expect(warned[0]?.detail).toMatch(/admin:accounts \(could make admins.*admin:keys/)
})

test('key create says what a key for the admin API opens where its account is no admin', async () => {
  const [ofLea, ofAda] = [
    await cli('key', 'create', '--admin', '--user', 'lea@example.com'),
    await cli('key', 'create', '--admin', '--user', 'ada@example.com'),
  ]

  expect(ofLea.err).toMatch(/lea@example.com is no admin: .* policy explain --user 'lea@example.com' --admin/)
  expect(ofAda.err).not.toContain('no admin')
})

test('a policy file that is changed while the house runs holds at once', async () => {
  const { identity, policy } = house.gatehouse
  const { key } = await identity.createKey({ userId: 'lea@example.com', gateways: ['*'], role: 'admin' }, ADMIN)
  const read = async () =>
    (await fetch(`${house.url}/api/v1/groups`, { headers: { authorization: `Bearer ${key}` } })).status
  const before = await read()

  await policy.declarePolicies([
    { name: 'f.cedar', text: 'permit(principal in Group::"leads", action == Action::"admin:groups", resource);' },
  ])
  const meanwhile = await read()
  await policy.declarePolicies([])

  expect([before, meanwhile, await read()]).toEqual([403, 200, 403])
})

describe.skipIf(!postgresIsAvailable())('on three replicas', () => {
  test('rules, groups and roles change on all within two seconds', async () => {
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const start = async () => {
      const replica = await startHouse({ toml: TOML, storageUrl: place.url })
      onTestFinished(() => replica.close())
      return replica
    }
    const replicas = await Promise.all([start(), start(), start()])
    const { identity, policy } = replicas[0].gatehouse
    await identity.accounts.create({ userId: 'lea@example.com' }, ADMIN)
    await identity.accounts.createGroup('leads', ADMIN)
    const { key } = await identity.createKey({ userId: 'lea@example.com', gateways: ['*'], role: 'admin' }, ADMIN)
    const statuses = () =>
      Promise.all(
        replicas.map(
          async ({ url }) =>
            (await fetch(`${url}/api/v1/audit`, { headers: { authorization: `Bearer ${key}` } })).status,
        ),
      )
    const become = (status: number) => eventually(statuses, (all) => all.every((one) => one === status), 2_000)
    await become(403)

    const { version } = await policy.putPolicy({ text: RULES }, ADMIN)
    await policy.activatePolicy(version, ADMIN)
    await identity.accounts.addMember('leads', 'lea@example.com', ADMIN)
    await become(200)
    await policy.rollbackPolicy(ADMIN)
    await become(403)
    await policy.activatePolicy(version, ADMIN)
    await become(200)
    await identity.accounts.removeMember('leads', 'lea@example.com', ADMIN)
    await become(403)
    await identity.accounts.update('lea@example.com', { role: 'admin' }, ADMIN)

    expect(await become(200)).toEqual([200, 200, 200])
  })
})
