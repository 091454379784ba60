import { expect, onTestFinished, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { startHookServer } from '../fakes/hook-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
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
    line: { url: gatewayUrl(house, 'demo'), key },
    run: (...words: string[]) => cli(...words, '--data', house.dataDir),
  }
}

test('explain names the hooks that a call would be put to as well, and no others', async () => {
  const { run } = await startWithHiding()

  const told = await run('policy', 'explain', '--user', 'alice', '--gateway', 'demo', '--tool', 'charge')

  expect(told.out).toContain(
    'Hooks that a call would be put to as well, and that may say no:\n  guard (access, pre; failure = "closed")\n',
  )
  expect(told.out).not.toContain('elsewhere')
})

test('replay leaves what a hook decided as it was, says how much that is, and the metrics have it', async () => {
  const { house, line, run } = await startWithHiding()
  const refused = await callTool(line, 'charge', { order: 'o1' })

  const told = await run('policy', 'replay', '--since', '1h')
  const metrics = await (
    await fetch(`${house.url}/metrics`, { headers: { authorization: `Bearer ${house.adminToken}` } })
  ).text()

  expect(refused.error?.message).toBe('Unknown tool: "charge"')
  expect(told.out).toContain(
    '1 call looked at; 0 would end otherwise.\n1 were decided by hooks, and are left as they were.\n',
  )
  expect(told.out).toContain('not with those they had at the time of the call')
  expect(metrics).toContain('gatehouse_policy_decisions_total{effect="deny",reason="hook"} 1')
})
