import { describe, expect, onTestFinished, test } from 'vitest'
import { forEachEngine, type TestEngine } from '../../src/storage/testing.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { connectClient } from '../fakes/connect.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { linesOf, openReplicas } from './kit.ts'
import { startHouse } from './start-house.ts'
import {
  ask,
  callTool,
  countOf,
  eventually,
  gatewayUrl,
  listen,
  listenInSession,
  openSession,
  textOf,
  toolNames,
  type Line,
} from './talk.ts'

/** The access-control scorecard, end to end: two people on one gateway, each with their own tools. */
const ADMIN = { userId: 'admin@example.com', keyId: null, face: 'cli' } as const
const GITHUB = ['create_issue', 'list_repos'].map((name) => ({ name, description: `GitHub: ${name}` }))
const ATLASSIAN = ['create_page', 'search'].map((name) => ({ name, description: `Atlassian: ${name}` }))
const WITHIN_MS = 2_000

async function start(engine: TestEngine) {
  const github = await startChangingServer(GITHUB)
  onTestFinished(() => github.close())
  const atlassian = await startChangingServer(ATLASSIAN)
  onTestFinished(() => atlassian.close())
  const toml = `
    [[servers]]
    name = "github"
    transport = "http"
    url = "${github.url}"

    [[servers]]
    name = "atlassian"
    transport = "http"
    url = "${atlassian.url}"

    [[gateways]]
    slug = "demo"
    tools = ["github/*", "atlassian/*"]
  `
  const houses = await openReplicas({ engine, toml, count: 3 })
  const [first] = houses
  const { policy } = first.gatehouse
  const grant = (user: string, tools: string[], more: { expiresAt?: number } = {}) =>
    policy.addGrant({ subject: { kind: 'user', id: user }, gateway: 'demo', tools, ...more }, ADMIN)
  return { houses, first, policy, grant, lineOf: (user: string) => linesOf(houses, user), github, atlassian }
}

/** What every replica lists, once they agree on it. */
function allList(lines: readonly Line[], names: readonly string[]) {
  return eventually(
    () => Promise.all(lines.map(toolNames)),
    (all) => all.every((list) => JSON.stringify(list) === JSON.stringify(names)),
    WITHIN_MS,
  )
}

const G = ['create_issue', 'list_repos']
const A = ['create_page', 'search']

forEachEngine((engine) => {
  test('two users on one gateway see and call their own tools only, and know nothing of the others', async () => {
    const { grant, lineOf, github, atlassian, first } = await start(engine)
    const [alice, bob] = [await lineOf('alice'), await lineOf('bob')]
    await grant('alice', ['github/*'])
    await grant('bob', ['atlassian/*'])
    await allList(alice, G)
    await allList(bob, A)

    const own = await Promise.all(alice.map((line) => callTool(line, 'create_issue')))
    const others = await Promise.all(bob.map((line) => callTool(line, 'create_issue')))
    const nothing = await Promise.all(bob.map((line) => callTool(line, 'create_isxue')))

    expect(own.map(textOf)).toEqual(alice.map(() => 'create_issue was called'))
    const words = (heard: (typeof others)[number]) => JSON.stringify([heard.status, heard.error])
    expect(others.map(words)).toEqual(nothing.map((heard) => words(heard).replace('isxue', 'issue')))
    const callsOf = (fake: typeof github) => fake.requests.entries.filter(({ rpc }) => rpc === 'tools/call').length
    expect([callsOf(github), callsOf(atlassian)]).toEqual([alice.length, 0])
    const { records } = await first.gatehouse.audit.search({ user: 'bob', decision: 'denied', tool: 'create_issue' })
    expect(records[0]).toMatchObject({
      reason: 'no rule allows it',
      server: 'github',
      extra: { rule: null, access: { effect: 'deny' } },
    })
  })

  test('a change of grants reaches the clients it concerns, in both eras, once, and no others', async () => {
    const { grant, policy, lineOf } = await start(engine)
    const [alice, bob] = [await lineOf('alice'), await lineOf('bob')]
    const { grant: first } = await grant('alice', ['github/*'])
    await grant('bob', ['atlassian/*'])
    await allList(alice, G)
    await allList(bob, A)
    const open = (lines: readonly Line[]) =>
      Promise.all(
        lines.flatMap((line) => [
          listen(line, { toolsListChanged: true }),
          openSession(line).then((session) => listenInSession(line, session)),
        ]),
      )
    const streams = { alice: await open(alice), bob: await open(bob) }
    onTestFinished(async () => void (await Promise.all([...streams.alice, ...streams.bob].map((one) => one.close()))))
    const counts = (who: 'alice' | 'bob') => streams[who].map((one) => countOf(one, 'notifications/tools/list_changed'))

    await grant('alice', ['atlassian/search'])
    await eventually(
      () => counts('alice'),
      (all) => all.every((count) => count === 1),
      WITHIN_MS,
    )
    await policy.removeGrant(first.id, ADMIN)
    await eventually(
      () => counts('alice'),
      (all) => all.every((count) => count === 2),
      WITHIN_MS,
    )
    // Nothing more may come.
    await new Promise((resolve) => setTimeout(resolve, 500))

    expect(counts('alice')).toEqual(streams.alice.map(() => 2))
    expect(counts('bob')).toEqual(streams.bob.map(() => 0))
    await allList(alice, ['search'])
  })

  test('who joins a group has its grants at once, and hears of it; who leaves has them no more', async () => {
    const { policy, lineOf, first } = await start(engine)
    const { accounts } = first.gatehouse.identity
    await accounts.create({ userId: 'alice', kind: 'person' }, ADMIN)
    await accounts.createGroup('support', ADMIN)
    const [alice, bob] = [await lineOf('alice'), await lineOf('bob')]
    await policy.addGrant({ subject: { kind: 'group', id: 'support' }, gateway: 'demo', tools: ['github/*'] }, ADMIN)
    await allList(alice, [])
    const streams = await Promise.all([...alice, ...bob].map((line) => listen(line, { toolsListChanged: true })))
    onTestFinished(async () => void (await Promise.all(streams.map((one) => one.close()))))
    const counts = () => streams.map((one) => countOf(one, 'notifications/tools/list_changed'))

    await accounts.addMember('support', 'alice', ADMIN)
    await allList(alice, G)
    const called = await Promise.all(alice.map((line) => callTool(line, 'create_issue')))
    await eventually(counts, (all) => alice.every((_, at) => all[at] === 1), WITHIN_MS)
    await accounts.removeMember('support', 'alice', ADMIN)
    await allList(alice, [])
    await eventually(counts, (all) => alice.every((_, at) => all[at] === 2), WITHIN_MS)

    expect(called.map(textOf)).toEqual(alice.map(() => 'create_issue was called'))
    expect(counts()).toEqual([...alice.map(() => 2), ...bob.map(() => 0)])
  })

  test('a grant that expires is gone by the clock, and clients hear of it', async () => {
    const { grant, lineOf } = await start(engine)
    const alice = await lineOf('alice')
    await grant('alice', ['github/list_repos'])
    await grant('alice', ['github/create_issue'], { expiresAt: Date.now() + 1_500 })
    await allList(alice, G)
    const streams = await Promise.all(alice.map((line) => listen(line, { toolsListChanged: true })))
    onTestFinished(async () => void (await Promise.all(streams.map((one) => one.close()))))

    await eventually(
      () => streams.map((one) => countOf(one, 'notifications/tools/list_changed')),
      (all) => all.every((count) => count === 1),
      4_000,
    )

    await allList(alice, ['list_repos'])
    expect((await callTool(alice[0] ?? { url: '' }, 'create_issue')).error?.message).toBe(
      'Unknown tool: "create_issue"',
    )
  })
})

describe('on one house', () => {
  test('real clients of both eras, REST and the command line all show the same', async () => {
    const { grant, lineOf, first } = await start('sqlite')
    const [line] = await lineOf('alice')
    await grant('alice', ['github/*'])
    const headers = { authorization: `Bearer ${line?.key}` }
    await using legacy = await connectClient(gatewayUrl(first, 'demo'), { era: 'legacy', headers })
    await using modern = await connectClient(gatewayUrl(first, 'demo'), { era: 'modern', headers })
    const rest = async (query = '', authorization = headers.authorization) => {
      const response = await fetch(`${first.url}/api/v1/gateways/demo/tools${query}`, { headers: { authorization } })
      return JSON.parse(await response.text()).tools.map(({ name }: { name: string }) => name)
    }

    const names = async (client: typeof legacy) => (await client.listTools()).tools.map(({ name }) => name)

    expect(await names(legacy)).toEqual(G)
    expect(await names(modern)).toEqual(G)
    expect(await rest()).toEqual(G)
    expect(await rest('?user=alice', `Bearer ${first.adminToken}`)).toEqual(G)
    expect(await rest('?user=bob', `Bearer ${first.adminToken}`)).toEqual([])
    expect(await rest('', `Bearer ${first.adminToken}`)).toEqual([...G, ...A].toSorted())
  })
})

test('prompts, resources and what the gateway says it offers follow the grants as well', async () => {
  await using upstream = await startConformanceServer()
  await using house = await startHouse({
    toml: `[[servers]]\nname = "up"\ntransport = "http"\nurl = "${upstream.url}"\n\n[[gateways]]\nslug = "demo"\ntools = ["up/*"]\n`,
  })
  await house.listed()
  const line = async (user: string): Promise<Line> => ({
    url: gatewayUrl(house, 'demo'),
    key: await house.createKey({ user, gateway: 'demo' }),
  })
  const [alice, bob] = [await line('alice'), await line('bob')]
  const uri = 'test://static-text'
  const { policy } = house.gatehouse
  await policy.addGrant({ subject: { kind: 'user', id: 'alice' }, gateway: 'demo', tools: ['up/*'] }, ADMIN)
  await policy.addGrant(
    { subject: { kind: 'user', id: 'bob' }, gateway: 'demo', tools: ['up/test_simple_text'] },
    ADMIN,
  )
  const offers = async (one: Line) => Object.keys(Object((await ask(one, 'server/discover')).result['capabilities']))

  const read = [await ask(alice, 'resources/read', { uri }), await ask(bob, 'resources/read', { uri })]
  const nothing = await ask(bob, 'resources/read', { uri: 'test://static-texx' })
  const prompt = await ask(bob, 'prompts/get', { name: 'test_simple_prompt' })

  expect(await offers(alice)).toEqual(expect.arrayContaining(['prompts', 'resources', 'tools']))
  expect((await offers(bob)).filter((name) => name === 'prompts' || name === 'resources')).toEqual([])
  expect(Array.isArray(read[0]?.result['contents'])).toBe(true)
  expect(JSON.stringify(read[1]?.error)).toBe(JSON.stringify(nothing.error).replaceAll('texx', 'text'))
  expect(prompt.error).toBeDefined()
  expect(await toolNames(bob)).toEqual(['test_simple_text'])
})

const RULES = `
@id("no-writing-at-night")
@note("a test")
forbid(principal, action, resource == Tool::"github/create_issue");
`

forEachEngine((engine) => {
  test('a version is tried in shadow, put in force, explained, replayed and rolled back', async () => {
    const { policy, lineOf, first } = await start(engine)
    const alice = await lineOf('alice')
    const [line = { url: '' }] = alice
    const { audit } = first.gatehouse
    const names = [...G, ...A].toSorted()

    expect(
      policy.checkPolicy({ name: 'new.cedar', text: 'permit(principal, action, resource' }).findings,
    ).toMatchObject([{ level: 'error', source: 'new.cedar', line: 1 }])
    const { version } = await policy.putPolicy({ text: RULES, note: 'no writing' }, ADMIN)
    await policy.shadowPolicy(version, ADMIN)
    await callTool(line, 'create_issue')
    const tried = (await audit.search({ user: 'alice', tool: 'create_issue' })).records[0]
    const replayed = await policy.replay({ since: 0, text: RULES })
    await policy.activatePolicy(version, ADMIN)
    await allList(
      alice,
      names.filter((name) => name !== 'create_issue'),
    )
    const denied = await Promise.all(alice.map((one) => callTool(one, 'create_issue')))
    const explained = await policy.explain({ user: 'alice', gateway: 'demo', name: 'create_issue' })
    const record = (await audit.search({ user: 'alice', tool: 'create_issue', decision: 'denied' })).records[0]
    await policy.rollbackPolicy(ADMIN)
    await allList(alice, names)

    expect(tried).toMatchObject({
      decision: 'allowed',
      extra: { shadow: { effect: 'deny', rule: 'no-writing-at-night', policy: 'v1' } },
    })
    expect(replayed).toMatchObject({
      changed: 1,
      changes: [{ user: 'alice', tool: 'create_issue', before: 'allow', after: 'deny' }],
    })
    expect(denied.map(({ error }) => error?.message)).toEqual(alice.map(() => 'Unknown tool: "create_issue"'))
    expect(explained).toMatchObject({ effect: 'deny', deciding: [{ id: 'no-writing-at-night' }] })
    expect(record).toMatchObject({
      extra: { rule: 'no-writing-at-night', access: { effect: 'deny' }, policyVersion: 'v1' },
    })
  })

  test('a rule about arguments decides each call, and the list shows what could be allowed', async () => {
    const { policy, lineOf } = await start(engine)
    const alice = await lineOf('alice')
    const text = `permit(principal == User::"alice", action, resource in Gateway::"demo")
      when { resource.server == "github" && context.args.hasTag("to.repo") && context.args.getTag("to.repo") like "acme/*" };`
    const { version } = await policy.putPolicy({ text }, ADMIN)
    await policy.activatePolicy(version, ADMIN)
    await allList(alice, G)

    const call = (args: object) => Promise.all(alice.map((line) => callTool(line, 'create_issue', { ...args })))
    const good = await call({ to: { repo: 'acme/x' } })
    const bad = [await call({ to: { repo: 'evil/x' } }), await call({}), await call({ 'to.repo': 'acme/x' })]

    expect(good.map(textOf)).toEqual(alice.map(() => 'create_issue was called'))
    expect(bad.flat().map(({ error }) => error?.message)).toEqual(bad.flat().map(() => 'Unknown tool: "create_issue"'))
  })
})
