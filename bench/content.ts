/**
 * `node bench/content.ts`: what content rules cost. The whole pipeline in one process with three rules beside the same
 * without any, and how long the event loop stands still for five megabytes and for hostile patterns. `--quick` takes a
 * tenth of the calls.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SILENT } from '../src/audit/testing.ts'
import { contentRule, type ContentRule, type Subject } from '../src/content/index.ts'
import { openGatehouse, readConfig, type Gatehouse } from '../src/main/index.ts'
import { callInProcess } from './children/in-process.ts'
import { median } from './numbers.ts'

const ADMIN = { userId: 'bench', keyId: null, face: 'cli' } as const
const USER = 'bench@example.com'
const ROUNDS = 7
const MEGABYTES = 5

const TOML = `
[storage]
durability = "process"

[[servers]]
name = "reference"
transport = "builtin"

[[gateways]]
slug = "open"
access = "all"
tools = ["reference/*"]

[[gateways]]
slug = "granted"
access = "grants"
tools = ["reference/*"]
`

const CEDAR = `
@id("guests") forbid(principal in Role::"guest", action, resource) when { resource.destructive };
@id("contractors") forbid(principal in Group::"contractors", action, resource in Server::"payroll");
@id("kinds") permit(principal, action, resource in Gateway::"granted") when { resource.readOnly && principal.kind == "person" };
`

const RULES: readonly ContentRule[] = [
  contentRule.parse({ name: 'no-ssn', phase: 'input', detect: ['ssn', 'card'], effect: 'block' }),
  contentRule.parse({ name: 'no-keys', detect: ['secrets'], effect: 'redact' }),
  contentRule.parse({ name: 'names', pattern: '(?i)project\\s+falcon', effect: 'replace', with: 'the project' }),
]

const SUBJECT: Subject = {
  gateway: 'open',
  server: { name: 'reference', tags: [] },
  thing: 'echo',
  user: { userId: USER, groups: [] },
}

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } })
const calls = values.quick === true ? 2_000 : 20_000
const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-content-'))
const house = await openGatehouse({ config: readConfig({ text: TOML, dataDir, env: {} }), dataDir, log: SILENT })
try {
  await Promise.all(house.house.servers().map((server) => server.firstListing))
  await measurePipeline(house)
  for (const kind of hostileTexts()) await measureStandstill(house, kind)
} finally {
  await house.close()
  await rm(dataDir, { recursive: true })
}

/** In turn, so that what else the machine does concerns all alike. */
async function measurePipeline(gatehouse: Gatehouse): Promise<void> {
  const made = await gatehouse.identity.createKey({ userId: USER, gateways: ['*'], role: 'user' }, ADMIN)
  await gatehouse.policy.addGrant(
    { subject: { kind: 'user', id: USER }, gateway: 'granted', tools: ['reference/*'] },
    ADMIN,
  )
  await gatehouse.policy.putPolicy({ text: CEDAR }, ADMIN)
  const one = async (gateway: string, rules: readonly ContentRule[]): Promise<number> => {
    gatehouse.content.declare(rules)
    await gatehouse.policy.activatePolicy(gateway === 'granted' ? 1 : null, ADMIN)
    const { cpuMicrosPerCall } = await callInProcess(gatehouse, { calls, atOnce: 32, key: made.key, gateway })
    return cpuMicrosPerCall
  }
  await one('open', [])
  await one('granted', RULES)
  const found: { off: number; content: number; all: number }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const [off, content, all] = [await one('open', []), await one('open', RULES), await one('granted', RULES)]
    found.push({ off, content, all })
  }
  const ratio = (of: 'content' | 'all'): string => median(found.map((round) => round[of] / round.off)).toFixed(3)
  print(`pipeline without rules: ${median(found.map(({ off }) => off)).toFixed(1)} µs CPU a call, audit on`)
  print(`with three content rules: ${ratio('content')}×; with these, grants and three rules in Cedar: ${ratio('all')}×`)
}

type Text = { readonly name: string; readonly text: string; readonly rules: readonly ContentRule[] }

function hostileTexts(): Text[] {
  const filled = (piece: string): string => piece.repeat(Math.ceil((MEGABYTES * 1_048_576) / piece.length))
  const pattern = (source: string) => [contentRule.parse({ name: 'hostile', pattern: source, effect: 'redact' })]
  const small = (text: string): string => text.slice(0, 16_384)
  return [
    { name: '5 MB of prose, three rules', text: filled('Lorem ipsum dolor sit amet 12 consectetur. '), rules: RULES },
    { name: '5 MB of separated digits, three rules', text: filled('4-1-1-'), rules: RULES },
    { name: '5 MB of full-width digits, three rules', text: filled('４１１１'), rules: RULES },
    { name: '5 MB of "a", (a+)+$', text: filled('a'), rules: pattern('(a+)+$') },
    { name: '5 MB of "a1", 40 optional letters', text: filled('a1'), rules: pattern('(?:a?){40}a{40}b') },
    { name: '16 KB of separated digits, three rules', text: small(filled('4-1-1-')), rules: RULES },
    { name: '16 KB of full-width digits, three rules', text: small(filled('４１１１')), rules: RULES },
    { name: '16 KB of "a", (a+)+$', text: small(filled('a')), rules: pattern('(a+)+$') },
  ]
}

/** The longest time between two turns of the event loop while the message is looked through. */
async function measureStandstill({ content }: Gatehouse, { name, text, rules }: Text): Promise<void> {
  content.declare(rules)
  // The thread is started and the rules are compiled once, before.
  for (let warm = 0; warm < 3; warm++)
    await content.screen('input', SUBJECT, { kind: 'params', value: { arguments: { text } } })
  let [longest, last, isDone] = [0, performance.now(), false]
  const turn = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isDone) setImmediate(turn)
  }
  await pause(50)
  last = performance.now()
  setImmediate(turn)
  await pause(5)
  const started = performance.now()
  const { outcome } = await content.screen('input', SUBJECT, { kind: 'params', value: { arguments: { text } } })
  const took = performance.now() - started
  await new Promise((resolve) => setImmediate(resolve))
  isDone = true
  print(
    `${name}: the event loop stands still for ${longest.toFixed(1)} ms at the most; ${outcome} after ${took.toFixed(0)} ms`,
  )
}

function print(line: string): void {
  console.log(line)
}
