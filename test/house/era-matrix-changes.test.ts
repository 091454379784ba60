import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cells, startMatrix, upstreams, type Cell, type Matrix, type Upstream } from './matrix/cells.ts'
import { clientKinds, type MatrixClient } from './matrix/clients.ts'

/** What happens between and across requests: changes that must be told, and callers that go away. */

// One process for all: a change in another process is not seen by those who are in this one.
let matrix: Matrix
beforeAll(async () => {
  matrix = await startMatrix({ stdio: 'isolation = "shared"\nmax_processes = 1' })
})
afterAll(() => matrix[Symbol.asyncDispose]())

const open: MatrixClient[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()))
})
async function connect(cell: Cell): Promise<MatrixClient> {
  const client = await matrix.connect(cell)
  open.push(client)
  return client
}

const TOLD_WITHIN_MS = 10_000 // 2 s are promised, of a machine that has nothing else to do
const CANCELLED_WITHIN_MS = 1_000
const lists = ['tool', 'prompt', 'resource'] as const

describe.each(upstreams.map((upstream) => ({ upstream })))(
  'changed lists of the $upstream upstream',
  ({ upstream }) => {
    test.each(lists)('every client is told once for each changed %s, and nobody else is', async (list) => {
      const gateways = [upstream, 'mixed'] as const
      const concerned = clientKinds.flatMap((client) => gateways.map((gateway) => ({ client, upstream, gateway })))
      const other = otherThan(upstream)
      const bystanders = clientKinds.map((client) => ({ client, upstream: other, gateway: other }))
      const told = await Promise.all(concerned.map(connect))
      const untold = await Promise.all(bystanders.map(connect))
      await Promise.all([...told, ...untold].map((client) => client.listen()))
      const trigger = await connect({ client: 'SDK v2 legacy', upstream, gateway: upstream })

      const method = `notifications/${list}s/list_changed`
      for (const nth of [1, 2, 3]) {
        await trigger.callTool(`test_trigger_${list}_change`)
        await Promise.all(told.map((client) => heard(client, method, nth)))
      }

      expect(told.map((client) => countOf(client, method))).toEqual(told.map(() => 3))
      expect(untold.map((client) => countOf(client, method))).toEqual(untold.map(() => 0))
      await trigger.callTool(`test_trigger_${list}_change`)
      await Promise.all(told.map((client) => heard(client, method, 4)))
    })
  },
)

describe.each(cells)('$client → $upstream upstream, in the gateway "$gateway"', (cell: Cell) => {
  const seen = () => matrix.at(cell.upstream)
  const tool = (name: string) => matrix.tool(cell, name)
  beforeEach(() => {
    seen().calls.clear()
    seen().cancellations.clear()
  })

  test('a resource that is followed is told of once per change, until it is no longer followed', async () => {
    const uri = matrix.uri(cell, 'test://watched-resource')
    const follower = await connect(cell)
    const bystander = await connect(cell)
    await Promise.all([follower.listen([uri]), bystander.listen()])

    for (const nth of [1, 2, 3]) {
      await bystander.callTool(tool('test_update_watched_resource'), { text: `version ${nth}` })
      await heard(follower, UPDATED, nth)
    }
    const { contents } = await follower.request('resources/read', { uri })
    await follower.unfollow([uri])
    await bystander.callTool(tool('test_update_watched_resource'), { text: 'unseen' })
    await bystander.callTool(tool('test_simple_text'))

    expect(contents).toEqual([expect.objectContaining({ uri, text: 'version 3' })])
    expect(uris(follower)).toEqual([uri, uri, uri])
    expect(uris(bystander)).toEqual([])
  })

  test('a cancelled call is cancelled at its server within a second', async () => {
    const client = await connect(cell)
    const cancel = new AbortController()

    const call = client.callTool(tool('test_wait'), {}, { signal: cancel.signal })
    await seen().calls.until(({ tool: name }) => name === 'test_wait')
    cancel.abort()

    await expect(call).rejects.toThrow()
    await seen().cancellations.until(({ tool: name }) => name === 'test_wait', CANCELLED_WITHIN_MS)
  })

  test.each(['close', 'leave'] as const)('so is the call of a client that goes away (%s)', async (goAway) => {
    const client = await connect(cell)

    const call = client.callTool(tool('test_wait')).catch((error: unknown) => error)
    await seen().calls.until(({ tool: name }) => name === 'test_wait')
    await client[goAway]()

    expect(await call).toBeInstanceOf(Error)
    await seen().cancellations.until(({ tool: name }) => name === 'test_wait', CANCELLED_WITHIN_MS)
  })

  test('a cancelled call takes no other with it', async () => {
    const client = await connect(cell)
    const cancel = new AbortController()

    const doomed = client.callTool(tool('test_wait'), {}, { signal: cancel.signal }).catch(() => 'cancelled')
    const other = client.callTool(tool('test_wait'), { ms: 300 })
    await seen().calls.until(() => seen().calls.total >= 2)
    cancel.abort()

    expect(await doomed).toBe('cancelled')
    expect((await other)['content']).toEqual([{ type: 'text', text: 'waited 300 ms' }])
  })
})

const UPDATED = 'notifications/resources/updated'

function otherThan(upstream: Upstream): Upstream {
  return upstream === 'legacy' ? 'modern' : 'legacy'
}

function countOf(client: MatrixClient, method: string): number {
  return client.heard.entries.filter((said) => said.method === method).length
}

async function heard(client: MatrixClient, method: string, times: number): Promise<void> {
  await client.heard.until(() => countOf(client, method) >= times, TOLD_WITHIN_MS)
}

function uris(client: MatrixClient): unknown[] {
  return client.heard.entries.filter(({ method }) => method === UPDATED).map(({ params }) => params['uri'])
}
