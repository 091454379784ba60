import { randomBytes } from 'node:crypto'

/** W3C trace context as it travels in `_meta` and in headers. */
export type Trace = { readonly traceparent?: string; readonly tracestate?: string; readonly baggage?: string }

export type TraceParent = { readonly traceId: string; readonly parentId: string; readonly flags: string }

/**
 * Takes the valid trace members out of a request's `_meta` or headers and drops the rest. `tracestate` is worth
 * nothing without a valid `traceparent`; `baggage` stands alone.
 */
export function readTrace(from: Readonly<Record<string, unknown>>): Trace {
  const { traceparent, tracestate, baggage } = from
  const parent = typeof traceparent === 'string' && parseTraceparent(traceparent) ? { traceparent } : {}
  return {
    ...parent,
    ...(parent.traceparent && typeof tracestate === 'string' && isTracestate(tracestate) ? { tracestate } : {}),
    ...(typeof baggage === 'string' && isBaggage(baggage) ? { baggage } : {}),
  }
}

/** The trace to hand on: the caller's trace with a new span of ours as the parent, or a new trace where there was none. */
export function childTrace(trace: Trace): Trace & { readonly traceparent: string } {
  const parent = trace.traceparent === undefined ? undefined : parseTraceparent(trace.traceparent)
  const traceparent = formatTraceparent({
    traceId: parent?.traceId ?? newTraceId(),
    parentId: newSpanId(),
    flags: parent?.flags ?? NEW_TRACE_FLAGS,
  })
  return { ...trace, traceparent }
}

/** Reads a `traceparent` (W3C Trace Context level 2, §3.2), also of a later version. Nothing when it breaks a rule. */
export function parseTraceparent(text: string): TraceParent | undefined {
  if (text.length > MAX_TRACEPARENT) return undefined
  const [, version, traceId, parentId, flags, more] = TRACEPARENT.exec(text) ?? []
  if (version === undefined || traceId === undefined || parentId === undefined || flags === undefined) return undefined
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return { traceId, parentId, flags }
}

/** We speak version 00, which knows two flags: sampled and random. */
export function formatTraceparent({ traceId, parentId, flags }: TraceParent): string {
  const known = (Number.parseInt(flags, 16) & KNOWN_FLAGS).toString(16).padStart(2, '0')
  return `00-${traceId}-${parentId}-${known}`
}

/**
 * Begins with the time, so that an index over trace ids grows at its end, and is never all zeros; the rest is random,
 * of which the flag promises the last seven bytes.
 */
export function newTraceId(): string {
  return Date.now().toString(16).padStart(12, '0') + randomHex(20)
}

/** Never all zeros, which a random number of 64 bits is not in our lifetime. */
export function newSpanId(): string {
  return randomHex(16)
}

const POOL_BYTES = 4_096
let pool = ''
let taken = 0

/** Random digits from a pool: asking the system for a few at each call costs ten times as much. */
function randomHex(digits: number): string {
  if (taken + digits > pool.length) {
    pool = randomBytes(POOL_BYTES).toString('hex')
    taken = 0
  }
  taken += digits
  return pool.slice(taken - digits, taken)
}

/** True for a valid `tracestate` (§3.3) of at most 512 characters. */
export function isTracestate(text: string): boolean {
  if (text.length > MAX_TRACESTATE) return false
  const members = text
    .split(',')
    .map(trimBlanks)
    .filter((member) => member !== '')
  const keys = members.map((member) => TRACESTATE_MEMBER.exec(member)?.[1])
  return keys.length > 0 && keys.length <= 32 && !keys.includes(undefined) && new Set(keys).size === keys.length
}

/** True for a valid `baggage` (W3C Baggage §3.3) of at most 64 members and 8192 bytes. */
export function isBaggage(text: string): boolean {
  if (text.length > MAX_BAGGAGE) return false
  const members = text.split(',')
  return members.length <= 64 && members.every(isBaggageMember)
}

/** `key=value;property;property=value`. Cut by hand: a pattern over all of it would try every way to share out spaces. */
function isBaggageMember(member: string): boolean {
  const [pair = '', ...properties] = member.split(';')
  return pair.includes('=') && [pair, ...properties].every(isPair)
}

function isPair(pair: string): boolean {
  const equals = pair.indexOf('=')
  if (equals < 0) return TOKEN.test(trimBlanks(pair))
  return TOKEN.test(trimBlanks(pair.slice(0, equals))) && BAGGAGE_VALUE.test(trimBlanks(pair.slice(equals + 1)))
}

/** Takes spaces and tabs off both ends. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

const MAX_TRACEPARENT = 512
const MAX_TRACESTATE = 512
const MAX_BAGGAGE = 8_192
const KNOWN_FLAGS = 0b11
/** Not sampled, but the id is random (level 2, §3.2.2.5.2). */
const NEW_TRACE_FLAGS = '02'
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const TRACESTATE_MEMBER =
  /^([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const BAGGAGE_VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/
