import { createServer, type IncomingMessage, type Server } from 'node:http'
import { isJsonObject, isProblem, Problem, systemClock, type Clock, type JsonObject } from '#kernel'
import type { Log } from '#telemetry'
import {
  Payload,
  type Admission,
  type CallOutcome,
  type CallRequest,
  type Definition,
  type ListChange,
  type Tools,
} from '#tools'
import { createGatewayFace, type GatewayFace, type GatewayFaceDeps } from './face.ts'

/**
 * A small real `Tools` in memory, for tests of the face alone: two gateways (`demo` with keys, `open` without), a few
 * tools that use every way a call can go, one resource, one prompt.
 */
export class TinyTools implements Tools {
  readonly ended: string[] = []
  readonly announced: string[] = []
  readonly seen: CallRequest[] = []
  readonly subscriptions = new Map<string, Set<(params: JsonObject) => void>>()
  readonly keys = new Map([
    ['Bearer key-a', 'alice'],
    ['Bearer key-b', 'bob'],
  ])
  aborted = 0
  capabilities: JsonObject = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    completions: {},
    logging: {},
    extensions: { 'io.modelcontextprotocol/tasks': {} },
  }
  items: readonly Definition[] = TOOLS
  readonly #listeners = new Set<(kind: ListChange) => void>()
  readonly #tasks = new Map<string, { polls: number; answers: JsonObject | undefined }>()

  get listeners(): number {
    return this.#listeners.size
  }

  change(kind: ListChange): void {
    for (const listener of this.#listeners) listener(kind)
  }

  admit({ gateway, credentials }: Parameters<Tools['whyNoLonger']>[0]): Admission {
    if (gateway === 'open') return admissionOf(gateway, { userId: 'anonymous', keyId: null, gateways: ['*'] })
    if (gateway !== 'demo') throw new Problem(NOT_FOUND, `There is no gateway "${gateway}".`)
    const userId = this.keys.get(credentials.authorization ?? '')
    if (userId === undefined)
      throw new Problem(NO_KEY, 'Send "Authorization: Bearer <key>" with a key of this gateway.')
    return admissionOf(gateway, { userId, keyId: `key_${userId}`, gateways: [gateway] })
  }

  async requireScopes(): Promise<void> {}

  takesTokens(): boolean {
    return false
  }

  whyNoLonger(request: Parameters<Tools['whyNoLonger']>[0]): Problem | null {
    try {
      this.admit(request)
      return null
    } catch (error) {
      if (isProblem(error)) return error
      throw error
    }
  }

  onAccessChanged(): () => void {
    return () => {}
  }

  describe({ gateway }: Admission): ReturnType<Tools['describe']> {
    return { slug: gateway, title: 'Demo', instructions: 'Be kind.', capabilities: this.capabilities }
  }

  async list(_admission: Admission, kind: Parameters<Tools['list']>[1]): ReturnType<Tools['list']> {
    const lists = { tools: this.items, resources: RESOURCES, templates: [], prompts: PROMPTS }
    return await Promise.resolve({ items: lists[kind], missing: [] })
  }

  find(_admission: Admission, name: string): ReturnType<Tools['find']> {
    return this.items.find((item) => item['name'] === name) ?? null
  }

  async call(request: CallRequest): Promise<CallOutcome> {
    this.seen.push(request)
    if (this.seen.length > 1000) this.seen.length = 0
    const { name, uri, taskId } = request.params
    if (request.method === 'resources/read') return readResource(uri)
    if (request.method === 'prompts/get')
      return complete({ messages: [message(`Hello from ${request.session.userId}`)] })
    if (request.method === 'completion/complete') return complete({ completion: { values: ['one', 'two'] } })
    if (request.method !== 'tools/call') return this.#task(request, wordOf(taskId))
    const tool = typeof name === 'string' ? this.#tools.get(name) : undefined
    return tool === undefined ? failed(-32602, `There is no tool "${wordOf(name)}".`) : await tool(request)
  }

  async subscribe(wanted: Parameters<Tools['subscribe']>[0]): Promise<() => Promise<void>> {
    const { uri } = wanted
    const onUpdated = (params: JsonObject) => wanted.onUpdated(params)
    if (uri !== 'test://note') throw new Problem(NOT_FOUND, `There is no resource "${uri}".`)
    const followers = this.subscriptions.get(uri) ?? new Set()
    this.subscriptions.set(uri, followers.add(onUpdated))
    return async () => {
      await Promise.resolve(followers.delete(onUpdated))
    }
  }

  onListChanged(_admission: Admission, listener: (kind: ListChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async announce(_session: unknown, method: string): Promise<void> {
    await Promise.resolve(this.announced.push(method))
  }

  async endSession(sessionKey: string): Promise<void> {
    await Promise.resolve(this.ended.push(sessionKey))
  }

  readonly #tools = new Map<string, (request: CallRequest) => CallOutcome | Promise<CallOutcome>>([
    ['echo', ({ params }) => complete({ content: [text(JSON.stringify(params.arguments ?? null))] })],
    ['progress', report],
    ['ask', ask],
    ['open-page', openPage],
    ['slow', async ({ signal }) => await this.#untilAborted(signal)],
    ['big', () => ({ kind: 'complete', result: Payload.ofBytes(BIG) })],
    ['list-value', () => complete({ resultType: 'complete', content: [text('[1]')], structuredContent: [1] })],
    ['region', ({ params }) => complete({ content: [text(JSON.stringify(params.arguments))] })],
    ['job', (request) => this.#begin(request)],
    ['broken', () => Promise.reject(new Error('secret inside: hunter2'))],
  ])

  #begin({ task }: CallRequest): CallOutcome {
    if (task === undefined) return complete({ content: [text('done at once')] })
    const taskId = `task-${this.#tasks.size + 1}`
    this.#tasks.set(taskId, { polls: 0, answers: undefined })
    return { kind: 'task', task: describeTask(taskId, 'working') }
  }

  #task({ method, params }: CallRequest, taskId: string): CallOutcome {
    const task = this.#tasks.get(taskId)
    if (task === undefined) return failed(-32602, 'There is no such task.')
    if (method === 'tasks/cancel') return complete({})
    if (method === 'tasks/update') {
      task.answers = isJsonObject(params.inputResponses) ? params.inputResponses : {}
      return complete({})
    }
    task.polls += 1
    if (task.polls === 1) return complete(describeTask(taskId, 'working'))
    if (task.answers === undefined) {
      return complete({ ...describeTask(taskId, 'input_required'), inputRequests: { q: QUESTION } })
    }
    const result = { content: [text(JSON.stringify(task.answers))] }
    return complete({ ...describeTask(taskId, 'completed'), result })
  }

  async followTask(): ReturnType<Tools['followTask']> {
    throw new Problem(NOT_FOUND, 'Tasks cannot be followed here.')
  }

  async #untilAborted(signal: AbortSignal): Promise<CallOutcome> {
    const { promise, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (!signal.aborted) await promise
    this.aborted += 1
    return failed(-32603, 'The call was cancelled.')
  }
}

const NO_KEY = { code: 'tools/unauthenticated', status: 401, title: 'Authentication is needed' }
const NOT_FOUND = { code: 'tools/no-such-gateway', status: 404, title: 'There is no such gateway' }
const QUESTION = {
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message: 'Your name?',
    requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
  },
}
const PAGE = {
  method: 'elicitation/create',
  params: { mode: 'url', url: 'https://example.com/sign-in', message: 'Sign in' },
}
const BIG = Buffer.from(JSON.stringify({ content: [text('x'.repeat(2_000_000))] }, null, 2))

function tool(name: string, properties: JsonObject = {}): Definition {
  return { name, description: `The ${name} tool`, inputSchema: { type: 'object', properties } }
}
const TOOLS: readonly Definition[] = Object.freeze([
  ...['echo', 'progress', 'ask', 'open-page', 'slow', 'big', 'job', 'broken'].map((name) => tool(name)),
  { ...tool('list-value'), outputSchema: { type: 'array' } },
  tool('region', {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    size: { type: 'integer', 'x-mcp-header': 'Size' },
  }),
])
const RESOURCES: readonly Definition[] = Object.freeze([{ uri: 'test://note', name: 'note' }])
const PROMPTS: readonly Definition[] = Object.freeze([{ name: 'greet' }])

async function report({ port, wantsProgress }: CallRequest): Promise<CallOutcome> {
  port.progress({ progress: 1, total: 2 })
  port.message({ level: 'info', data: 'half done' })
  port.message({ level: 'debug', data: 'a detail' })
  port.progress({ progress: 2, total: 2 })
  return await Promise.resolve(complete({ content: [text(`progress ${String(wantsProgress)}`)] }))
}

async function ask(request: CallRequest): Promise<CallOutcome> {
  return await askFor(request, QUESTION)
}

async function openPage(request: CallRequest): Promise<CallOutcome> {
  return await askFor(request, PAGE)
}

async function askFor(request: CallRequest, question: typeof QUESTION | typeof PAGE): Promise<CallOutcome> {
  const known = request.inputResponses
  if (known !== undefined) {
    if (request.requestState !== 'state-1') return failed(-32602, 'This state is not ours.')
    return complete({ content: [text(JSON.stringify(known.q))] })
  }
  if (request.ask === undefined) return { kind: 'input', requests: { q: question }, requestState: 'state-1' }
  try {
    const answers = await request.ask({ q: question }, request.signal)
    return complete({ content: [text(JSON.stringify(answers.q))] })
  } catch (error) {
    return failed(-32603, error instanceof Error ? error.message : 'asking failed')
  }
}

function readResource(uri: unknown): CallOutcome {
  if (uri !== 'test://note') return failed(-32002, `There is no resource "${wordOf(uri)}".`)
  return complete({ contents: [{ uri, text: 'a note' }], ttlMs: 5, cacheScope: 'public' })
}

function describeTask(taskId: string, status: string): JsonObject {
  const at = '2026-01-01T00:00:00Z'
  return { taskId, status, createdAt: at, lastUpdatedAt: at, ttlMs: 60_000, pollIntervalMs: 100 }
}

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function message(words: string): JsonObject {
  return { role: 'user', content: text(words) }
}

function text(words: string): JsonObject {
  return { type: 'text', text: words }
}

function complete(result: JsonObject): CallOutcome {
  return { kind: 'complete', result: Payload.ofValue(result) }
}

function failed(code: number, words: string): CallOutcome {
  return { kind: 'error', error: { code, message: words } }
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }

/** A clock that tests move by hand. */
export class HandClock implements Clock {
  #now = Date.now()
  now(): number {
    return this.#now
  }
  advance(ms: number): void {
    this.#now += ms
  }
}

export type Served = {
  readonly url: string
  readonly port: number
  readonly tools: TinyTools
  readonly face: GatewayFace
  readonly requests: IncomingMessage[]
  [Symbol.asyncDispose](): Promise<void>
}

/** The face on a real server at a free loopback port, at `/mcp/{slug}`. */
export async function serveFace(deps: Partial<Omit<GatewayFaceDeps, 'tools'>> = {}): Promise<Served> {
  const tools = new TinyTools()
  let port = 0
  const house = { name: 'gatehouse', version: '0.0.0' }
  const publicUrl = () => `http://127.0.0.1:${port}`
  const face = createGatewayFace({ tools, clock: systemClock, log: silentLog, publicUrl, house, ...deps })
  const requests: IncomingMessage[] = []
  const server: Server = createServer((req, res) => {
    if (requests.length < 1000) requests.push(req)
    void face.handle(req, res, (req.url ?? '').split('/')[2] ?? '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  port = address !== null && typeof address === 'object' ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    tools,
    face,
    requests,
    [Symbol.asyncDispose]: async () => {
      await face.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function admissionOf(gateway: string, named: Pick<Admission, 'userId' | 'keyId' | 'gateways'>): Admission {
  const nobody = {
    kind: 'unknown',
    accountId: null,
    role: null,
    groups: [],
    claims: {},
    clientId: null,
    scopes: null,
  } as const
  return { gateway, ...named, principal: { ...named, ...nobody }, from: { face: 'mcp', remoteAddress: null } }
}
