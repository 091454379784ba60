const MAX_DEPTH = 8
const MAX_MEMBERS = 100
const BLANK = '[redacted]'

/**
 * A copy of a log line's fields without secrets: the second net under `Secret`, for what someone logs by mistake.
 * Goes by field names at any depth, and blanks bearer tokens and JSON Web Tokens inside texts. Errors become plain members.
 */
export function redact(fields: object): Record<string, unknown> {
  return redactMembers(fields, 0)
}

/** True for a field name under which secrets travel, whatever its spelling: `clientSecret`, `client_secret`, `X-API-Key`. */
export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return NAMES.has(plain) || ENDINGS.test(plain)
}

function redactMembers(source: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  let members = 0
  for (const [name, value] of Object.entries(source)) {
    if (++members > MAX_MEMBERS) {
      copy['…'] = 'more members were left out'
      break
    }
    copy[name] = isSecretName(name) && hidesSomething(value) ? BLANK : redactValue(value, depth + 1)
  }
  return copy
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return withoutTokens(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '[too deep]'
  if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((item: unknown) => redactValue(item, depth + 1))
  if (value instanceof Error) return redactError(value, depth)
  // Values that say how they are written (dates, `Secret`) are left to that.
  return 'toJSON' in value ? value : redactMembers(value, depth)
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return {
    ...redactMembers(error, depth),
    name,
    message: withoutTokens(message),
    ...(stack === undefined ? {} : { stack: withoutTokens(stack) }),
    ...(cause === undefined ? {} : { cause: redactValue(cause, depth + 1) }),
  }
}

function hidesSomething(value: unknown): boolean {
  return value !== null && value !== undefined && typeof value !== 'boolean'
}

/** A text without what stands behind `Bearer` and `Basic`, and without JSON Web Tokens. */
export function withoutTokens(text: string): string {
  if (text.length < 12) return text
  return text
    .replaceAll(/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${BLANK}`)
    .replaceAll(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+/g, BLANK)
}

const NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'bearer',
  'credential',
  'credentials',
  'jwt',
  'key',
  'keys',
  'pass',
  'passwd',
  'secrets',
  'tokens',
])
const ENDINGS =
  /(password|passphrase|secret|secretvalue|token|cookie|cookies|apikey|privatekey|secretkey|signingkey|encryptionkey|accesskey|authorization)$/
