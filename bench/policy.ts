/**
 * `node bench/policy.ts`: what deciding costs. The whole pipeline in one process with grants and rules in Cedar, beside
 * the same without; one decision, warm and cold; hooks that are for other tools; the replay of 100,000 recorded calls against a rule that is not in
 * force. `--quick` takes a tenth of the calls and records.
 */
import { parseArgs } from 'node:util'
import type { Gatehouse } from '../src/main/index.ts'
import { hookConfig } from '../src/policy/index.ts'
import { callOf } from '../src/audit/testing.ts'
import { callInProcess } from './children/in-process.ts'
import { openBenchHouse } from './house.ts'
import { median } from './numbers.ts'

const ADMIN = { userId: 'bench', keyId: null, face: 'cli' } as const
const USER = 'bench@example.com'
const OTHER_GRANTS = 500
const ROUNDS = 5
const TIMES = 2_000_000

const RULES = `
@id("guests") forbid(principal in Role::"guest", action, resource) when { resource.destructive };
@id("contractors") forbid(principal in Group::"contractors", action, resource in Server::"payroll");
@id("kinds") permit(principal, action, resource in Gateway::"granted") when { resource.readOnly && principal.kind == "person" };
`

/** A rule that takes something away from some. */
const CANDIDATE = `@id("no-adding") forbid(principal == User::"user4@example.com", action, resource == Tool::"reference/add");`

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } })
const scale = values.quick === true ? 0.1 : 1
await using opened = await openBenchHouse()
const { house } = opened
await grantMany(house)
await measurePipeline(house, 20_000 * scale)
await measureDecisions(house)
measureIdleHooks(house)
await measureReplay(house, 100_000 * scale)

async function grantMany({ policy }: Gatehouse): Promise<void> {
  const grant = (id: string) =>
    policy.addGrant({ subject: { kind: 'user', id }, gateway: 'granted', tools: ['reference/*'] }, ADMIN)
  await grant(USER)
  for (let other = 0; other < OTHER_GRANTS; other += 1) await grant(`user${other}@example.com`)
  await policy.putPolicy({ text: RULES }, ADMIN)
}

/** What a call pays for the stages of hooks where none is for its tool: three questions, of which none asks anybody. */
function measureIdleHooks({ hooks, house }: Gatehouse): void {
  const things = [...(house.snapshot().views.get('granted')?.toolByName.values() ?? [])].map(({ thing }) => thing)
  const [tool] = things
  if (tool === undefined) throw new Error('the gateway shows nothing')
  const one = (): number => {
    const startedAt = performance.now()
    for (let times = 0; times < TIMES; times += 1) {
      const known = hooks.accessKnown({ gateway: 'granted', userId: USER }, [tool])
      if (known !== null || hooks.concern('pre', tool) || hooks.concern('post', tool))
        throw new Error('a hook is asked')
    }
    return ((performance.now() - startedAt) * 1e6) / TIMES
  }
  const fastest = (): string => Math.min(...Array.from({ length: ROUNDS }, one)).toFixed(0)
  const none = fastest()
  const elsewhere = { name: 'elsewhere', url: 'http://127.0.0.1:9', points: ['access', 'pre', 'post'], tools: ['x/*'] }
  hooks.declare([hookConfig.parse(elsewhere)])
  print(`stages of hooks, a call: ${none} ns without hooks, ${fastest()} ns with one that is for other tools`)
  hooks.declare([])
}

/** In turn, so that what else the machine does concerns both alike. */
async function measurePipeline(gatehouse: Gatehouse, calls: number): Promise<void> {
  const made = await gatehouse.identity.createKey({ userId: USER, gateways: ['*'], role: 'user' }, ADMIN)
  const one = async (gateway: string, version: number | null): Promise<number> => {
    await gatehouse.policy.activatePolicy(version, ADMIN)
    const { cpuMicrosPerCall } = await callInProcess(gatehouse, { calls, atOnce: 32, key: made.key, gateway })
    return cpuMicrosPerCall
  }
  await one('open', null)
  await one('granted', 1)
  const found: { off: number; on: number }[] = []
  for (let round = 0; round < ROUNDS; round += 1)
    found.push({ off: await one('open', null), on: await one('granted', 1) })
  const [off, on] = [median(found.map((pair) => pair.off)), median(found.map((pair) => pair.on))]
  const ratio = median(found.map((pair) => pair.on / pair.off))
  print(
    `pipeline without policy: ${off.toFixed(1)} µs CPU a call; with ${OTHER_GRANTS + 1} grants and 3 rules: ${on.toFixed(1)} µs, ${ratio.toFixed(3)}×`,
  )
}

async function measureDecisions({ policy, tools, identity }: Gatehouse): Promise<void> {
  const made = await identity.createKey({ gateways: ['*'], role: 'user' }, ADMIN)
  const admit = (userId: string) =>
    tools.admit({
      gateway: 'granted',
      credentials: { authorization: `Bearer ${made.key}`, userId, remoteAddress: '127.0.0.1' },
      face: 'mcp',
    })
  const find = (userId: string, times: number): number => {
    const admission = admit(userId)
    const startedAt = performance.now()
    for (let done = 0; done < times; done += 1) void tools.find(admission, 'echo')
    return ((performance.now() - startedAt) * 1_000) / times
  }
  await policy.activatePolicy(1, ADMIN)
  const cold = Array.from({ length: 200 }, (_, at) => find(`user${at}@example.com`, 1))
  const warm = Array.from({ length: 5 }, () => find(USER, 50_000))
  print(`one decision: warm ${median(warm).toFixed(2)} µs, cold ${median(cold).toFixed(0)} µs`)
}

async function measureReplay({ audit, policy }: Gatehouse, records: number): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < records; at = next++) {
      const tool = at % 2 === 0 ? 'add' : 'echo'
      await audit.record(
        callOf(at, { gateway: 'granted', server: 'reference', tool, userId: `user${at % 400}@example.com` }),
      )
    }
  }
  await Promise.all(Array.from({ length: 64 }, lane))
  const startedAt = performance.now()
  const told = await policy.replay({ since: 0, text: RULES + CANDIDATE, records: 1_000_000 })
  const seconds = (performance.now() - startedAt) / 1_000
  print(
    `replay of ${told.records.toLocaleString('en')} records: ${seconds.toFixed(1)} s, ${told.changed} changed for ${told.changes.length} user(s) and tool(s)`,
  )
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
