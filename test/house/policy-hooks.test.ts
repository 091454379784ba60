import { expect, onTestFinished, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { startHookServer } from '../fakes/hook-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { askAdmin } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** What `explain`, `replay` and the metrics say of hooks, which decide beside the rules. */
async function startWithHiding() {
  const effects = await startSideEffectServer()
  const hooks = await startHookServer({ access: () => ({ deny: { effects: { tools: { charge: [] } } } }) })
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
      points = ["access", "pre"]

      [[hooks]]
      name = "elsewhere"
      url = "${hooks.url}"
      points = ["pre"]
      tools = ["others/*"]
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await Promise.all([effects.close(), hooks.close()])
  })
  await house.listed()
  const key = await house.createKey({ user: 'alice', gateway: 'demo' })
  const cli = testCli({ cwd: house.dataDir })
  return {
    house,
    hooks,
    effects,
    line: { url: gatewayUrl(house, 'demo'), key },
    run: (...words: string[]) => cli(...words, '--data', house.dataDir),
  }
}

test('explain names the hooks that a call would be put to as well, and no others', async () => {
  const { run } = await startWithHiding()

  const told = await run('policy', 'explain', '--user', 'alice', '--gateway', 'demo', '--tool', 'charge')

  expect(told.out).toContain(
    'Hooks that a call would be put to as well, and that may say no (--ask-hooks asks them):\n  guard (access, pre; failure = "closed")\n',
  )
  expect(told.out).not.toContain('elsewhere')
})

const wantedOf = (tool: string): string[] => [
  'policy',
  'explain',
  '--user',
  'alice',
  '--gateway',
  'demo',
  '--tool',
  tool,
]

test('explain asks hooks only where that is wanted, as a question, and no call comes of it', async () => {
  const { run, hooks, effects, house } = await startWithHiding()

  await run(...wantedOf('lookup'))
  const before = hooks.asked.entries.length
  const told = await run(...wantedOf('lookup'), '--args', '{"order":"o1"}', '--ask-hooks')

  expect([before, told.code, effects.executions.total]).toEqual([0, 0, 0])
  expect(told.out).toContain('alice may use tool effects/lookup at demo')
  expect(told.out).toContain('Hooks:\n  guard (access, pre; failure = "closed") – access: agreed; pre: agreed\n')
  expect(hooks.asked.entries.map(({ path, isQuestion }) => [path, isQuestion])).toEqual([
    ['/access', true],
    ['/pre', true],
  ])
  expect(hooks.asked.entries[1]?.body).toMatchObject({
    tool: { name: 'lookup', toolkit: 'effects', metadata: { gateway: 'demo' } },
    inputs: { order: 'o1' },
    context: { user_id: 'alice' },
  })
  expect((await house.gatehouse.audit.search({ what: 'tools/call' })).records).toEqual([])
})

test('a no of a hook to the question is the answer of explain, with its words; a call itself is no question', async () => {
  const { run, hooks, line } = await startWithHiding()
  hooks.behave({ pre: () => ({ code: 'CHECK_FAILED', error_message: 'not on a Sunday' }) })

  const hidden = await run(...wantedOf('charge'), '--ask-hooks')
  const refused = await run(...wantedOf('lookup'), '--args', '{"order":"o1"}', '--ask-hooks')
  const halfAsked = await run(...wantedOf('lookup'), '--ask-hooks')
  await callTool(line, 'lookup', { order: 'o1' })

  expect(hidden.out).toContain(
    'alice may not use tool effects/charge at demo: the rules allow it, but not the hook "guard".',
  )
  expect(hidden.out).toContain('access: denied, it does not show the tool')
  expect(refused.out).toContain('pre: denied, The hook "guard" refused this call: not on a Sunday')
  expect(halfAsked.out).toContain('access: agreed; pre: not asked, as it looks at arguments (--args)')
  expect(hooks.asked.entries.map(({ isQuestion }) => isQuestion)).toEqual([true, true, true, true, false, false])
})

test('a hook that cannot be asked is told of in explain as a call would find it, by its failure mode', async () => {
  const { run, hooks } = await startWithHiding()
  hooks.behave({ access: () => 404 })

  const told = await run(...wantedOf('lookup'), '--ask-hooks', '--json')

  expect(JSON.parse(told.out)).toMatchObject({
    effect: 'deny',
    deciding: [{ id: 'hook:guard', words: 'the hook "guard" has to agree, and it answered with status 404' }],
    hooks: [{ name: 'guard', said: [{ point: 'access', outcome: 'failed', words: 'it answered with status 404' }] }],
  })
})

test('replay leaves what a hook decided as it was, says how much that is, and the metrics have it', async () => {
  const { house, line, run } = await startWithHiding()
  const refused = await callTool(line, 'charge', { order: 'o1' })

  const told = await run('policy', 'replay', '--since', '1h')
  const metrics = (await askAdmin(house, '/metrics')).text

  expect(refused.error?.message).toBe('Unknown tool: "charge"')
  expect(told.out).toContain(
    '1 call looked at; 0 would end otherwise.\n1 were decided by hooks, and are left as they were.\n',
  )
  expect(told.out).toContain('not with those they had at the time of the call')
  expect(metrics).toContain('gatehouse_policy_decisions_total{effect="deny",reason="hook"} 1')
})
