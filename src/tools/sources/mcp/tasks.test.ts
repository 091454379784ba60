import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import type { Reply, SourceCall } from '../../source.ts'
import { caller, httpSource, inputOf, testPort, textOf, toolCall, type TestSource } from './testing.ts'
import { startEverything, type EverythingServer } from './testing-everything.ts'

let server: EverythingServer
const never = new AbortController().signal

beforeAll(async () => {
  server = await startEverything('streamableHttp')
})
afterAll(() => server[Symbol.asyncDispose]())

const research = (args: JsonObject, more: Partial<SourceCall> = {}) => toolCall('simulate-research-query', args, more)

function taskIdOf(reply: Reply): string {
  if (reply.kind !== 'task') throw new Error(`the reply is ${JSON.stringify(reply)}`)
  const { taskId } = reply.task
  if (typeof taskId !== 'string') throw new Error('the task has no id')
  return taskId
}

async function taskOf(
  source: TestSource,
  params: JsonObject,
  method: SourceCall['method'] = 'tasks/get',
): Promise<JsonObject> {
  const reply = await source.call({ ...toolCall(''), method, params }, testPort())
  if (reply.kind !== 'complete') throw new Error(`the reply is ${JSON.stringify(reply)}`)
  return reply.result.value()
}

/** Looks at the task until it has this status. */
async function until(source: TestSource, taskId: string, status: string): Promise<JsonObject> {
  const task = await taskOf(source, { taskId })
  if (task['status'] === status) return task
  await new Promise((resolve) => setTimeout(resolve, 200))
  return until(source, taskId, status)
}

describe('tasks of a session-era server', () => {
  test('are tasks of the extension for a caller that understands them, with their questions', async () => {
    await using source = httpSource(server.url)
    await source.sync(never)

    const reply = await source.call(
      research({ topic: 'python', ambiguous: true }, { task: { mode: 'may' } }),
      testPort(),
    )
    const taskId = taskIdOf(reply)
    const waiting = await until(source, taskId, 'input_required')
    const requests = isJsonObject(waiting['inputRequests']) ? waiting['inputRequests'] : {}
    const [key = ''] = Object.keys(requests)
    const inputResponses = { [key]: { action: 'accept', content: { interpretation: 'snake' } } }
    await taskOf(source, { taskId, inputResponses }, 'tasks/update')
    const ended = await until(source, taskId, 'completed')

    expect(reply).toMatchObject({ task: { status: 'working', ttlMs: 300_000, pollIntervalMs: 1_000 } })
    expect(requests[key]).toMatchObject({ method: 'elicitation/create' })
    expect(JSON.stringify(ended['result'])).toContain('snake')
  })

  test('are ordinary calls for a caller that does not, and ask in between', async () => {
    await using source = httpSource(server.url)
    await source.sync(never)
    const session = caller({ clientCapabilities: { elicitation: {} } })
    const call = research({ topic: 'python', ambiguous: true }, { session })

    const asked = inputOf(await source.call(call, testPort()))
    const [key = ''] = Object.keys(asked.requests)
    const inputResponses = { [key]: { action: 'accept', content: { interpretation: 'comedy' } } }
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())

    expect(textOf(reply)).toContain('comedy')
  })

  test('a caller waits for a task however long it is silent', async () => {
    await using source = httpSource(server.url)
    await source.sync(never)
    const session = caller({ clientCapabilities: {} })

    const reply = await source.call(
      research({ topic: 'x', ambiguous: false }, { session, timeoutMs: 1_800 }),
      testPort(),
    )

    expect(textOf(reply)).toContain('Research Report')
  })

  test('are cancelled', async () => {
    await using source = httpSource(server.url)
    await source.sync(never)
    const taskId = taskIdOf(
      await source.call(research({ topic: 'x' }, { task: { mode: 'must', ttlMs: 60_000 } }), testPort()),
    )

    await taskOf(source, { taskId }, 'tasks/cancel')

    expect(await taskOf(source, { taskId })).toMatchObject({ status: 'cancelled' })
  })

  test('an unknown task is the error of the server', async () => {
    await using source = httpSource(server.url)

    const reply = await source.call({ ...toolCall(''), method: 'tasks/get', params: { taskId: 'nothing' } }, testPort())

    expect(reply).toMatchObject({ kind: 'error', error: { code: -32602 } })
  })
})
