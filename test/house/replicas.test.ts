import { describe, expect, onTestFinished, test } from 'vitest'
import { postgresIsAvailable } from '../../src/storage/testing.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { openReplicas } from './kit.ts'
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

const WITHIN_MS = 2_000
const ADMIN = { userId: 'admin', keyId: null, face: 'rest' } as const

/** Replicas in this process on one Postgres database, each with a data directory and an address of its own. */
async function startReplicas(upstreamUrl: string, options: { count: number; server?: string }) {
  const toml = `
    [[servers]]
    name = "up"
    transport = "http"
    url = "${upstreamUrl}"
    ${options.server ?? ''}

    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `
  const replicas = await openReplicas({ toml, count: options.count })
  const [first] = replicas
  const key = await first.createKey({ user: 'alice@example.com', gateway: 'demo' })
  const lines = replicas.map((house): Line => ({ url: gatewayUrl(house, 'demo'), key }))
  // A new key is known at the other replicas a moment later.
  await Promise.all(lines.map(isReady))
  return { first, replicas, lines, key }
}

function isReady(line: Line): Promise<unknown> {
  return eventually(
    () => ask(line, 'tools/list'),
    ({ result }) => Array.isArray(result['tools']) && result['tools'].length > 0,
  )
}

function only<T>(items: readonly T[], at: number): T {
  const item = items[at]
  if (item === undefined) throw new Error(`there are only ${items.length}`)
  return item
}

describe.skipIf(!postgresIsAvailable())('replicas on one database', () => {
  test('a session of one replica goes on at another, with the same upstream session behind it', async () => {
    await using counter = await startCounterServer({ eras: 'legacy' })
    const { lines } = await startReplicas(counter.url, { count: 3 })
    const session = await openSession(only(lines, 0))

    const texts = [
      textOf(await session.call('increment')),
      textOf(await session.call('increment', {}, { url: only(lines, 1).url })),
      textOf(await session.call('increment', {}, { url: only(lines, 2).url })),
      textOf(await session.call('increment')),
    ]

    expect(texts).toEqual(['1', '2', '3', '4'])
  })

  test('a session of a replica that is gone is told to begin anew', async () => {
    await using counter = await startCounterServer({ eras: 'legacy' })
    const { lines, replicas } = await startReplicas(counter.url, { count: 2 })
    const session = await openSession(only(lines, 0))

    await only(replicas, 0).close()
    const heard = await session.call('increment', {}, { url: only(lines, 1).url })

    expect(heard.status).toBe(404)
    expect(heard.error?.message).toMatch(/no such session.*"initialize"/)
  })

  test('a question of a session-era server is answered at another replica, and the server sees one call', async () => {
    await using upstream = await startConformanceServer({ eras: 'legacy' })
    const { lines } = await startReplicas(upstream.url, { count: 3 })
    const capabilities = { elicitation: { form: {} } }
    const at = (index: number): Line => ({ ...only(lines, index), capabilities })

    const asked = await callTool(at(0), 'test_elicitation', { message: 'Who?' })
    const requests = asked.result['inputRequests']
    const answer = { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } }
    const inputResponses = Object.fromEntries(Object.keys(Object(requests)).map((name) => [name, answer]))
    const retry = { requestState: asked.result['requestState'], inputResponses }
    const done = await callTool(at(1), 'test_elicitation', { message: 'Who?' }, { retry })
    const again = await callTool(at(2), 'test_elicitation', { message: 'Who?' }, { retry })

    expect(asked.result).toMatchObject({ resultType: 'input_required' })
    expect(textOf(done)).toContain('ada')
    expect(again.error?.code ?? again.result['isError']).toBeTruthy()
    expect(upstream.requests.entries.filter(({ rpc }) => rpc === 'tools/call')).toHaveLength(1)
  })

  test('a state of another caller, or for other arguments, opens nothing at any replica', async () => {
    await using upstream = await startConformanceServer({ eras: 'legacy' })
    const { lines, first } = await startReplicas(upstream.url, { count: 2 })
    const capabilities = { elicitation: { form: {} } }
    const bob = await first.createKey({ user: 'bob@example.com', gateway: 'demo' })
    const asked = await callTool({ ...only(lines, 0), capabilities }, 'test_elicitation', { message: 'Who?' })
    const retry = { requestState: asked.result['requestState'], inputResponses: {} }
    await isReady({ ...only(lines, 1), key: bob })

    const foreign = await callTool(
      { ...only(lines, 1), key: bob, capabilities },
      'test_elicitation',
      { message: 'Who?' },
      { retry },
    )
    const changed = await callTool(
      { ...only(lines, 1), capabilities },
      'test_elicitation',
      { message: 'Me?' },
      { retry },
    )

    expect(foreign.error?.message).toMatch(/requestState is not valid/)
    expect(changed.error?.message).toMatch(/requestState is not valid/)
    expect(upstream.requests.entries.filter(({ rpc }) => rpc === 'tools/call')).toHaveLength(1)
  })

  test('a key that is revoked at one replica opens no door at any', async () => {
    await using counter = await startCounterServer()
    const { first, lines } = await startReplicas(counter.url, { count: 3 })
    const made = await first.gatehouse.identity.createKey(
      { userId: 'carol@example.com', gateways: ['demo'], role: 'user' },
      ADMIN,
    )
    const asCarol = lines.map((line) => ({ ...line, key: made.key }))
    const statusAt = async (line: Line) => (await callTool(line, 'current')).status
    await Promise.all(
      asCarol.map((line) =>
        eventually(
          () => statusAt(line),
          (status) => status === 200,
          WITHIN_MS,
        ),
      ),
    )

    await first.gatehouse.identity.revokeKey(made.id, ADMIN)

    await Promise.all(
      asCarol.map((line) =>
        eventually(
          () => statusAt(line),
          (status) => status === 401,
          WITHIN_MS,
        ),
      ),
    )
  })

  test('a server that is added or removed at one replica is there or gone at all', async () => {
    await using counter = await startCounterServer()
    await using other = await startChangingServer([{ name: 'extra', description: 'One more.' }])
    const { first, lines } = await startReplicas(counter.url, { count: 3 })
    const hasExtra = async (line: Line) => (await toolNames(line)).includes('extra')

    const added = { name: 'late', transport: 'http', url: other.url, allow_addresses: ['127.0.0.1'] }
    await first.gatehouse.toolsAdmin.addServer(ADMIN, added)
    await Promise.all(
      lines.map((line) =>
        eventually(
          () => hasExtra(line),
          (has) => has,
          WITHIN_MS,
        ),
      ),
    )
    const called = await Promise.all(lines.map(async (line) => textOf(await callTool(line, 'extra'))))
    await first.gatehouse.toolsAdmin.removeServer(ADMIN, 'late')
    await Promise.all(
      lines.map((line) =>
        eventually(
          () => hasExtra(line),
          (has) => !has,
          WITHIN_MS,
        ),
      ),
    )
    const after = await callTool(only(lines, 2), 'extra')

    expect(called).toEqual(['extra was called', 'extra was called', 'extra was called'])
    expect(after.error?.message).toBe('Unknown tool: "extra"')
  })

  test('a change of tools reaches each client of both eras at every replica exactly once', async () => {
    await using upstream = await startChangingServer([{ name: 'one', description: 'The first.' }])
    const { lines, first } = await startReplicas(upstream.url, { count: 3 })
    const streams = await Promise.all(
      lines.flatMap((line) => [
        listen(line, { toolsListChanged: true }),
        openSession(line).then((session) => listenInSession(line, session)),
      ]),
    )
    onTestFinished(async () => void (await Promise.all(streams.map((stream) => stream.close()))))
    const counts = () => streams.map((stream) => countOf(stream, 'notifications/tools/list_changed'))

    await upstream.setTools([
      { name: 'one', description: 'The first.' },
      { name: 'two', description: 'The second.' },
    ])
    await eventually(counts, (all) => all.every((count) => count > 0), WITHIN_MS)
    // Nothing more may come: give every replica's own look at the server time to end.
    await new Promise((resolve) => setTimeout(resolve, 700))

    expect(counts()).toEqual([1, 1, 1, 1, 1, 1])
    expect(await Promise.all(lines.map(toolNames))).toEqual([
      ['one', 'two'],
      ['one', 'two'],
      ['one', 'two'],
    ])
    const changes = await first.gatehouse.toolsAdmin.listChanges({ limit: 10 })
    expect(changes.map(({ tool, kind }) => `${kind} ${tool}`)).toEqual(['added two'])
  })
})
