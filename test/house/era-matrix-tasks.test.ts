import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { cells, startMatrix, type Cell, type Matrix } from './matrix/cells.ts'
import type { MatrixClient } from './matrix/clients.ts'
import { ask, eventually, textOf, type Line } from './talk.ts'

/**
 * Tasks in both generations: part of 2025-11-25, where the caller asks for one, and an extension of 2026-07-28, where
 * the server decides. No SDK follows tasks of the extension, so there the messages are written out.
 */

let matrix: Matrix
beforeAll(async () => {
  matrix = await startMatrix()
})
afterAll(() => matrix[Symbol.asyncDispose]())

const legacyCells = cells.filter(({ client }) => client !== 'SDK v2 modern')
const modernCells = cells.filter(({ client }) => client === 'SDK v2 modern')
const TASKS = 'io.modelcontextprotocol/tasks'

describe.each(legacyCells)('$client with tasks → $upstream upstream, in the gateway "$gateway"', (cell: Cell) => {
  const open: MatrixClient[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()))
  })
  async function connect(): Promise<MatrixClient> {
    const client = await matrix.connect(cell)
    open.push(client)
    return client
  }
  async function begin(client: MatrixClient, tool: string, args: JsonObject = {}): Promise<JsonObject> {
    const params: JsonObject = { name: matrix.tool(cell, tool), arguments: args, task: { ttl: 60_000 } }
    return objectAt(await client.request('tools/call', params), 'task')
  }
  const statusOf = async (client: MatrixClient, task: JsonObject) =>
    (await client.request('tasks/get', { taskId: idOf(task) }))['status']

  test('is offered tasks', async () => {
    const { serverCapabilities } = await connect()

    expect(serverCapabilities['tasks']).toEqual({ list: {}, cancel: {}, requests: { tools: { call: {} } } })
  })

  test('begins a task, sees it in its list and fetches its result', async () => {
    const client = await connect()

    const task = await begin(client, 'slow_compute', { seconds: 0.2, label: 'sum' })
    const tasks: unknown = (await client.request('tasks/list'))['tasks']
    const result = await client.request('tasks/result', { taskId: idOf(task) })

    expect(task).toEqual(expect.objectContaining({ status: 'working', createdAt: expect.any(String) }))
    expect(tasks).toEqual([expect.objectContaining({ taskId: idOf(task) })])
    expect(textOf({ result })).toBe('sum: computed for 0.2 s')
    expect(objectAt(objectAt(result, '_meta'), 'io.modelcontextprotocol/related-task')).toEqual({
      taskId: task['taskId'],
    })
    expect(await statusOf(client, task)).toBe('completed')
  })

  test('is asked what the task wants to know', async () => {
    const client = await connect()

    const task = await begin(client, 'confirm_delete', { filename: 'a.txt' })
    const result = await client.request('tasks/result', { taskId: idOf(task) })

    expect(textOf({ result })).toBe('deleted')
    expect(client.asked.entries.map(({ params }) => params['message'])).toEqual(['Delete a.txt?'])
  })

  test('cancels a task', async () => {
    const client = await connect()

    const task = await begin(client, 'slow_compute', { seconds: 60 })
    await client.request('tasks/cancel', { taskId: idOf(task) })

    expect(await statusOf(client, task)).toBe('cancelled')
  })

  test('learns how a task failed', async () => {
    const client = await connect()

    const failed = await begin(client, 'failing_job')
    const broken = await begin(client, 'protocol_error_job')
    const result = await client.request('tasks/result', { taskId: idOf(failed) })

    expect(result['isError']).toBe(true)
    await expect(client.request('tasks/result', { taskId: idOf(broken) })).rejects.toMatchObject({
      code: -32603,
      message: expect.stringContaining('The job broke down'),
    })
  })

  test('another session does not see the task', async () => {
    const owner = await connect()
    const other = await connect()

    await begin(owner, 'slow_compute', { seconds: 0 })

    expect((await other.request('tasks/list'))['tasks']).toEqual([])
  })
})

describe.each(modernCells)(
  'a modern client with tasks → $upstream upstream, in the gateway "$gateway"',
  (cell: Cell) => {
    const line = (): Line => ({
      url: matrix.urlOf(cell.gateway),
      headers: matrix.headers(cell.gateway),
      capabilities: { elicitation: { form: {} }, extensions: { [TASKS]: {} } },
    })
    async function begin(tool: string, args: JsonObject = {}): Promise<JsonObject> {
      const { result, text } = await ask(line(), 'tools/call', { name: matrix.tool(cell, tool), arguments: args })
      expect(result['resultType'], text).toBe('task')
      return result
    }
    const look = async (task: JsonObject) => (await ask(line(), 'tasks/get', { taskId: idOf(task) })).result
    const until = (task: JsonObject, status: string) =>
      eventually(
        () => look(task),
        (found) => found['status'] === status,
      )

    test('is told that the gateway has tasks', async () => {
      const { result } = await ask(line(), 'server/discover')

      expect(objectAt(objectAt(result, 'capabilities'), 'extensions')[TASKS]).toEqual({})
      expect(objectAt(result, 'capabilities')['tasks']).toBeUndefined()
    })

    test('finds the result in the task', async () => {
      const task = await begin('slow_compute', { seconds: 0.2, label: 'sum' })
      const done = await until(task, 'completed')

      expect(task).toEqual(
        expect.objectContaining({
          status: 'working',
          createdAt: expect.any(String),
          lastUpdatedAt: expect.any(String),
        }),
      )
      expect('ttlMs' in task).toBe(true)
      expect(done['taskId']).toBe(task['taskId'])
      expect(textOf({ result: objectAt(done, 'result') })).toBe('sum: computed for 0.2 s')
    })

    test('answers what the task wants to know', async () => {
      const task = await begin('confirm_delete', { filename: 'a.txt' })
      const asking = await until(task, 'input_required')
      const [[key, question] = ['', undefined]] = Object.entries(objectAt(asking, 'inputRequests'))
      const inputResponses = { [key]: { action: 'accept', content: { confirm: true } } }
      await ask(line(), 'tasks/update', { taskId: idOf(task), inputResponses })
      const done = await until(task, 'completed')

      expect(question).toEqual(
        expect.objectContaining({
          method: 'elicitation/create',
          params: expect.objectContaining({ message: 'Delete a.txt?' }),
        }),
      )
      expect(textOf({ result: objectAt(done, 'result') })).toBe('deleted')
    })

    test('cancels a task', async () => {
      const task = await begin('slow_compute', { seconds: 60 })
      await ask(line(), 'tasks/cancel', { taskId: idOf(task) })

      await until(task, 'cancelled')
    })

    test('learns how a task failed', async () => {
      const failed = await until(await begin('failing_job'), 'completed')
      const broken = await until(await begin('protocol_error_job'), 'failed')

      expect(objectAt(failed, 'result')['isError']).toBe(true)
      expect(broken['error']).toEqual(
        expect.objectContaining({ code: -32603, message: expect.stringContaining('The job broke down') }),
      )
    })
  },
)

describe.each(cells)('$client without tasks → $upstream upstream, in the gateway "$gateway"', (cell: Cell) => {
  test('a tool that may run as a task runs inside the call', async () => {
    await using client = await matrix.connect(cell)

    const result = await client.callTool(matrix.tool(cell, 'slow_compute'), { seconds: 0, label: 'sum' })

    expect(textOf({ result })).toBe('sum: computed for 0 s')
  })

  test('a tool that may run as a task may ask inside the call', async () => {
    await using client = await matrix.connect(cell)

    const result = await client.callTool(matrix.tool(cell, 'confirm_delete'), { filename: 'a.txt' })

    expect(textOf({ result })).toBe('deleted')
  })

  test('a tool that only runs as a task is waited for, or its server says what a stateless caller lacks', async () => {
    await using client = await matrix.connect(cell)
    const isStateless = client.era === 'modern' && cell.upstream.endsWith('modern')

    const outcome: unknown = await client.callTool(matrix.tool(cell, 'failing_job')).catch((error: unknown) => error)

    const waitedFor = { isError: true, content: [{ type: 'text', text: 'The job failed, as it always does' }] }
    expect(outcome).toMatchObject(isStateless ? { code: -32021 } : waitedFor)
  })
})

function idOf({ taskId }: JsonObject): string {
  if (typeof taskId !== 'string') throw new Error('there is no task here')
  return taskId
}

function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key]
  return isJsonObject(value) ? value : {}
}
