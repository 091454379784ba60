import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { Problem } from '#kernel'
import type { GatewayLimits } from './limits.ts'
import { BODY_TOO_LARGE, INVALID_REQUEST, PARSE_ERROR, TOO_MANY, WRONG_CONTENT_TYPE } from './problems.ts'

/** Counts bytes of a large body until its request is answered; false when all large bodies together are too many. */
export type Hold = (bytes: number) => boolean
const SMALL_BYTES = 65_536

/** Reads a JSON body within the limits: size 413, type 415, encoding, nesting and syntax 400. Never answers by itself. */
export async function readBody(
  req: IncomingMessage,
  limits: GatewayLimits,
  hold: Hold,
): Promise<{ bytes: Buffer; value: unknown }> {
  requireJson(req.headers['content-type'])
  const bytes = await readBytes(req, limits.bodyBytes, hold)
  return { bytes, value: parseJson(bytes, limits.bodyDepth) }
}

/** Parses UTF-8 JSON of bounded nesting, or throws a Problem. */
export function parseJson(bytes: Buffer, maxDepth: number): unknown {
  if (!isUtf8(bytes)) throw new Problem(PARSE_ERROR, 'The body is not valid UTF-8.')
  if (isDeeperThan(bytes, maxDepth)) {
    throw new Problem(INVALID_REQUEST, `The body is nested deeper than ${maxDepth} levels. Send it flatter.`)
  }
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return value
  } catch {
    // The parser's own words quote the body, which may hold secrets.
    throw new Problem(PARSE_ERROR, 'The body is not valid JSON.')
  }
}

function requireJson(contentType: string | undefined): void {
  if (contentType === 'application/json') return
  const [type = '', ...parameters] = (contentType ?? '').split(';')
  const charset = parameters.map((parameter) => parameter.trim().toLowerCase()).find((p) => p.startsWith('charset='))
  const isJson = type.trim().toLowerCase() === 'application/json'
  if (isJson && (charset === undefined || /^charset="?utf-?8"?$/.test(charset))) return
  throw new Problem(
    WRONG_CONTENT_TYPE,
    `The body must be sent as "Content-Type: application/json" in UTF-8, not as "${(contentType ?? '').slice(0, 100)}".`,
  )
}

async function readBytes(req: IncomingMessage, maxBytes: number, hold: Hold): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  let isRefused = false
  const refuse = (problem: Problem): void => {
    isRefused = true
    chunks.length = 0
    reject(problem)
  }
  req.on('data', (chunk: Buffer) => {
    if (isRefused) return
    size += chunk.length
    if (size > maxBytes) return refuse(tooLarge(maxBytes))
    if (size > SMALL_BYTES && !hold(chunk.length)) return refuse(tooMuch())
    chunks.push(chunk)
  })
  req.on('end', () => {
    const [only] = chunks
    resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks))
  })
  req.on('close', () => {
    if (!req.complete) reject(new Problem(PARSE_ERROR, 'The body ended too early.'))
  })
  req.on('error', reject)
  return await promise
}

function tooMuch(): Problem {
  return new Problem(TOO_MANY, 'The requests that are under way fill all the memory there is for them. Try again soon.')
}

/** Counts brackets outside strings; stops at the first level too deep. */
function isDeeperThan(bytes: Buffer, maxDepth: number): boolean {
  let depth = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === 0x22) {
      at = endOfString(bytes, at)
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1
      if (depth > maxDepth) return true
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1
    }
  }
  return false
}

/** The index of the quote that ends the string starting at `at`, or the last index when none does. */
export function endOfString(bytes: Buffer, at: number): number {
  for (let end = at + 1; end < bytes.length; end += 1) {
    const byte = bytes[end]
    if (byte === 0x22) return end
    if (byte === 0x5c) end += 1
  }
  return bytes.length
}

function tooLarge(maxBytes: number): Problem {
  return new Problem(BODY_TOO_LARGE, `The body is larger than ${maxBytes} bytes. Send less at once.`)
}
