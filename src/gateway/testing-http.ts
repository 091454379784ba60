import { request, type IncomingHttpHeaders } from 'node:http'

export type RawReply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }
export type RawRequest = {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
}

/** One plain HTTP exchange; `host` and `origin` are sent as given. */
export async function send(wanted: RawRequest): Promise<RawReply> {
  const stream = await open(wanted)
  const text = await stream.rest()
  return { status: stream.status, headers: stream.headers, text }
}

/** An HTTP response that is read as it comes, for event streams. */
export type OpenReply = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The text so far as soon as it holds `part`. */
  until(part: string): Promise<string>
  rest(): Promise<string>
  cut(): void
}

export async function open(wanted: RawRequest): Promise<OpenReply> {
  const { promise, resolve, reject } = Promise.withResolvers<OpenReply>()
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries({ ...JSON_HEADERS, ...wanted.headers })) {
    if (value !== '') headers[name] = typeof value === 'string' ? value : [...value]
  }
  const req = request(wanted.url, { method: wanted.method ?? 'POST', headers, agent: false }, (res) => {
    let text = ''
    const waiting = new Set<() => void>()
    const wake = () => waiting.forEach((check) => check())
    const ended = new Promise<void>((done) => res.once('close', done))
    void ended.then(wake)
    res.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      wake()
    })
    res.on('error', () => {})
    resolve({
      status: res.statusCode ?? 0,
      headers: res.headers,
      cut: () => req.destroy(),
      rest: async () => {
        await ended
        return text
      },
      until: async (part) => {
        const seen = Promise.withResolvers<string>()
        const check = () => {
          if (text.includes(part)) seen.resolve(text)
          else if (res.destroyed) seen.reject(new Error(`the stream ended without "${part}": ${text}`))
        }
        waiting.add(check)
        check()
        return await seen.promise.finally(() => waiting.delete(check))
      },
    })
  })
  req.on('error', reject)
  req.end(wanted.body)
  return await promise
}

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** A modern request with everything a well-behaved client sends. */
export function modern(
  method: string,
  params: object = {},
  more: { id?: number | string; capabilities?: object } = {},
) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': more.capabilities ?? {},
    'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
    ...('_meta' in params ? (params._meta ?? {}) : {}),
  }
  const body = { jsonrpc: '2.0', id: more.id ?? 1, method, params: { ...params, _meta } }
  const named = 'name' in params ? params.name : 'uri' in params ? params.uri : undefined
  const headers: Record<string, string> = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method }
  if (typeof named === 'string') headers['mcp-name'] = named
  return { headers, body: JSON.stringify(body) }
}

export function legacy(method: string, params: object = {}, id: number | string = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params })
}

/** Begins a session and gives the headers of its requests. */
export async function beginSession(
  url: string,
  more: { headers?: Record<string, string>; capabilities?: object; version?: string } = {},
): Promise<Record<string, string>> {
  const params = {
    protocolVersion: more.version ?? '2025-11-25',
    capabilities: more.capabilities ?? {},
    clientInfo: { name: 't', version: '1' },
  }
  const reply = await send({ url, headers: more.headers ?? {}, body: legacy('initialize', params) })
  const id = reply.headers['mcp-session-id']
  if (typeof id !== 'string') throw new Error(`no session: ${reply.status} ${reply.text}`)
  return { ...more.headers, 'mcp-session-id': id }
}
