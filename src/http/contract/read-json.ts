import { Problem } from '#kernel'
import { BODY_TOO_LARGE, NOT_JSON, WRONG_CONTENT_TYPE } from './problems.ts'

export const MAX_BODY_BYTES = 1_048_576
const MAX_DEPTH = 64

/** The body as JSON: only JSON (a web page cannot send that unasked), at most 1 MiB, at most 64 levels deep. */
export async function readJson(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/([a-z0-9.+-]+\+)?json\s*(;|$)/i.test(type)) {
    const sent = type === '' ? 'none' : `"${type.slice(0, 100)}"`
    throw new Problem(WRONG_CONTENT_TYPE, `Send "Content-Type: application/json"; the content type was ${sent}.`)
  }
  const text = await readText(request)
  if (depthOf(text) > MAX_DEPTH) throw new Problem(NOT_JSON, `The body is nested more than ${MAX_DEPTH} levels deep.`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Problem(NOT_JSON, 'The body is not valid JSON. Check quotes, commas and brackets.', { cause })
  }
}

async function readText(request: Request): Promise<string> {
  const tooLarge = new Problem(BODY_TOO_LARGE, `The body may have ${MAX_BODY_BYTES} bytes at most.`)
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > MAX_BODY_BYTES) throw tooLarge
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** How deep arrays and objects are nested, found without parsing, so that hostile depth costs nothing. */
export function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) deepest = Math.max(deepest, ++depth)
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
  }
  return deepest
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
