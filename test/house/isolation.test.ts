import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { isJsonObject } from '#kernel'
import { startCounterServer } from '../fakes/counter-server.ts'
import { startConformanceServer, type ConformanceServer } from '../fixtures/conformance-server.ts'
import { connect, clientKinds, type MatrixClient } from './matrix/clients.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, gatewayUrl, openSession, textOf, type Heard, type Line } from './talk.ts'

/** Nothing of one caller ever reaches another: not a session, a count, a word of progress, a question or a task. */

const open = new Set<AsyncDisposable>()
afterEach(async () => {
  const all = [...open].toReversed()
  open.clear()
  for (const one of all) await one[Symbol.asyncDispose]()
})
function keep<Resource extends AsyncDisposable>(resource: Resource): Resource {
  open.add(resource)
  return resource
}

const USERS = 50
const SESSIONS_EACH = 20
const CALLS_EACH = 3
const user = (n: number) => `user-${n}@example.com`
const range = (length: number) => Array.from({ length }, (_, index) => index)

async function houseBefore(url: string): Promise<TestHouse> {
  const toml = `
    [[servers]]
    name = "up"
    transport = "http"
    url = "${url}"

    [[gateways]]
    slug = "demo"
    tools = ["up/*"]
  `
  const house = keep(await startHouse({ toml }))
  await house.listed()
  return house
}

/** Everybody's own way in. */
async function lineOf(house: TestHouse, name: string, more: Partial<Line> = {}): Promise<Line> {
  return { url: gatewayUrl(house, 'demo'), key: await house.createKey({ user: name, gateway: 'demo' }), ...more }
}

describe('a server that counts for its connection', () => {
  test(`counts for each of ${USERS} × ${SESSIONS_EACH} interleaved sessions alone`, { timeout: 120_000 }, async () => {
    const counter = keep(await startCounterServer({ eras: 'legacy' }))
    const house = await houseBefore(counter.url)
    const lines = await Promise.all(range(USERS).map((n) => lineOf(house, user(n))))
    const sessions = await inTurns(
      range(USERS * SESSIONS_EACH).map((n) => () => openSession(lines[n % USERS] ?? { url: '' })),
    )

    const rounds = range(CALLS_EACH).flatMap(() => sessions.map((session) => () => session.call('increment')))
    await inTurns(rounds)
    const counts = await inTurns(sessions.map((session) => () => session.call('current')))

    expect(new Set(counts.map(textOf))).toEqual(new Set([String(CALLS_EACH)]))
    expect(new Set(counts.map(counterOf)).size).toBe(USERS * SESSIONS_EACH)
    expect(counter.counts.size).toBe(USERS * SESSIONS_EACH)
  })

  test('counts for each stateless user alone, however many clients of hers call', async () => {
    const counter = keep(await startCounterServer({ eras: 'legacy' }))
    const house = await houseBefore(counter.url)
    const lines = await Promise.all(range(USERS).map((n) => lineOf(house, user(n))))

    const calls = range(CALLS_EACH).flatMap(() => lines.map((line) => () => ask(line, 'tools/call', INCREMENT)))
    await inTurns(calls)
    const counts = await inTurns(lines.map((line) => () => ask(line, 'tools/call', { name: 'current', arguments: {} })))

    expect(counts.map(textOf)).toEqual(lines.map(() => String(CALLS_EACH)))
    expect(new Set(counts.map(counterOf)).size).toBe(USERS)
  })
})

describe.each(['legacy', 'modern'] as const)('before a %s server', (eras) => {
  test('progress under equal tokens never crosses between 100 clients', async () => {
    const fixture = keep(await startConformanceServer({ eras }))
    const house = await houseBefore(fixture.url)
    const lines = await Promise.all(range(10).map((n) => lineOf(house, user(n))))
    const meta = { progressToken: 'the same' }

    const answers = await Promise.all(
      range(100).map(async (n) => {
        const line = lines[n % lines.length] ?? { url: '' }
        if (n % 2 === 0) return await ask(line, 'tools/call', PROGRESS, { meta })
        return await (await openSession(line)).ask('tools/call', { ...PROGRESS, _meta: meta })
      }),
    )

    expect(new Set(answers.map(stepsOf))).toEqual(new Set(['the same 0, the same 50, the same 100']))
  })

  test('questions and changes reach the one they are for', async () => {
    const fixture = keep(await startConformanceServer({ eras }))
    const house = await houseBefore(fixture.url)
    const clients = await Promise.all(
      range(12).map(async (n) => {
        const line = await lineOf(house, user(n))
        const answer = () => ({ action: 'accept', content: { username: user(n), email: user(n) } })
        const headers = { authorization: `Bearer ${line.key}` }
        return keep(await connect(clientKinds[n % 3] ?? 'SDK v1', { url: line.url, headers, answer }))
      }),
    )
    const followers = clients.filter((_, n) => n % 2 === 0)
    await Promise.all(followers.map((client) => client.listen(['test://watched-resource'])))
    await Promise.all(clients.filter((client) => !followers.includes(client)).map((client) => client.listen()))

    const answers = await Promise.all(clients.map((client) => client.callTool('test_elicitation', { message: 'Who?' })))
    await clients[1]?.callTool('test_update_watched_resource', { text: 'new' })
    await Promise.all(followers.map((client) => client.heard.until(isUpdate)))
    await Promise.all(clients.map((client) => client.callTool('test_simple_text')))

    expect(answers.map((result) => textOf({ result }))).toEqual(clients.map((_, n) => expect.stringContaining(user(n))))
    expect(clients.map((client) => client.asked.total)).toEqual(clients.map(() => 1))
    expect(clients.map(updatesOf)).toEqual(clients.map((client) => (followers.includes(client) ? 1 : 0)))
  })
})

describe('what is stolen', () => {
  async function victimAndThief(fixture: ConformanceServer, more: Partial<Line> = {}) {
    const house = await houseBefore(fixture.url)
    return { victim: await lineOf(house, 'victim', more), thief: await lineOf(house, 'thief', more) }
  }

  test('a session id opens nothing for another user, and the session goes on', async () => {
    const fixture = keep(await startConformanceServer())
    const { victim, thief } = await victimAndThief(fixture)
    const session = await openSession(victim)

    const stolen = await session.call('test_simple_text', {}, { key: thief.key })
    const ended = await fetch(victim.url, {
      method: 'DELETE',
      headers: { ...session.headers, authorization: `Bearer ${thief.key}` },
    })
    const own = await session.call('test_simple_text')

    expect(stolen.status).toBe(404)
    expect(ended.status).toBe(404)
    expect(own.status).toBe(200)
    expect(fixture.calls.total).toBe(1)
  })

  test.each(['legacy', 'modern'] as const)('a request state of a call at a %s server is refused', async (eras) => {
    const fixture = keep(await startConformanceServer({ eras }))
    const { victim, thief } = await victimAndThief(fixture, { capabilities: { elicitation: { form: {} } } })
    const params = { name: 'test_elicitation', arguments: { message: 'Who?' } }
    const asked = await ask(victim, 'tools/call', params)
    const [key = ''] = Object.keys(isJsonObject(asked.result['inputRequests']) ? asked.result['inputRequests'] : {})
    const retry = {
      ...params,
      requestState: String(z.string().parse(asked.result['requestState'])),
      inputResponses: { [key]: { action: 'accept', content: { username: 'x', email: 'x' } } },
    }

    const stolen = await ask(thief, 'tools/call', retry)
    const changed = await ask(victim, 'tools/call', { ...retry, arguments: { message: 'Another question' } })
    const own = await ask(victim, 'tools/call', retry)

    expect(stolen.error?.code).toBe(-32602)
    expect(changed.error?.code).toBe(-32602)
    expect(textOf(own)).toContain('action=accept')
  })

  test.each(['legacy', 'modern'] as const)('a task id of a %s server is unknown to another user', async (eras) => {
    const fixture = keep(await startConformanceServer({ eras }))
    const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } }
    const { victim, thief } = await victimAndThief(fixture, { capabilities })
    const begun = await ask(victim, 'tools/call', { name: 'slow_compute', arguments: { seconds: 60 } })
    const taskId = z.string().parse(begun.result['taskId'])

    const looked = await ask(thief, 'tasks/get', { taskId })
    const cancelled = await ask(thief, 'tasks/cancel', { taskId })
    const own = await ask(victim, 'tasks/get', { taskId })

    expect(looked.error?.code).toBe(-32602)
    expect(cancelled.error).toEqual(looked.error)
    expect(own.result['status']).toBe('working')
  })

  test('a key that is bound to one user cannot speak for another', async () => {
    const fixture = keep(await startConformanceServer())
    const { victim } = await victimAndThief(fixture)

    const answer = await ask({ ...victim, headers: { 'gatehouse-user-id': 'somebody-else' } }, 'tools/list')

    expect(answer.status).toBe(403)
  })
})

const INCREMENT = { name: 'increment', arguments: {} }
const PROGRESS = { name: 'test_tool_with_progress', arguments: {} }

/** Bounded, so that the machine is not the thing under test. */
async function inTurns<Value>(work: readonly (() => Promise<Value>)[], atOnce = 32): Promise<Value[]> {
  const results: Value[] = []
  let next = 0
  const worker = async () => {
    for (let at = next++; at < work.length; at = next++) {
      const one = work[at]
      if (one !== undefined) results[at] = await one()
    }
  }
  await Promise.all(range(atOnce).map(worker))
  return results
}

function counterOf({ result }: Heard): unknown {
  return isJsonObject(result['_meta']) ? result['_meta']['gatehouse.test/counter'] : undefined
}

function stepsOf({ text }: Heard): string {
  const steps = [...text.matchAll(/^data: (.+)$/gm)].map(([, json = '']) => progress.safeParse(JSON.parse(json)).data)
  return steps
    .flatMap((step) => (step === undefined ? [] : [`${step.params.progressToken} ${step.params.progress}`]))
    .join(', ')
}
const progress = z.object({ params: z.object({ progressToken: z.string(), progress: z.number() }) })

const isUpdate = ({ method }: { method: string }) => method === 'notifications/resources/updated'
function updatesOf(client: MatrixClient): number {
  return client.heard.entries.filter(isUpdate).length
}
