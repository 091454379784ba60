import { Client, type Dispatcher } from 'undici'
import { z } from 'zod'

/** Whom to call, and as a client of which era. */
export const target = z.object({
  url: z.string(),
  era: z.enum(['legacy', 'modern']),
  key: z.string().optional(),
  session: z.string().optional(),
  /** What the echo is called there. */
  tool: z.string().default('echo'),
})
export type Target = z.input<typeof target>

const ENVELOPE = JSON.stringify({
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
})

/** The HTTP request of one `tools/call` of `echo`, without its body. */
export function callOptions(to: Target): Omit<Dispatcher.DispatchOptions, 'body'> {
  const { pathname } = new URL(to.url)
  const era =
    to.era === 'modern'
      ? { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
      : {
          'mcp-protocol-version': '2025-11-25',
          ...(to.session === undefined ? {} : { 'mcp-session-id': to.session }),
        }
  return {
    path: pathname,
    method: 'POST',
    headers: { ...COMMON, ...era, ...(to.key === undefined ? {} : { authorization: `Bearer ${to.key}` }) },
  }
}

const COMMON = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** Every call has its own id and arguments, so that nothing can answer it from a cache. */
export function callBody({ era, tool = 'echo' }: Target, id: number, args: object = { text: `hello ${id}` }): string {
  const meta = era === 'modern' ? `,"_meta":${ENVELOPE}` : ''
  const params = `{"name":"${tool}","arguments":${JSON.stringify(args)}${meta}}`
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`
}

/** One kept-alive connection. */
export function openConnection(url: string): Client {
  return new Client(new URL(url).origin, { pipelining: 1, keepAliveTimeout: 60_000 })
}

export type Answer = { readonly status: number; readonly body: Buffer }

/** Makes one request on the raw dispatch interface; the generator must cost less than what it measures. */
export function send(
  client: Client,
  options: Dispatcher.DispatchOptions,
  done: (answer: Answer | Error, headers: Readonly<Record<string, unknown>>) => void,
): void {
  const chunks: Buffer[] = []
  let status = 0
  let headers: Readonly<Record<string, unknown>> = {}
  client.dispatch(options, {
    onRequestStart: () => {},
    onResponseStart: (_controller, statusCode, sent) => {
      status = statusCode
      headers = sent
    },
    onResponseData: (_controller, chunk) => void chunks.push(chunk),
    onResponseEnd: () => {
      const [only] = chunks
      done({ status, body: chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks) }, headers)
    },
    onResponseError: (_controller, error) => done(error, headers),
  })
}

/** Why an answer is not the result of the call; null when it is. */
export function whyWrong(answer: Answer | Error): string | null {
  if (answer instanceof Error) return answer.message
  const isResult = answer.status === 200 && answer.body.includes('"result":') && answer.body.includes('hello')
  return isResult ? null : `${answer.status}: ${answer.body.toString('utf8').slice(0, 300)}`
}
