import { isProblem, newId, Problem } from '#kernel'
import type { Log } from '#telemetry'
import { BAD_ACCOUNT, BAD_GROUP, GROUP_NAMED } from '../problems.ts'
import { SCIM_BAD_FILTER, SCIM_BAD_PATH, SCIM_BAD_VALUE, SCIM_FIXED, SCIM_TAKEN, SCIM_TOO_FAST } from './problems.ts'
import { ERROR_SCHEMA } from './schema.ts'

const HEADERS = {
  'content-type': 'application/scim+json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const

/** `null`: there is nothing to say. */
export function answerScim(
  value: object | null,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  if (value === null) return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  return new Response(JSON.stringify(value), { status, headers: { ...HEADERS, ...headers } })
}

/** RFC 7644 §3.12: the reasons that have a word of their own. */
const SCIM_TYPES: ReadonlyMap<string, string> = new Map([
  [SCIM_BAD_FILTER.code, 'invalidFilter'],
  [SCIM_BAD_VALUE.code, 'invalidValue'],
  [BAD_ACCOUNT.code, 'invalidValue'],
  [BAD_GROUP.code, 'invalidValue'],
  [SCIM_BAD_PATH.code, 'invalidPath'],
  [SCIM_FIXED.code, 'mutability'],
  [GROUP_NAMED.code, 'mutability'],
  [SCIM_TAKEN.code, 'uniqueness'],
  ['http/not-json', 'invalidSyntax'],
])

/** Whatever was thrown, as SCIM says it. What is no Problem is logged once and shown as an id only. */
export function answerScimError(error: unknown, log: Log): Response {
  if (!isProblem(error)) return hidden(error, log)
  const { status, code } = error.kind
  const scimType = SCIM_TYPES.get(code)
  const body = {
    schemas: [ERROR_SCHEMA],
    status: String(status),
    ...(scimType === undefined ? {} : { scimType }),
    detail: error.message,
  }
  return answerScim(body, status, headersOf(error))
}

function headersOf({ kind }: Problem): Record<string, string> {
  if (kind.status === 401) return { 'www-authenticate': 'Bearer' }
  // Nobody reads the rest of a body that is too large, so the connection cannot be used again.
  if (kind.status === 413) return { connection: 'close' }
  return kind.code === SCIM_TOO_FAST.code ? { 'retry-after': '1' } : {}
}

function hidden(error: unknown, log: Log): Response {
  const requestId = newId('req')
  log.error({ err: error, requestId }, 'a request of SCIM failed')
  const detail = `This is not your fault. The log has the reason under the id ${requestId}.`
  return answerScim({ schemas: [ERROR_SCHEMA], status: '500', detail }, 500)
}
