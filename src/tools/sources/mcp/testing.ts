import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { Agent } from 'undici'
import { systemClock, type JsonObject } from '#kernel'
import type { Egress } from '#http'
import type { Log } from '#telemetry'
import { serverConfig, type HttpServerConfig, type ServerConfigInput } from '../../config.ts'
import type { CallerPort, CallerSession, Reply, Source, SourceCall } from '../../source.ts'
import type { SourceDeps } from '../deps.ts'
import { createHttpSource } from './http-source.ts'

/** What the tests of this folder share: a way out without a guard, a source on a URL, a caller with ears. */

export function testEgress(): Egress {
  return {
    open({ connections = 128 }) {
      const dispatcher = new Agent({ connections })
      return {
        dispatcher,
        request: () => Promise.reject(new Error('not used here')),
        close: () => dispatcher.destroy(),
      }
    },
  }
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

export type Heard = { listChanged: number; connection: string[] }

export function testDeps(heard: Heard = { listChanged: 0, connection: [] }): SourceDeps {
  return {
    clock: systemClock,
    egress: testEgress(),
    log: silentLog,
    events: {
      listChanged: () => {
        heard.listChanged += 1
      },
      connection: (state) => heard.connection.push(state),
    },
    house: { name: 'gatehouse', version: '0.0.0' },
  }
}

export type TestSource = Source & { readonly heard: Heard; [Symbol.asyncDispose](): Promise<void> }

export function httpSource(url: string, more: Partial<HttpServerConfig> = {}, deps?: SourceDeps): TestSource {
  const input: ServerConfigInput = { transport: 'http', name: 'under-test', url }
  const config = serverConfig.parse({ ...input, ...more })
  if (config.transport !== 'http') throw new Error('not an http server')
  const heard: Heard = { listChanged: 0, connection: [] }
  return disposable(createHttpSource({ config, trusted: true }, deps ?? testDeps(heard)), heard)
}

export function disposable(source: Source, heard: Heard): TestSource {
  const bound: Source = {
    sync: (signal) => source.sync(signal),
    call: (call, port) => source.call(call, port),
    subscribe: (subscription) => {
      if (source.subscribe === undefined) throw new Error('this source has no subscriptions')
      return source.subscribe(subscription)
    },
    announce: async (...announcement) => source.announce?.(...announcement),
    endSession: (key) => source.endSession(key),
    usage: () => source.usage(),
    close: () => source.close(),
  }
  return { ...bound, heard, [Symbol.asyncDispose]: () => source.close() }
}

export const ABLE: JsonObject = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {} },
  roots: {},
}

export function caller(more: Partial<CallerSession> = {}): CallerSession {
  return {
    key: 'session-1',
    era: 'modern',
    userId: 'alice@example.com',
    clientInfo: { name: 'test-client', version: '1' },
    clientCapabilities: ABLE,
    ...more,
  }
}

export function toolCall(name: string, args: JsonObject = {}, more: Partial<SourceCall> = {}): SourceCall {
  return {
    method: 'tools/call',
    params: { name, arguments: args },
    session: caller(),
    wantsProgress: false,
    signal: new AbortController().signal,
    timeoutMs: 10_000,
    ...more,
  }
}

export type TestPort = CallerPort & {
  readonly progressed: JsonObject[]
  readonly messages: JsonObject[]
  readonly notified: { method: string; params: JsonObject }[]
}

export function testPort(): TestPort {
  const progressed: JsonObject[] = []
  const messages: JsonObject[] = []
  const notified: { method: string; params: JsonObject }[] = []
  return {
    progressed,
    messages,
    notified,
    progress: (params) => void progressed.push(params),
    message: (params) => void messages.push(params),
    notify: (method, params) => void notified.push({ method, params }),
  }
}

/** The text of a complete reply; throws for any other. */
export function textOf(reply: Reply): string {
  if (reply.kind !== 'complete') throw new Error(`the reply is ${JSON.stringify(reply)}`)
  const { content } = reply.result.value()
  const first: unknown = Array.isArray(content) ? content[0] : undefined
  if (typeof first !== 'object' || first === null || !('text' in first)) throw new Error('the reply has no text')
  return String(first.text)
}

export function inputOf(reply: Reply): Extract<Reply, { kind: 'input' }> & { state: string } {
  if (reply.kind !== 'input' || reply.state === undefined) throw new Error(`the reply is ${JSON.stringify(reply)}`)
  return { ...reply, state: reply.state }
}

export type TestServer = {
  readonly url: string
  readonly port: number
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A server of ours on loopback; a port may be named to come back at the same address. */
export async function listenOn(handler: RequestListener, port = 0): Promise<TestServer> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${address.port}/mcp`, port: address.port, close, [Symbol.asyncDispose]: close }
}

export type RpcBody = {
  id?: string | number
  method?: string
  params?: JsonObject
  result?: JsonObject
  error?: JsonObject
}
export type RpcExchange = { readonly req: IncomingMessage; readonly res: ServerResponse; readonly body: RpcBody }

/** Answers raw JSON-RPC over HTTP: for servers that must misbehave in a way that no SDK does. */
export function rawServer(answer: (exchange: RpcExchange) => void, port = 0): Promise<TestServer> {
  return listenOn((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      answer({ req, res, body: text === '' ? {} : JSON.parse(text) })
    })
  }, port)
}

export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

export function sendResult(
  res: ServerResponse,
  id: unknown,
  result: unknown,
  headers: Record<string, string> = {},
): void {
  sendJson(res, 200, { jsonrpc: '2.0', id, result }, headers)
}

export function openEvents(res: ServerResponse): (message: object, id?: string) => void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  res.flushHeaders()
  return (message, id) => {
    res.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`)
  }
}
