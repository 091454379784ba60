import { IncomingMessage, type ServerResponse } from 'node:http'
import { SCOPE } from '../resources.ts'

const MAX_BODY_BYTES = 57_344
/** Where people are asked for something. */
const ASKING = ['/oauth/authorize', '/oauth/device', '/oauth/request']
const READ_HERE = [...ASKING, '/oauth/token', '/oauth/revoke', '/oauth/introspect']

const forms = new WeakMap<IncomingMessage, URLSearchParams>()

/**
 * The rules of the house look at forms before the library does, so they are read here, once. Resolves with the request
 * as the library shall read it, or null when it ends here: its sender went away, or sent more than any form of ours has,
 * whatever length it told.
 */
export async function readFormOf(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<IncomingMessage | null> {
  if (req.method === 'GET' && ASKING.includes(path)) req.url = withDefaultScope(req.url ?? '')
  const isForm = /^application\/x-www-form-urlencoded/i.test(req.headers['content-type'] ?? '')
  if (req.method !== 'POST' || !isForm || !READ_HERE.includes(path)) return req
  const body = await readBody(req).catch(() => null) // the sender went away; nobody is left to be told
  if (body === 'too long') refuseTooLong(res)
  if (body === null || body === 'too long') return null
  const form = new URLSearchParams(body.toString('utf8'))
  if (ASKING.includes(path)) addDefaultScope(form)
  return withForm(req, form)
}

/** The form that `readFormOf` has read, for the steps around the library. */
export function formOf({ req }: { readonly req: IncomingMessage }): URLSearchParams | null {
  return forms.get(req) ?? null
}

/** Clients may leave the scope out (RFC 6749 §3.3), and many do. What was pushed before is not said again. */
function addDefaultScope(asked: URLSearchParams): void {
  if (!asked.get('scope') && !asked.has('request_uri')) asked.set('scope', SCOPE)
}

function withDefaultScope(url: string): string {
  const { pathname, searchParams } = new URL(url, 'http://house')
  addDefaultScope(searchParams)
  return `${pathname}?${searchParams}`
}

/** The same request, its body to be read once more. */
function withForm(req: IncomingMessage, form: URLSearchParams): IncomingMessage {
  const again = new IncomingMessage(req.socket)
  const body = Buffer.from(form.toString())
  const { 'transfer-encoding': _, ...headers } = req.headers
  Object.assign(again, { method: req.method, url: req.url, httpVersion: req.httpVersion, complete: true })
  again.headers = { ...headers, 'content-length': String(body.length) }
  again.push(body)
  again.push(null)
  forms.set(again, form)
  return again
}

async function readBody(req: IncomingMessage): Promise<Buffer | 'too long'> {
  const chunks: Buffer[] = []
  let size = 0
  // The stream stays open after a refusal, so that the answer can still be sent over its connection.
  for await (const chunk of req.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > MAX_BODY_BYTES) return 'too long'
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

function refuseTooLong(res: ServerResponse): void {
  const body = JSON.stringify({ error: 'invalid_request', error_description: 'the form is too long' })
  res.writeHead(413, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' })
  res.end(body)
}
