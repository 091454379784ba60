import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { cells, startMatrix, type Cell, type Matrix } from './matrix/cells.ts'
import type { MatrixClient } from './matrix/clients.ts'
import { ask, eventually, listen, textOf, type Line, type OpenStream } from './talk.ts'

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

  test.runIf(tells(cell))('hears how its task goes on, under the id that it knows', async () => {
    const client = await connect()
    await client.listen()

    const task = await begin(client, 'slow_compute', { seconds: 0.2 })
    const last = await client.heard.until(
      ({ method, params }) => method === 'notifications/tasks/status' && params['status'] === 'completed',
    )

    const told = client.heard.entries.filter(({ method }) => method === 'notifications/tasks/status')
    expect(told).toHaveLength(1)
    expect(last.params).toEqual({ ...task, status: 'completed', lastUpdatedAt: expect.any(String) })
  })

  test('another session hears nothing of the task', async () => {
    const owner = await connect()
    const other = await connect()
    await Promise.all([owner.listen(), other.listen()])

    const task = await begin(owner, 'slow_compute', { seconds: 0.1 })
    await owner.request('tasks/result', { taskId: idOf(task) })
    await other.callTool(matrix.tool(cell, 'test_simple_text'))

    expect(other.heard.entries.filter(({ method }) => method.startsWith('notifications/tasks'))).toEqual([])
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

    test('hears how a task goes on, all that `tasks/get` would tell', async () => {
      const task = await begin('slow_compute', { seconds: 0.3, label: 'sum' })
      const stream = await listen(line(), { taskIds: [idOf(task)] })
      const told = await eventually(
        () => toldOf(stream),
        (states) => states.at(-1)?.['status'] === 'completed',
      )
      await stream.close()

      expect(stream.messages[0]?.['params']).toMatchObject({ notifications: { taskIds: [idOf(task)] } })
      expect(told.map(({ status }) => status)).toEqual(['working', 'completed'])
      const { resultType: _resultType, _meta, ...answered } = await look(task)
      const { _meta: _told, ...last } = told.at(-1) ?? {}
      expect(last).toEqual(answered)
    })

    test('is told of a task that waits for an answer, with the question', async () => {
      const task = await begin('confirm_delete', { filename: 'a.txt' })
      const stream = await listen(line(), { taskIds: [idOf(task)] })
      const asking = await eventually(
        () => toldOf(stream).find(({ status }) => status === 'input_required'),
        (found) => found !== undefined,
      )
      await ask(line(), 'tasks/cancel', { taskId: idOf(task) })
      await eventually(
        () => toldOf(stream).at(-1),
        (last) => last?.['status'] === 'cancelled',
      )
      await stream.close()

      expect(Object.values(objectAt(asking ?? {}, 'inputRequests'))).toEqual([
        expect.objectContaining({ method: 'elicitation/create' }),
      ])
    })

    test('without the extension, listening to tasks is refused with what is missing', async () => {
      const task = await begin('slow_compute', { seconds: 0 })
      const bare = { ...line(), capabilities: {} }
      const { status, message } = await ask(bare, 'subscriptions/listen', { notifications: { taskIds: [idOf(task)] } })

      expect(status).toBe(400)
      expect(message['error']).toMatchObject({
        code: -32021,
        data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
      })
    })

    test('somebody else may not listen to the task, nor learn that there is one', async () => {
      const task = await begin('slow_compute', { seconds: 60 })
      const key = await matrix.house.createKey({ user: 'eve@example.com', gateway: cell.gateway })
      const stream = await listen({ ...line(), headers: { authorization: `Bearer ${key}` } }, { taskIds: [idOf(task)] })
      await stream.ended
      await ask(line(), 'tasks/cancel', { taskId: idOf(task) })

      expect(stream.messages[0]?.['params']).toMatchObject({ notifications: {} })
      expect(stream.messages.map(({ method }) => method)).toEqual([
        'notifications/subscriptions/acknowledged',
        undefined,
      ])
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

/** Everything an open stream was told of tasks. */
function toldOf({ messages }: OpenStream): JsonObject[] {
  return messages.filter(({ method }) => method === 'notifications/tasks').map((message) => objectAt(message, 'params'))
}

/** The SDK serves no `taskIds` over stdio, and a shared stdio process is no session: such servers tell of no tasks. */
function tells({ upstream }: Cell): boolean {
  return upstream !== 'stdio-modern'
}

function idOf({ taskId }: JsonObject): string {
  if (typeof taskId !== 'string') throw new Error('there is no task here')
  return taskId
}

function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key]
  return isJsonObject(value) ? value : {}
}
