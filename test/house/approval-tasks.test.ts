import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { isJsonObject, type JsonObject } from '#kernel'
import { startLeakyServer } from '../fakes/leaky-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { openHouse, answerApproval } from './kit.ts'
import type { TestHouse } from './start-house.ts'
import { ask, callTool, eventually, gatewayUrl, openSession, textOf, type Line } from './talk.ts'

/** A call that waits for an approval, looked after by its caller as a task: in both generations of tasks. */

const ALICE = 'alice@example.com'
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } }
const FORMS = { elicitation: { form: {} } }

type Wanted = { approvals?: string; tool?: string; more?: string; clock?: { now(): number } }

function tomlOf(name: string, url: string, { approvals = '', tool = '"destructive"', more = '' }: Wanted): string {
  return `
    [approvals]
    wait_ms = 30_000
    ${approvals}

    [[servers]]
    name = "${name}"
    transport = "http"
    url = "${url}"

    [[gateways]]
    slug = "demo"
    tools = ["${name}/*"]
    approve = [${tool}]
    ${more}
  `
}

async function startWith(wanted: Wanted = {}) {
  const effects = await startSideEffectServer()
  onTestFinished(() => effects.close())
  const { clock } = wanted
  const toml = tomlOf('effects', effects.url, wanted)
  const house = await openHouse({ toml, ...(clock === undefined ? {} : { clock }) })
  return { house, effects, line: await lineOf(house, ALICE) }
}

async function lineOf(house: TestHouse, user: string): Promise<Line> {
  const key = await house.createKey({ user, gateway: 'demo' })
  return { url: gatewayUrl(house, 'demo'), key, capabilities: TASKS }
}

async function answer(house: TestHouse, said: 'approve' | 'deny', id?: string) {
  return (await answerApproval(house, id ?? (await pending(house)), said)).status
}

async function pending(house: TestHouse): Promise<string> {
  const { approvals } = await house.gatehouse.approvals.list({ state: 'pending', limit: 1 })
  return approvals[0]?.id ?? ''
}

const look = async (line: Line, task: JsonObject) => (await ask(line, 'tasks/get', { taskId: idOf(task) })).result
const until = (line: Line, task: JsonObject, status: string) =>
  eventually(
    () => look(line, task),
    (found) => found['status'] === status,
  )

function idOf({ taskId }: JsonObject): string {
  return z.string().parse(taskId)
}

function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key]
  return isJsonObject(value) ? value : {}
}

test('a modern client with tasks gets one at once, and finds the result of the approved call in it', async () => {
  const { house, effects, line } = await startWith()

  const { result: task } = await callTool(line, 'charge', { order: 'o1' })
  const waiting = await look(line, task)
  const answered = await answer(house, 'approve')
  const done = await until(line, task, 'completed')
  const again = await look(line, task)

  expect(task).toMatchObject({ resultType: 'task', status: 'working', ttlMs: expect.any(Number) })
  expect(waiting).toMatchObject({
    status: 'working',
    taskId: task['taskId'],
    statusMessage: expect.stringMatching(/appr_/),
  })
  expect(answered).toBe(200)
  expect(textOf({ result: objectAt(done, 'result') })).toBe('charged o1, time 1')
  expect(again).toEqual(done)
  expect(effects.executions.total).toBe(1)
  const { records } = await house.gatehouse.audit.search({ what: 'tools/call' })
  expect(records.map(({ decision }) => decision)).toEqual(['allowed', 'denied'])
})

test('where a content rule asks for approvals, calls are tasks as well', async () => {
  const rule = `
    [[content_rules]]
    name = "big-orders"
    phase = "input"
    pattern = "big"
    effect = "approve"
  `
  const { house, line } = await startWith({ tool: '', more: rule })

  const { result: task } = await callTool(line, 'charge', { order: 'big' })
  const answered = await answer(house, 'approve')
  const done = await until(line, task, 'completed')

  expect(answered).toBe(200)
  expect(textOf({ result: objectAt(done, 'result') })).toBe('charged big, time 1')
})

test('many who look at once have the approved call made once', async () => {
  const { house, effects, line } = await startWith()
  const { result: task } = await callTool(line, 'charge', { order: 'o1' })
  await answer(house, 'approve')

  await Promise.all(Array.from({ length: 8 }, () => look(line, task)))
  await until(line, task, 'completed')

  expect(effects.executions.total).toBe(1)
})

test('a task fails when its call is denied, and when nobody answers in time', async () => {
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const { house, effects, line } = await startWith({ clock, approvals: 'expires_ms = 60_000' })
  const { result: denied } = await callTool(line, 'charge', { order: 'o1' })
  await answer(house, 'deny')
  const { result: expired } = await callTool(line, 'charge', { order: 'o2' })

  const afterDenial = await look(line, denied)
  clock.skippedMs = 61_000
  const afterTime = await look(line, expired)

  expect(afterDenial).toMatchObject({
    status: 'failed',
    error: { message: expect.stringContaining('denied it'), data: { code: 'approvals/denied' } },
  })
  expect(afterTime).toMatchObject({ status: 'failed', error: { data: { code: 'approvals/expired' } } })
  expect(effects.executions.total).toBe(0)
})

test('a caller who may decide is asked in the task, and answers there', async () => {
  const { effects, line: plain } = await startWith({ approvals: 'who = "caller"' })
  const line = { ...plain, capabilities: { ...TASKS, ...FORMS } }
  const { result: task } = await callTool(line, 'charge', { order: 'o1' })

  const asking = await look(line, task)
  const inputResponses = { approval: { action: 'accept', content: { decision: 'approve' } } }
  await ask(line, 'tasks/update', { taskId: idOf(task), inputResponses })
  const done = await until(line, task, 'completed')

  expect(asking).toMatchObject({
    status: 'input_required',
    inputRequests: { approval: { method: 'elicitation/create' } },
  })
  expect(textOf({ result: objectAt(done, 'result') })).toBe('charged o1, time 1')
  expect(effects.executions.total).toBe(1)
})

test('whoever may not decide gets no further with an answer of their own', async () => {
  const { house, effects, line: plain } = await startWith()
  const line = { ...plain, capabilities: { ...TASKS, ...FORMS } }
  const { result: task } = await callTool(line, 'charge', { order: 'o1' })

  const inputResponses = { approval: { action: 'accept', content: { decision: 'approve' } } }
  await ask(line, 'tasks/update', { taskId: idOf(task), inputResponses })

  expect(await look(line, task)).toMatchObject({ status: 'working' })
  expect(await pending(house)).not.toBe('')
  expect(effects.executions.total).toBe(0)
})

test("somebody else's task is unknown, to look at and to cancel", async () => {
  const { house, line } = await startWith()
  const bob = await lineOf(house, 'bob@example.com')
  const { result: task } = await callTool(line, 'charge', { order: 'o1' })
  await answer(house, 'approve')

  const ofBob = await ask(bob, 'tasks/get', { taskId: idOf(task) })
  const cancelledByBob = await ask(bob, 'tasks/cancel', { taskId: idOf(task) })

  expect([ofBob.error?.message, cancelledByBob.error?.message]).toEqual([
    expect.stringContaining('Unknown task'),
    expect.stringContaining('Unknown task'),
  ])
})

test('a cancelled task is not made, whatever is answered later; the call made anew waits anew', async () => {
  const { house, effects, line } = await startWith()
  const { result: task } = await callTool(line, 'charge', { order: 'o1' })

  await ask(line, 'tasks/cancel', { taskId: idOf(task) })
  await answer(house, 'approve')
  const cancelled = await look(line, task)

  expect(cancelled).toMatchObject({ status: 'cancelled' })
  expect(effects.executions.total).toBe(0)
})

test('a server that asks in the middle of an approved call asks through the task', async () => {
  const leaky = await startLeakyServer({ eras: 'modern' })
  onTestFinished(() => leaky.close())
  const house = await openHouse({ toml: tomlOf('leaky', leaky.url, { tool: '"leaky/ask"' }) })
  const line = { ...(await lineOf(house, ALICE)), capabilities: { ...TASKS, ...FORMS } }
  const { result: task } = await callTool(line, 'ask')
  await answer(house, 'approve')

  const asking = await until(line, task, 'input_required')
  const inputResponses = { who: { action: 'accept', content: { name: 'Ada' } } }
  await ask(line, 'tasks/update', { taskId: idOf(task), inputResponses })
  const done = await until(line, task, 'completed')

  expect(Object.keys(objectAt(asking, 'inputRequests'))).toEqual(['who'])
  expect(textOf({ result: objectAt(done, 'result') })).toContain('thanks for Ada')
})

test('a session-era client is told which tools may be tasks, begins one, and waits for its result', async () => {
  const { house, effects, line } = await startWith()
  const session = await openSession({ ...line, capabilities: {} })
  const { result: listed } = await session.ask('tools/list')
  const begin = { name: 'charge', arguments: { order: 'o1' }, task: { ttl: 60_000 } }

  const { result } = await session.ask('tools/call', begin)
  const taskId = idOf(objectAt(result, 'task'))
  const waiting = await session.ask('tasks/get', { taskId })
  await answer(house, 'approve')
  const done = await session.ask('tasks/result', { taskId })
  const after = await session.ask('tasks/get', { taskId })

  const tools = z.array(z.object({ name: z.string(), execution: z.unknown().optional() })).parse(listed['tools'])
  expect(tools.find(({ name }) => name === 'charge')?.execution).toEqual({ taskSupport: 'optional' })
  expect(tools.find(({ name }) => name === 'lookup')?.execution).toBeUndefined()
  expect(waiting.result).toMatchObject({ status: 'working', taskId })
  expect(textOf(done)).toBe('charged o1, time 1')
  expect(after.result).toMatchObject({ status: 'completed' })
  expect(effects.executions.total).toBe(1)
})

test('a session-era client that asks for a task gets one, even where its call is approved already or was denied', async () => {
  const { house, line } = await startWith()
  const session = await openSession({ ...line, capabilities: {} })
  const begin = async (order: string) => {
    const { result } = await session.ask('tools/call', { name: 'charge', arguments: { order }, task: {} })
    return idOf(objectAt(result, 'task'))
  }
  await begin('approved')
  await answer(house, 'approve')
  await begin('denied')
  await answer(house, 'deny')

  const approved = await begin('approved')
  const denied = await begin('denied')

  expect(textOf(await session.ask('tasks/result', { taskId: approved }))).toBe('charged approved, time 1')
  expect((await session.ask('tasks/result', { taskId: denied })).error?.message).toContain('denied it')
})
