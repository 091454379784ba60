import { expect, onTestFinished, test, vi } from 'vitest'
import { startHookServer } from '../fakes/hook-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { askAdmin, lineOf } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, textOf } from './talk.ts'

/** A hook that is down: it is given a rest, told of where people and probes look, and asked again when it is back. */
async function startWith(failure: 'closed' | 'open') {
  const effects = await startSideEffectServer()
  const hooks = await startHookServer({ pre: () => 500, health: () => 500 })
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
      points = ["pre"]
      retries = 0
      failure = "${failure}"
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await Promise.all([effects.close(), hooks.close()])
  })
  await house.listed()
  const [alice, bob] = [await lineOf(house, 'alice'), await lineOf(house, 'bob')]
  const read = async (path: string) => (await askAdmin(house, path)).text
  const metrics = async (name: string) => (await read('/metrics')).split('\n').filter((line) => line.startsWith(name))
  return { house, effects, hooks, alice, bob, read, metrics }
}

const order = { order: 'o1' }
const OPEN = 'gatehouse_circuit_open{kind="hook",name="guard"} 1'

test('a hook that fails and does not say how it is either is given a rest, which refuses at once, and is asked again when it is well', async () => {
  const { house, effects, hooks, alice, bob, metrics } = await startWith('closed')
  const asked = (path: string) => hooks.asked.entries.filter((one) => one.path === path).length
  const circuit = () => metrics('gatehouse_circuit_open{kind="hook"')
  for (const line of [alice, bob, alice, bob, alice]) await callTool(line, 'charge', order)
  await vi.waitFor(async () => expect(await circuit()).toEqual([OPEN]))

  const refused = await callTool(bob, 'charge', order)
  const whileResting = [asked('/pre'), asked('/health')]
  hooks.behave({ pre: () => ({ code: 'OK' }), health: () => ({ status: 'healthy' }) })
  await house.gatehouse.hooks.checkHooks('guard')
  const back = await callTool(bob, 'charge', order)

  expect([effects.executions.total, ...whileResting]).toEqual([1, 5, 1])
  expect(textOf(refused)).toMatch(
    /the hook "guard" has to agree, and it failed several times in a row and is asked again at .*; the last time it answered with status 500/,
  )
  expect(refused.result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'policy/hook-failed' } } })
  expect(textOf(back)).toContain('charged o1')
  expect(await circuit()).toEqual([OPEN.replace(/1$/, '0')])
  const { records } = await house.gatehouse.audit.search({ what: 'tools/call' })
  expect(records.map(({ decision, extra }) => [decision, extra?.['hooks']])).toEqual([
    ['allowed', [{ hook: 'guard', point: 'pre', outcome: 'agreed' }]],
    ['denied', [{ hook: 'guard', point: 'pre', outcome: 'resting' }]],
    ...Array.from({ length: 5 }, () => ['denied', [{ hook: 'guard', point: 'pre', outcome: 'failed' }]]),
  ])
})

test.each(['closed', 'open'] as const)(
  'callers whose requests a hook cannot take bring it no rest, however many they are: failure = "%s"',
  async (failure) => {
    const { house, effects, hooks, alice, bob, metrics } = await startWith(failure)
    const isTheirs = ({ inputs }: { inputs: object }) => JSON.stringify(inputs).includes('breaks it')
    hooks.behave({
      pre: (body) => (isTheirs(body) ? 500 : { code: 'CHECK_FAILED' }),
      health: () => ({ status: 'healthy' }),
    })
    const eve = { url: alice.url, key: await house.createKey({ user: 'eve', gateway: 'demo' }) }
    for (let times = 0; times < 4; times += 1)
      for (const line of [alice, eve]) await callTool(line, 'charge', { order: `breaks it ${times}` })

    const { result } = await callTool(bob, 'charge', order)

    expect(result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'policy/hook-denied' } } })
    expect(effects.timesRun('charge', 'o1')).toBe(0)
    expect(await metrics('gatehouse_circuit_open{kind="hook"')).toEqual([OPEN.replace(/1$/, '0')])
  },
)

test('a hook that need not agree is asked each time, even when it is down: what it would refuse slips through no rest', async () => {
  const { effects, hooks, alice, bob, metrics } = await startWith('open')
  for (let times = 0; times < 4; times += 1)
    for (const line of [alice, bob]) await callTool(line, 'charge', { order: `o-${times}` })
  await vi.waitFor(async () => expect(await metrics('gatehouse_circuit_open{kind="hook"')).toEqual([OPEN]))
  hooks.behave({ pre: () => ({ code: 'CHECK_FAILED' }) })

  const { result } = await callTool(bob, 'charge', order)

  expect(result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'policy/hook-denied' } } })
  expect(effects.timesRun('charge', 'o1')).toBe(0)
})

test('arguments that a hook refuses to read are refused, whatever its failure mode, and say nothing about the hook', async () => {
  const { effects, hooks, alice, bob } = await startWith('open')
  hooks.behave({ pre: () => 413 })
  const refused = []
  for (const line of [alice, bob, alice, bob, alice, bob]) refused.push(await callTool(line, 'charge', order))

  expect(refused.map(({ result }) => result)).toMatchObject(refused.map(() => ({ isError: true, _meta: HOOK_FAILED })))
  expect(refused.map(textOf).filter((text) => text.includes('it does not take what was sent (status 413)'))).toEqual(
    refused.map(textOf),
  )
  expect([effects.executions.total, hooks.asked.entries.map(({ path }) => path)]).toEqual([
    0,
    refused.map(() => '/pre'),
  ])
})

const HOOK_FAILED = { 'io.gatehouse/problem': { code: 'policy/hook-failed', hook: 'guard' } }

test.each([
  ['closed', 'calls that need its yes are refused'],
  ['open', 'calls go on without it'],
] as const)('a hook that is down leaves the house ready, with a warning: failure = "%s"', async (failure, effect) => {
  const { hooks, alice, read } = await startWith(failure)
  const before: unknown = JSON.parse(await read('/readyz'))

  await callTool(alice, 'charge', order)
  const during: unknown = JSON.parse(await read('/readyz'))
  hooks.behave({ pre: () => ({ code: 'OK' }) })
  await callTool(alice, 'charge', order)

  expect(before).toEqual({ status: 'ready' })
  expect(during).toEqual({
    status: 'ready',
    warnings: [`the hook "guard" was unreachable when it was asked last (it answered with status 500), so ${effect}`],
  })
  expect(JSON.parse(await read('/readyz'))).toEqual({ status: 'ready' })
})

test('a scrape tells how long each hook took by what came of it, and how many decisions were remembered', async () => {
  const { hooks, alice, metrics } = await startWith('closed')

  await callTool(alice, 'charge', order)
  hooks.behave({ pre: () => ({ code: 'OK' }) })
  await callTool(alice, 'charge', order)
  await callTool(alice, 'charge', order)

  expect(await metrics('gatehouse_hook_duration_seconds_count')).toEqual([
    'gatehouse_hook_duration_seconds_count{hook="guard",outcome="failed"} 1',
    'gatehouse_hook_duration_seconds_count{hook="guard",outcome="agreed"} 2',
  ])
  expect(await metrics('gatehouse_hook_requests_total')).toEqual([
    'gatehouse_hook_requests_total{hook="guard",point="pre",outcome="failed"} 1',
    'gatehouse_hook_requests_total{hook="guard",point="pre",outcome="agreed"} 2',
  ])
  expect(await metrics('gatehouse_circuit_open{kind="server"')).toEqual([
    'gatehouse_circuit_open{kind="server",name="effects"} 0',
  ])
  expect(await metrics('gatehouse_approvals_pending')).toEqual(['gatehouse_approvals_pending 0'])
})

test('a decision is counted as cold when Cedar was asked, and as warm when it was remembered', async () => {
  const { house, hooks, alice, metrics } = await startWith('closed')
  hooks.behave({ pre: () => ({ code: 'OK' }) })
  const admin = { userId: 'admin', keyId: null, face: 'cli' } as const
  const subject = { kind: 'user', id: 'alice' } as const
  await house.gatehouse.policy.addGrant({ subject, gateway: 'demo', tools: ['effects/charge'] }, admin)
  const counts = async () => {
    const lines = [...(await metrics('gatehouse_policy_cold')), ...(await metrics('gatehouse_policy_warm'))]
    return lines.map((line) => Number(line.split(' ')[1]))
  }

  const [cold = 0] = await counts()
  await callTool(alice, 'charge', order)
  const [coldOnce = 0, warmOnce = 0] = await counts()
  await callTool(alice, 'charge', order)
  const [coldTwice = 0, warmTwice = 0] = await counts()

  expect(coldOnce).toBeGreaterThan(cold)
  expect([coldTwice, warmTwice > warmOnce]).toEqual([coldOnce, true])
})
