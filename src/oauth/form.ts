import type { IncomingMessage, ServerResponse } from 'node:http'

const MAX_BODY_BYTES = 65_536
const READ_HERE = ['/oauth/token', '/oauth/revoke', '/oauth/introspect']

/**
 * The rules of the house look at forms before the library does, so they are read here, once. False when the request
 * ends here: its sender went away, or sent more than any form of ours has, whatever length it told.
 */
export async function readFormOf(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean> {
  const isForm = /^application\/x-www-form-urlencoded/i.test(req.headers['content-type'] ?? '')
  if (req.method !== 'POST' || !isForm || !READ_HERE.includes(path)) return true
  const body = await readBody(req).catch(() => null) // the sender went away; nobody is left to be told
  if (body === 'too long') refuseTooLong(res)
  if (body === null || body === 'too long') return false
  Object.assign(req, { body: body.toString('utf8') })
  return true
}

/** The form that `readFormOf` has read, for the steps around the library. */
export function formOf({ req }: { readonly req: IncomingMessage }): URLSearchParams | null {
  const body: unknown = Reflect.get(req, 'body')
  return typeof body === 'string' ? new URLSearchParams(body) : null
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
