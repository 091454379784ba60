/**
 * Attacks on a whole house, by everybody who can reach it. Each test is one attempt; what must not come of it stands in
 * its name.
 */
import { expect, onTestFinished, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { startArcadeWorker } from '../fakes/arcade-worker.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, toolNames, type Line } from './talk.ts'

async function openHouse(toml: string): Promise<TestHouse> {
  const house = await startHouse({ toml })
  onTestFinished(() => house.close())
  await house.listed()
  return house
}

async function lineOf(house: TestHouse, user: string, gateway = 'demo'): Promise<Line> {
  return { url: gatewayUrl(house, gateway), key: await house.createKey({ user, gateway }) }
}

const PREFIX = 'io.modelcontextprotocol/'
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

// A server that seems to fail gets a rest, during which nobody is served: no caller may bring that about.
const POISONS: readonly [string, JsonObject][] = [
  ['a name that is no text', { [`${PREFIX}clientInfo`]: { name: 5, version: [], icons: [{ src: 1 }] } }],
  ['capabilities of the wrong shape', { [`${PREFIX}clientCapabilities`]: { roots: 'all', sampling: 7 } }],
  [
    'wrong shapes deeper down',
    { [`${PREFIX}clientCapabilities`]: { roots: { listChanged: 1 }, sampling: { tools: 1 } } },
  ],
  ['trace members that are no headers', { traceparent: TRACEPARENT, tracestate: 'a=\r\nb', baggage: 'k=\u0007' }],
]
test.each(POISONS.flatMap(([what, meta]) => (['legacy', 'modern'] as const).map((eras) => ({ what, meta, eras }))))(
  'a caller cannot take a server away from others: $what, $eras',
  async ({ meta, eras }) => {
    await using counter = await startCounterServer({ eras })
    await using worker = await startArcadeWorker()
    const house = await openHouse(`
    [[servers]]
    name = "counter"
    transport = "http"
    url = "${counter.url}"
    [[servers]]
    name = "ref"
    transport = "worker"
    url = "${worker.url}"
    secret = "${worker.secret}"
    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `)
    const mallory = await lineOf(house, 'mallory')
    const tools = ['increment', (await toolNames(mallory)).find((name) => /add/i.test(name)) ?? '']

    for (let round = 0; round < 6; round++)
      for (const tool of tools) await callTool(mallory, tool, { a: 1, b: 2 }, { meta })

    const alice = await lineOf(house, 'alice')
    const answers = await Promise.all(tools.map((tool) => callTool(alice, tool, { a: 1, b: 2 })))
    expect(answers.map((answer) => answer.result['isError'] ?? false)).toEqual([false, false])
  },
)
