/**
 * The least of a client of each era, on `fetch`, for tests that need to say exactly what goes over the wire, or to say
 * it hundreds of times. What a real client does is tested with the real ones (`test/fakes/connect.ts`).
 */
import * as z from 'zod'
import { isJsonObject, type JsonObject } from '#kernel'

/** Where to talk, and as whom. */
export type Line = {
  readonly url: string
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly capabilities?: JsonObject
}

export type Heard = {
  readonly status: number
  readonly headers: Headers
  /** The whole body as text. */
  readonly text: string
  /** The response message; empty when there was none. */
  readonly message: JsonObject
  readonly result: JsonObject
  readonly error: { readonly code: number; readonly message: string } | undefined
}

const PREFIX = 'io.modelcontextprotocol/'
const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}
let lastId = 0

/** The gateway's address in a house. */
export function gatewayUrl(house: { url: string }, slug: string): string {
  return `${house.url}/mcp/${slug}`
}

/** One request of the stateless era. */
export function ask(
  line: Line,
  method: string,
  params: JsonObject = {},
  options: { meta?: JsonObject; signal?: AbortSignal } = {},
): Promise<Heard> {
  const named = params[NAMED_BY[method] ?? '']
  const headers = {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(typeof named === 'string' ? { 'mcp-name': named } : {}),
  }
  const _meta = {
    [`${PREFIX}protocolVersion`]: '2026-07-28',
    [`${PREFIX}clientInfo`]: { name: 'test', version: '1' },
    [`${PREFIX}clientCapabilities`]: line.capabilities ?? {},
    ...options.meta,
  }
  const message = { jsonrpc: '2.0', id: (lastId += 1), method, params: { ...params, _meta } }
  return post(line, { headers, body: JSON.stringify(message), ...signalOf(options) })
}

/** One call of a tool in the stateless era. */
export function callTool(
  line: Line,
  name: string,
  args: JsonObject = {},
  options: { retry?: JsonObject; meta?: JsonObject; signal?: AbortSignal } = {},
): Promise<Heard> {
  return ask(line, 'tools/call', { name, arguments: args, ...options.retry }, options)
}

/** The names in a `tools/list` of the stateless era. */
export async function toolNames(line: Line): Promise<string[]> {
  const { result } = await ask(line, 'tools/list')
  return z
    .object({ tools: z.array(z.object({ name: z.string() })) })
    .parse(result)
    .tools.map(({ name }) => name)
}

/** The servers that a list says are missing, with their state and the reason. */
export async function missingServers(line: Line) {
  const { result } = await ask(line, 'tools/list')
  const meta = isJsonObject(result['_meta']) ? result['_meta'] : {}
  return z
    .array(z.object({ server: z.string(), state: z.string(), reason: z.string() }).loose())
    .parse(meta['gatehouse/missing'] ?? [])
}

/** A session of a 2025 client; `ask` speaks in it. */
export async function openSession(line: Line, protocolVersion = '2025-11-25') {
  const params = {
    protocolVersion,
    capabilities: line.capabilities ?? {},
    clientInfo: { name: 'test-legacy', version: '1' },
  }
  const opened = await say(line, 'initialize', params)
  const id = opened.headers.get('mcp-session-id')
  if (id === null) throw new Error(`no session was opened: ${opened.status} ${opened.text}`)
  const headers = { ...line.headers, 'mcp-session-id': id, 'mcp-protocol-version': protocolVersion }
  return {
    id,
    headers,
    /** `at` names another replica's address. */
    ask: (method: string, asked: JsonObject = {}, at: Partial<Line> = {}) =>
      say({ ...line, ...at, headers: { ...headers, ...at.headers } }, method, asked),
    call: (name: string, args: JsonObject = {}, at: Partial<Line> = {}) =>
      say({ ...line, ...at, headers: { ...headers, ...at.headers } }, 'tools/call', { name, arguments: args }),
  }
}

function say(line: Line, method: string, params: JsonObject): Promise<Heard> {
  const message = { jsonrpc: '2.0', id: (lastId += 1), method, params }
  return post(line, { body: JSON.stringify(message) })
}

/** Posts any body. Header values of `line` win over those of the request. */
export async function post(
  line: Line,
  request: { body: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string>; signal?: AbortSignal },
): Promise<Heard> {
  const response = await fetch(line.url, {
    method: 'POST',
    body: request.body,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(line.key === undefined ? {} : { authorization: `Bearer ${line.key}` }),
      ...request.headers,
      ...line.headers,
    },
    ...signalOf(request),
  })
  return hear(response.status, response.headers, await response.text())
}

function hear(status: number, headers: Headers, text: string): Heard {
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true
  const texts = isStream ? [...text.matchAll(/^data: (.+)$/gm)].map(([, line = '']) => line) : [text]
  const messages = texts.map(parse).filter(isJsonObject)
  const message = messages.findLast((one) => one['id'] !== undefined && one['method'] === undefined) ?? {}
  const result = isJsonObject(message['result']) ? message['result'] : {}
  const error = z.object({ code: z.number(), message: z.string() }).safeParse(message['error'])
  return { status, headers, text, message, result, error: error.data }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function signalOf({ signal }: { signal?: AbortSignal }) {
  return signal === undefined ? {} : { signal }
}

/** The first text of a tool's result. */
export function textOf({ result }: Pick<Heard, 'result'>): string {
  const content = z.array(z.object({ text: z.string().optional() }).loose()).safeParse(result['content'])
  return content.data?.[0]?.text ?? ''
}

/** Asks again, a moment apart, until the answer is good; fails with the last one when the time is over. */
export async function eventually<T>(
  look: () => Promise<T> | T,
  isGood: (value: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    const value = await look()
    if (isGood(value)) return value
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms; last: ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** An open event stream; `messages` grows while it is open. */
export type OpenStream = {
  readonly status: number
  readonly messages: readonly JsonObject[]
  readonly ended: Promise<void>
  close(): Promise<void>
}

/** `subscriptions/listen` of the stateless era. Resolves when the gateway has acknowledged it. */
export async function listen(line: Line, notifications: JsonObject): Promise<OpenStream> {
  const _meta = {
    [`${PREFIX}protocolVersion`]: '2026-07-28',
    [`${PREFIX}clientInfo`]: { name: 'test', version: '1' },
    [`${PREFIX}clientCapabilities`]: line.capabilities ?? {},
  }
  const message = {
    jsonrpc: '2.0',
    id: (lastId += 1),
    method: 'subscriptions/listen',
    params: { notifications, _meta },
  }
  const stream = await openStream(line, {
    method: 'POST',
    body: JSON.stringify(message),
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen', ...line.headers },
  })
  await eventually(
    () => stream.messages.length,
    (count) => count > 0,
  )
  return stream
}

/** The stream of a session for what belongs to no call. */
export function listenInSession(line: Line, session: { headers: Readonly<Record<string, string>> }) {
  return openStream(line, { method: 'GET', headers: { ...session.headers } })
}

async function openStream(
  line: Line,
  init: { method: string; headers: Record<string, string>; body?: string },
): Promise<OpenStream> {
  const stop = new AbortController()
  const response = await fetch(line.url, {
    ...init,
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...(line.key === undefined ? {} : { authorization: `Bearer ${line.key}` }),
      ...init.headers,
    },
    signal: stop.signal,
  })
  const messages: JsonObject[] = []
  const ended = collect(response, messages).catch(() => undefined) // our own abort, or a gateway that went away
  return {
    status: response.status,
    messages,
    ended,
    close: async () => {
      stop.abort()
      await ended
    },
  }
}

async function collect(response: Response, messages: JsonObject[]): Promise<void> {
  let rest = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    messages.push(
      ...lines
        .filter((one) => one.startsWith('data: '))
        .map((one) => parse(one.slice(6)))
        .filter(isJsonObject),
    )
  }
}

/** How many messages with this method have come. */
export function countOf(stream: OpenStream, method: string): number {
  return stream.messages.filter((message) => message['method'] === method).length
}
