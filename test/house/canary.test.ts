import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { startHookServer, type HookServer } from '../fakes/hook-server.ts'
import { startLeakyServer, type LeakyServer } from '../fakes/leaky-server.ts'
import { listen, readText, sendJson, type Listening } from '../fakes/listen.ts'
import { createJournal } from '../fakes/observe.ts'
import { startOtlpCollector, type OtlpCollector } from '../fakes/otlp-collector.ts'
import { hearAll, timesIn } from './hear-all.ts'
import { connect } from './matrix/clients.ts'
import { keptBy, leaks, toldBy } from './secrets.ts'
import { lineOf } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, callTool, openSession, post, type Line } from './talk.ts'

/**
 * A secret is planted wherever somebody can put one: by a server in each part of its answers, and by a caller in each
 * part of a request. With rules that redact it, it is found nowhere downstream: not by the client and the server, nor by
 * hooks, the webhook of approvals, the collector of logs, nor in files, database, log, metrics, trail and exports.
 */
const OWNED_BY_CALLER = 'AKIACANARY'
const webhook = createJournal<string>()
let leaky: LeakyServer
let hooks: HookServer
let collector: OtlpCollector
let bot: Listening
let house: TestHouse
let line: Line
let heard: string

/** Another one for each place, so that a leak tells where it came in. */
const planted: Record<string, string> = {}
function plant(place: string): string {
  const number = Object.keys(planted).length
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const secret = `${OWNED_BY_CALLER}${letters[Math.floor(number / 26)]}${letters[number % 26]}QQWWEEZZ`
  planted[place] = secret
  return secret
}

const TOML = () => `
  [audit.otlp]
  endpoint = "${collector.url}"

  [[audit.payloads]]
  record = "full"

  [approvals]
  wait_ms = 0
  webhook = { url = "${bot.url}", signing_secret = "a-signing-secret-of-the-test" }

  [[servers]]
  name = "leaky"
  transport = "http"
  url = "${leaky.url}"

  [[gateways]]
  slug = "demo"
  tools = ["leaky/*"]

  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "two"
  tools = ["*"]

  [[gateways]]
  slug = "closed"
  tools = ["leaky/*"]
  access = "grants"

  [[gateways]]
  slug = "asks"
  tools = ["leaky/*"]
  approve = ["leaky/take"]

  [[content_rules]]
  name = "no-keys"
  phase = "both"
  detect = ["secrets"]
  decode_base64 = true
  effect = "redact"

  [[hooks]]
  name = "guard"
  url = "${hooks.url}"
  points = ["access", "pre", "post"]
`

beforeAll(async () => {
  leaky = await startLeakyServer()
  hooks = await startHookServer()
  collector = await startOtlpCollector()
  bot = await listen((req, res) => {
    void readText(req).then((text) => {
      webhook.add(text)
      sendJson(res, 200, {})
    })
  })
  house = await startHouse({ toml: TOML() })
  await house.listed()
  line = await lineOf(house, 'alice')
  const headers = { authorization: `Bearer ${line.key}` }
  await using client = await connect('SDK v2 modern', { url: line.url, headers })
  heard = await hearAll(client)
  await plantEverywhere()
  await collector.taken.until(({ body }) => body.includes('the last of all'))
}, 60_000)
afterAll(async () => {
  await house.close()
  await Promise.all([leaky.close(), hooks.close(), collector.close(), bot.close()])
})

async function plantEverywhere(): Promise<void> {
  const take = (args: JsonObject) => callTool(line, 'take', args)
  await take({ text: plant('an argument') })
  await take({ text: 'x', more: { deep: [{ deeper: `in ${plant('a nested argument')}` }] } })
  await take({ text: 'x', [plant('the name of an argument')]: 1 })
  await take({ text: JSON.stringify({ key: plant('JSON in an argument') }) })
  await take({ text: plant('an argument in disguise').split('').join('\u200b') })
  await take({ text: Buffer.from(`it is ${plant('base64 in an argument')}!`).toString('base64') })
  await take({ text: encodeURIComponent(`?key=${plant('a percent-encoded argument')}`) })
  await ask(line, 'prompts/get', { name: 'write', arguments: { key: plant('an argument of a prompt') } })
  await ask(line, 'resources/read', { uri: `leaky://keys/${plant('an address that fits a template')}` })
  await ask(line, 'resources/read', { uri: `leaky://none?key=${plant('an address of nothing')}` })
  const two = await lineOf(house, 'alice', 'two')
  await ask(two, 'resources/read', { uri: `nothing://none?key=${plant('an address of no server')}` })
  const closed = await lineOf(house, 'alice', 'closed')
  await ask(closed, 'resources/read', { uri: `leaky://keys/${plant('an address that is not granted')}` })
  await ask(closed, 'completion/complete', {
    ref: { type: 'ref/resource', uri: `leaky://keys/${plant('a template that is not granted')}` },
    argument: { name: 'name', value: 'x' },
  })
  await ask(line, 'completion/complete', {
    ref: { type: 'ref/resource', uri: `leaky://keys/${plant('a template that is to be completed')}` },
    argument: { name: 'name', value: 'x' },
  })
  await ask(two, 'completion/complete', {
    ref: { type: 'ref/prompt', name: plant('the name of a prompt to be completed') },
    argument: { name: 'name', value: 'x' },
  })
  await ask(line, 'completion/complete', {
    ref: { type: 'ref/resource', uri: 'leaky://keys/{name}' },
    argument: { name: 'name', value: plant('what is to be completed') },
  })
  await callTool(line, plant('the name of a tool that is none'))
  await ask(line, 'prompts/get', { name: plant('the name of a prompt that is none') })
  await ask(line, 'tasks/get', { taskId: plant('the id of a task that is none') }, tasks)
  await ask(line, plant('a method that is none'))
  await callTool(line, 'take', { text: 'x' }, { meta: { note: plant('the _meta of a call') } })
  await callTool(line, 'take', { text: 'x' }, { retry: { requestState: plant('a state that is none') } })
  await ask(line, 'tools/list', { cursor: plant('a cursor that is none') })
  await post(
    { ...line, url: `${line.url}?key=${plant('the query of the address')}` },
    { headers: { 'mcp-protocol-version': plant('a version that is none') }, body: '{}' },
  )
  await post(line, { headers: {}, body: `{"broken": "${plant('JSON that is none')}` })
  const session = await openSession(line)
  await session.ask('resources/subscribe', { uri: `leaky://keys/${plant('an address that is followed')}` })
  await session.call('take', { text: plant('an argument in a session') })
  await fetch(`${house.url}/api/v1/gateways/demo/call`, {
    method: 'POST',
    headers: { authorization: `Bearer ${line.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tool: 'take', arguments: { text: plant('an argument by REST') } }),
  })
  const asks = await lineOf(house, 'alice', 'asks')
  await callTool(asks, 'take', { text: `please approve ${plant('an argument that waits for approval')}` })
  await webhook.until((text) => text.includes('approval.requested'))
  await callTool(line, 'the last of all')
}

const tasks = {
  meta: { 'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
}

/** Both halves of the texts in which somebody would look for it. */
function found(texts: Readonly<Record<string, string>>): string[] {
  const undisguised = Object.fromEntries(
    Object.entries(texts).map(([place, text]) => [place, text.replaceAll('\u200b', '')]),
  )
  const theirs = Object.entries(texts).flatMap(([place, text]) =>
    timesIn(text) > 0 ? [`the server's in ${place}`] : [],
  )
  return [...theirs, ...leaks(undisguised, planted)]
}

describe('a secret that is planted everywhere', () => {
  test('was planted in more than twenty places on the way in, and in more on the way out', () => {
    expect(Object.keys(planted).length).toBeGreaterThan(20)
    expect(heard.split('[redacted]').length).toBeGreaterThan(20)
  })

  test('is told neither to the client nor to the server', () => {
    expect(found({ heard, received: JSON.stringify(leaky.received.entries) })).toEqual([])
    expect(leaky.received.entries.length).toBeGreaterThan(8)
  })

  test('is told to no hook, at no point', () => {
    const asked = hooks.asked.entries.map(({ path, body }) => [path, JSON.stringify(body)] as const)

    expect(new Set(asked.map(([path]) => path))).toEqual(new Set(['/access', '/pre', '/post']))
    expect(asked.flatMap(([path, text]) => found({ [path]: text }))).toEqual([])
  })

  test('is not told to the webhook of approvals, nor shown to who approves', async () => {
    const { approvals } = await house.gatehouse.approvals.list({ state: 'pending', limit: 100 })

    expect(found({ webhook: webhook.entries.join('\n'), approvals: JSON.stringify(approvals) })).toEqual([])
    const [first] = approvals
    const shown = await house.gatehouse.approvals.show(first?.id ?? '')
    expect(found({ shown: JSON.stringify(shown) })).toEqual([])
    expect(JSON.stringify(shown)).toContain('please approve [redacted]')
  })

  test('is sent to no collector, which could read all that it was sent', () => {
    const bodies = collector.taken.entries.map(({ body }) => body).join('\n')

    expect(collector.refused.entries).toEqual([])
    expect(bodies).toContain('resources/read')
    expect(found({ bodies })).toEqual([])
  })

  test('is in no file, no row, no log, no metric, no record, no payload and no export', async () => {
    const { records } = await house.gatehouse.audit.search({}, { limit: 1_000 })
    const admin = { kind: 'admin', userId: 'admin', keyId: null, face: 'cli' } as const
    const kept = records.filter(({ payloadHash }) => payloadHash !== undefined)
    const payloads = await Promise.all(kept.map((record) => house.gatehouse.audit.readPayload(admin, record)))

    expect(kept.length).toBeGreaterThan(10)
    expect(found({ payloads: JSON.stringify(payloads) })).toEqual([])
    expect(found(await keptBy(house))).toEqual([])
    expect(found(await toldBy(house))).toEqual([])
  })
})
