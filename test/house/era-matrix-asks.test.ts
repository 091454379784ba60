import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { stdioCommand } from '../fakes/stdio-programs.ts'
import { cells, startMatrix, type Cell, type Matrix } from './matrix/cells.ts'
import { connect, type Ability, type MatrixClient, type Said } from './matrix/clients.ts'
import { startHouse } from './start-house.ts'

const MISSING_SAMPLING = { requiredCapabilities: { sampling: {} } }
const NOBODY = { content: [{ type: 'text', text: 'nobody to ask' }], isError: false }

/** Servers that ask back in the middle of a call: over two eras, one call stays one call. */

let matrix: Matrix
beforeAll(async () => {
  matrix = await startMatrix()
})
afterAll(() => matrix[Symbol.asyncDispose]())

const eraOf = ({ upstream }: Cell) => (upstream.endsWith('modern') ? 'modern' : 'legacy')

describe.each(cells)('$client → $upstream upstream, in the gateway "$gateway"', (cell: Cell) => {
  const open: MatrixClient[] = []
  beforeEach(() => matrix.at(cell.upstream).received.clear())
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()))
  })

  async function connect(ability: Ability, answer?: (asked: Said) => JsonObject): Promise<MatrixClient> {
    const client = await matrix.connect(cell, { ability, ...(answer === undefined ? {} : { answer }) })
    open.push(client)
    return client
  }
  const callTool = async (client: MatrixClient, name: string, args?: JsonObject) =>
    textOf(await client.callTool(matrix.tool(cell, name), args))
  const upstreamCalls = () => matrix.at(cell.upstream).received.entries.filter(({ method }) => method === 'tools/call')
  /** A server of the session era keeps its one call open; a stateless one is called again with the answers. */
  const once = (rounds: number) => (eraOf(cell) === 'legacy' ? 1 : rounds + 1)

  test.each([
    {
      asks: 'by a form',
      tool: 'test_elicitation',
      args: { message: 'Who are you?' },
      methods: ['elicitation/create'],
      says: 'User response: action=accept, content={"username":"Ada","email":"Ada"}',
    },
    {
      asks: 'the model',
      tool: 'test_sampling',
      args: { prompt: 'Say something' },
      methods: ['sampling/createMessage'],
      says: 'LLM response: a sampled answer',
    },
    {
      asks: 'for roots',
      tool: 'test_input_required_result_list_roots',
      args: {},
      methods: ['roots/list'],
      says: 'Roots: file:///srv/here',
    },
    {
      asks: 'three things at once',
      tool: 'test_input_required_result_multiple_inputs',
      args: {},
      methods: ['elicitation/create', 'roots/list', 'sampling/createMessage'],
      says: 'All three inputs arrived',
    },
  ])('a tool that asks $asks gets its answer in the same call', async ({ tool, args, methods, says }) => {
    const client = await connect('able')

    const text = await callTool(client, tool, args)

    expect(text).toBe(says)
    expect(client.asked.entries.map(({ method }) => method).toSorted()).toEqual(methods)
    expect(upstreamCalls()).toHaveLength(once(1))
  })

  test('a tool may ask again', async () => {
    const client = await connect('able')

    const text = await callTool(client, 'test_input_required_result_multi_round')

    expect(text).toBe('Ada likes Ada')
    expect(client.asked.total).toBe(2)
    expect(upstreamCalls()).toHaveLength(once(2))
  })

  test.each(['decline', 'cancel'] as const)('a user who answers "%s" is heard', async (action) => {
    const client = await connect('form only', () => ({ action }))

    const text = await callTool(client, 'test_elicitation', { message: 'Who are you?' })

    expect(text).toContain(`action=${action}`)
    expect(upstreamCalls()).toHaveLength(once(1))
  })

  test('a question arrives with its schema as the server wrote it', async () => {
    const client = await connect('form only')

    await callTool(client, 'test_elicitation_sep1034_defaults')

    expect(client.asked.entries[0]?.params).toEqual(
      expect.objectContaining({
        message: 'Please check these values',
        requestedSchema: expect.objectContaining({
          properties: expect.objectContaining({
            age: { type: 'integer', description: 'Age', default: 30 },
            status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
          }),
        }),
      }),
    )
  })

  test('a prompt may ask too', async () => {
    const client = await connect('able')

    const name = matrix.prompt(cell, 'test_input_required_result_prompt')
    const { messages } = await client.request('prompts/get', { name })

    expect(JSON.stringify(messages)).toContain('Context: Ada')
  })

  test('progress before the question still arrives', async () => {
    const client = await connect('able')
    const steps: number[] = []

    const onprogress = ({ progress }: { progress: number }) => steps.push(progress)
    await client.callTool(matrix.tool(cell, 'test_streaming_elicitation'), {}, { onprogress })

    expect(steps[0]).toBe(1)
  })

  test('a page to visit is asked for, and the call goes on once the user agreed', async () => {
    const client = await connect('able')

    const isRefusedFirst = client.era === 'legacy' && eraOf(cell) === 'legacy'
    const args = { account: randomUUID() }
    const call = callTool(client, 'test_url_elicitation', args)
    const refusal = isRefusedFirst ? await call.catch((error: unknown) => error) : undefined
    const text = isRefusedFirst ? await callTool(client, 'test_url_elicitation', args) : await call

    const page = { mode: 'url', url: 'https://example.com/connect/fixture', message: 'Please connect your account' }
    expect(text).toBe('connected')
    expect(isRefusedFirst ? pagesOf(refusal) : client.asked.entries.map(({ params }) => params)).toEqual([
      expect.objectContaining(page),
    ])
  })

  test.each(['form only', 'bare'] as const)(
    'a client that cannot open pages (%s) is told the reason',
    async (ability) => {
      const client = await connect(ability)

      const refusal: unknown = await callTool(client, 'test_url_elicitation').catch((error: unknown) => error)

      expect(refusal).toMatchObject({ code: urlRefusal[`${client.era} → ${eraOf(cell)}`] })
      expect(client.asked.total).toBe(0)
    },
  )

  test.each([
    { tool: 'test_elicitation', args: { message: 'Who?' } },
    { tool: 'test_sampling', args: { prompt: 'Say something' } },
    { tool: 'test_input_required_result_list_roots', args: {} },
  ])('$tool fails for a client that cannot be asked, and is not asked', async ({ tool, args }) => {
    const client = await connect('bare')

    const outcome: unknown = await client.callTool(matrix.tool(cell, tool), args).catch((error: unknown) => error)

    // A stateless server says which capability it lacks; one of the session era answers with a tool error.
    expect(outcome).toMatchObject(eraOf(cell) === 'modern' ? { code: -32021 } : { isError: true })
    expect(client.asked.total).toBe(0)
  })
})

describe('a session-era server that asks without looking whether it may', () => {
  const outcomes = [
    { client: 'SDK v1', tool: 'insist', outcome: { isError: true } },
    { client: 'SDK v2 legacy', tool: 'insist', outcome: { isError: true } },
    { client: 'SDK v2 modern', tool: 'insist', outcome: { code: -32021, data: MISSING_SAMPLING } },
    { client: 'SDK v1', tool: 'manage', outcome: NOBODY },
    { client: 'SDK v2 modern', tool: 'manage', outcome: NOBODY },
  ] as const

  test.each(outcomes)('$client hears why "$tool" ended as it did', async ({ client: kind, tool, outcome }) => {
    const toml = `
      [[servers]]
      name = "pushy"
      transport = "stdio"
      command = ${JSON.stringify(stdioCommand('pushy'))}

      [[gateways]]
      slug = "demo"
      tools = ["pushy/*"]
    `
    await using house = await startHouse({ toml })
    await house.listed()
    const headers = { authorization: `Bearer ${await house.createKey({ user: 'ada@example.com', gateway: 'demo' })}` }
    await using client = await connect(kind, { url: `${house.url}/mcp/demo`, headers, ability: 'bare' })

    const ended: unknown = await client.callTool(tool).catch((error: unknown) => error)

    expect(ended).toMatchObject(outcome)
    expect(client.asked.total).toBe(0)
  })
})

/** With the address where a server gives it all the same; a stateless one only ever names the capability. */
const urlRefusal: Readonly<Record<string, number>> = {
  'legacy → legacy': -32042,
  'legacy → modern': -32021,
  'modern → legacy': -32021,
  'modern → modern': -32021,
}

function textOf({ content }: JsonObject): unknown {
  const [first] = Array.isArray(content) ? content : []
  return typeof first === 'object' && first !== null && 'text' in first ? first['text'] : content
}

function pagesOf(refusal: unknown): unknown {
  const data = typeof refusal === 'object' && refusal !== null && 'data' in refusal ? refusal.data : undefined
  return typeof data === 'object' && data !== null && 'elicitations' in data ? data.elicitations : refusal
}
