import { expect, onTestFinished, test } from 'vitest'
import { startHookServer, type HookBehaviour } from '../fakes/hook-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { askAdmin } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, countOf, eventually, gatewayUrl, listenInSession, openSession, textOf, toolNames } from './talk.ts'

const TOKEN = 'hook-token-of-the-test'
const SECRET = 'hook-signing-secret-of-the-test'
const ALICE = 'alice@example.com'

type Wanted = { behaviour?: HookBehaviour; hook?: string; toml?: string }

/** A house with one tool server and one hook that is asked at every point. */
async function startWith({ behaviour = {}, hook = '', toml = '' }: Wanted) {
  const effects = await startSideEffectServer()
  const hooks = await startHookServer({ ...behaviour, token: TOKEN, signingSecret: SECRET })
  const house = await startHouse({
    toml: `
      [[servers]]
      name = "effects"
      transport = "http"
      url = "${effects.url}"

      [[gateways]]
      slug = "demo"
      tools = ["effects/*"]

      [[hooks]]
      name = "guard"
      url = "${hooks.url}"
      points = ["access", "pre", "post"]
      token = "${TOKEN}"
      signing_secret = "${SECRET}"
      timeout_ms = 300
      ${hook}
      ${toml}
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await Promise.all([effects.close(), hooks.close()])
  })
  await house.listed()
  const key = await house.createKey({ user: ALICE, gateway: 'demo' })
  return { house, effects, hooks, line: { url: gatewayUrl(house, 'demo'), key } }
}

const callsIn = async ({ house }: Awaited<ReturnType<typeof startWith>>) =>
  (await house.gatehouse.audit.search({ what: 'tools/call' })).records

test('a hook hears of a call before and after it, to the letter of the contract, and of no secret', async () => {
  const world = await startWith({})

  const answer = await callTool(world.line, 'charge', { order: 'o1' })

  expect(textOf(answer)).toBe('charged o1, time 1')
  const bodies = world.hooks.asked.entries.map(({ path, body }) => ({ path, body }))
  expect(bodies.map(({ path }) => path)).toEqual(['/access', '/pre', '/post'])
  expect(bodies[1]?.body).toMatchObject({
    tool: { name: 'charge', toolkit: 'effects' },
    inputs: { order: 'o1' },
    context: { user_id: ALICE, secrets: [], metadata: { gateway: 'demo' } },
  })
  expect(bodies[2]?.body).toMatchObject({
    success: true,
    output: { content: [{ type: 'text', text: 'charged o1, time 1' }] },
    execution_code: 'OK',
    execution_error: '',
  })
  expect(JSON.stringify(bodies)).not.toContain(world.line.key)
  const [record] = await callsIn(world)
  expect(record).toMatchObject({
    decision: 'allowed',
    extra: {
      hooks: [
        { hook: 'guard', point: 'pre', outcome: 'agreed' },
        { hook: 'guard', point: 'post', outcome: 'agreed' },
      ],
    },
  })
})

test('a no before the call keeps it from the tool in both eras, says why, and is recorded with the name of the hook', async () => {
  const world = await startWith({
    behaviour: { pre: () => ({ code: 'CHECK_FAILED', error_message: 'not on a Sunday' }) },
  })
  const session = await openSession(world.line)

  const modern = await callTool(world.line, 'charge', { order: 'o1' })
  const legacy = await session.call('charge', { order: 'o1' })

  expect(world.effects.executions.total).toBe(0)
  for (const { result } of [modern, legacy]) {
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: 'The hook "guard" refused this call: not on a Sunday' }],
      _meta: { 'io.gatehouse/problem': { code: 'policy/hook-denied', kind: 'CONTEXT_DENIED', hook: 'guard' } },
    })
  }
  const records = await callsIn(world)
  expect(records.map(({ decision, extra }) => [decision, extra?.['rule']])).toEqual([
    ['denied', 'hook:guard'],
    ['denied', 'hook:guard'],
  ])
})

test('a hook that counts too many calls says so in words of its own', async () => {
  const world = await startWith({ behaviour: { pre: () => ({ code: 'RATE_LIMIT_EXCEEDED', error_message: null }) } })

  const { result } = await callTool(world.line, 'charge', { order: 'o1' })

  expect(result).toMatchObject({
    isError: true,
    _meta: { 'io.gatehouse/problem': { code: 'policy/hook-rate-limited', kind: 'RATE_LIMIT_EXCEEDED' } },
  })
})

test('each hook sees what the one before made of the arguments, in their order, and the tool gets the last', async () => {
  const world = await startWith({
    behaviour: { pre: () => ({ code: 'OK', override: { inputs: { order: 'first' } } }) },
  })
  const second = await startHookServer({
    pre: ({ inputs: { order } }) => {
      const seen = typeof order === 'string' ? order : ''
      return { code: 'OK', override: { inputs: { order: `${seen} and second` } } }
    },
  })
  onTestFinished(() => second.close())
  const config = {
    name: 'a-later-one',
    url: second.url,
    points: ['pre'],
    phase: 'after',
    allow_addresses: ['127.0.0.0/8'],
  }
  const added = await askAdmin(world.house, '/api/v1/hooks', { body: config })

  const answer = await callTool(world.line, 'charge', { order: 'o1' })

  expect(added.status).toBe(201)
  expect(textOf(answer)).toBe('charged first and second, time 1')
})

test('arguments that a hook puts in are checked like those of a caller: by the schema, and by the content rules', async () => {
  const rules = `
    [[content_rules]]
    name = "no-ssn"
    phase = "input"
    detect = ["ssn"]
    effect = "block"
  `
  const world = await startWith({ toml: rules })
  const change = (inputs: object): void => world.hooks.behave({ pre: () => ({ code: 'OK', override: { inputs } }) })

  change({ order: 7 })
  const wrong = await callTool(world.line, 'charge', { order: 'o1' })
  change({ order: 'order of 219-09-9999' })
  const blocked = await callTool(world.line, 'charge', { order: 'o1' })

  expect(world.effects.executions.total).toBe(0)
  expect(wrong.result['_meta']).toMatchObject({ 'io.gatehouse/problem': { code: 'policy/hook-failed', hook: 'guard' } })
  expect(blocked.result['_meta']).toMatchObject({ 'io.gatehouse/problem': { code: 'content/blocked-input' } })
})

test('a hook can put another output in the place of the answer, or keep it back', async () => {
  const world = await startWith({})
  const output = { content: [{ type: 'text', text: 'nothing to see' }] }

  world.hooks.behave({ post: () => ({ code: 'OK', override: { output } }) })
  const changed = await callTool(world.line, 'charge', { order: 'o1' })
  world.hooks.behave({ post: () => ({ code: 'OK', override: { output: 'no result' } }) })
  const unusable = await callTool(world.line, 'charge', { order: 'o2' })
  world.hooks.behave({ post: () => ({ code: 'CHECK_FAILED', error_message: 'too much' }) })
  const refused = await callTool(world.line, 'charge', { order: 'o3' })

  expect(textOf(changed)).toBe('nothing to see')
  expect(unusable.result).toMatchObject({ isError: true })
  expect(textOf(unusable)).toContain('it is no tool result')
  expect(textOf(refused)).toBe('The hook "guard" refused the answer of this call: too much')
  expect(JSON.stringify([unusable.result, refused.result])).not.toContain('charged')
})

test.each([
  ['answers with an error', { pre: () => 500 }, 2],
  ['does not answer', { pre: () => 'silence' as const }, 2],
  ['answers with another contract', { pre: () => ({ code: 'YES' }) }, 1],
  ['rewrites what is not rewritten here', { pre: () => ({ code: 'OK', override: { secrets: [] } }) }, 1],
  ['refuses our token', { pre: () => 401 }, 1],
] satisfies [string, HookBehaviour, number][])(
  'a hook that %s keeps calls back where it must agree, and is asked again only after an outage',
  async (_, behaviour, tries) => {
    const world = await startWith({ behaviour })

    const { result } = await callTool(world.line, 'charge', { order: 'o1' })

    expect(result).toMatchObject({
      isError: true,
      _meta: { 'io.gatehouse/problem': { code: 'policy/hook-failed', kind: 'CONTEXT_CHECK_FAILED', hook: 'guard' } },
    })
    expect(world.effects.executions.total).toBe(0)
    expect(world.hooks.asked.entries.filter(({ path }) => path === '/pre')).toHaveLength(tries)
    const [record] = await callsIn(world)
    expect(record).toMatchObject({ decision: 'denied', extra: { rule: 'hook:guard' } })
  },
)

test('calls go on without a hook that fails open, and the record says that it was not heard', async () => {
  const world = await startWith({ behaviour: { pre: () => 500, access: () => 500 }, hook: 'failure = "open"' })

  const answer = await callTool(world.line, 'charge', { order: 'o1' })

  expect(textOf(answer)).toBe('charged o1, time 1')
  const [record] = await callsIn(world)
  expect(record?.extra).toMatchObject({ hooks: [{ hook: 'guard', point: 'pre', outcome: 'failed' }, {}] })
})

test.each([
  ['only', { only: { effects: { tools: { lookup: [] } } } }, ['lookup']],
  ['deny', { deny: { effects: { tools: { charge: [] } } } }, ['lookup']],
  ['only wins', { only: { effects: { tools: { charge: [] } } }, deny: { effects: {} } }, ['charge']],
  ['a whole toolkit', { deny: { effects: {} } }, []],
  ['nothing', {}, ['charge', 'lookup']],
])('what /access narrows (%s) is neither listed nor callable, in both eras', async (_, answer, shown) => {
  const world = await startWith({ behaviour: { access: () => answer } })
  const session = await openSession(world.line)

  const listed = (await toolNames(world.line)).toSorted()
  const inSession = await session.ask('tools/list')
  const calls = await Promise.all(
    ['charge', 'lookup'].map(async (name) => ({ name, heard: await callTool(world.line, name, { order: 'o' }) })),
  )
  const unknown = await callTool(world.line, 'no-such-tool', {})

  expect(listed).toEqual(shown)
  expect(JSON.stringify(inSession.result['tools']).match(/"name":"(charge|lookup)"/g) ?? []).toHaveLength(shown.length)
  const refused = calls.filter(({ heard }) => heard.error !== undefined)
  expect(calls.filter(({ heard }) => heard.error === undefined).map(({ name }) => name)).toEqual(shown)
  for (const { name, heard } of refused) {
    // To the letter as for what there is not.
    expect(heard.error?.message).toBe(unknown.error?.message.replace('no-such-tool', name))
  }
})

test('an answer of /access is kept for each user, and nobody sees anything while a hook that must agree is silent', async () => {
  const world = await startWith({ behaviour: { access: () => ({}) } })
  const bob = { ...world.line, key: await world.house.createKey({ user: 'bob@example.com', gateway: 'demo' }) }

  await toolNames(world.line)
  await callTool(world.line, 'charge', { order: 'o1' })
  await toolNames(world.line)
  world.hooks.behave({ access: () => 500 })
  const forBob = await toolNames(bob)
  const forAlice = await toolNames(world.line)

  const users = world.hooks.asked.entries.flatMap(({ path, body }) => (path === '/access' ? [body] : []))
  expect(users.filter((body) => JSON.stringify(body).includes(ALICE))).toHaveLength(1)
  expect(forBob).toEqual([])
  expect(forAlice.toSorted()).toEqual(['charge', 'lookup'])
})

test('who is connected hears when a hook that is added takes tools away from them', async () => {
  const world = await startWith({})
  const session = await openSession(world.line)
  await session.ask('tools/list')
  const stream = await listenInSession(world.line, session)
  onTestFinished(() => stream.close())
  const other = await startHookServer({ access: () => ({ deny: { effects: { tools: { charge: [] } } } }) })
  onTestFinished(() => other.close())

  await askAdmin(world.house, '/api/v1/hooks', {
    body: {
      name: 'narrow',
      url: other.url,
      points: ['access'],
      allow_addresses: ['127.0.0.0/8'],
    },
  })

  await eventually(
    () => countOf(stream, 'notifications/tools/list_changed'),
    (count) => count > 0,
  )
  expect(await toolNames(world.line)).toEqual(['lookup'])
})

test('a hook added by API is reached only where the guard allows it, and never shown with its secrets', async () => {
  const world = await startWith({})
  const inside = { name: 'inside', url: world.hooks.url, points: ['pre'], token: 'another-token-of-the-test' }

  const added = await askAdmin(world.house, '/api/v1/hooks', { body: inside })
  const { result } = await callTool(world.line, 'charge', { order: 'o1' })
  const checked = await askAdmin(world.house, '/api/v1/hooks/check', { body: {} })
  const removed = await askAdmin(world.house, '/api/v1/hooks/inside', { method: 'DELETE' })
  const ofFile = await askAdmin(world.house, '/api/v1/hooks/guard', { method: 'DELETE' })
  const after = await callTool(world.line, 'charge', { order: 'o2' })

  expect(result).toMatchObject({ isError: true, _meta: { 'io.gatehouse/problem': { hook: 'inside' } } })
  expect(JSON.parse(checked.text)).toMatchObject({
    hooks: [
      { name: 'guard', state: 'healthy' },
      { name: 'inside', state: 'unreachable' },
    ],
  })
  expect([added.status, removed.status, ofFile.status]).toEqual([201, 204, 409])
  expect(textOf(after)).toBe('charged o2, time 1')
  const { records } = await world.house.gatehouse.audit.search({})
  expect(records.map(({ what }) => what)).toEqual(expect.arrayContaining(['hook.added', 'hook.removed']))
  const everything = [added.text, checked.text, JSON.stringify(records), ...world.house.logs].join('')
  expect(everything).not.toContain('another-token-of-the-test')
  expect(everything).not.toContain(TOKEN)
  expect(everything).not.toContain(SECRET)
})
