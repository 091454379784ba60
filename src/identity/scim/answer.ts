import * as z from 'zod'
import { isProblem, newId, Problem } from '#kernel'
import type { Log } from '#telemetry'
import { BAD_ACCOUNT, BAD_GROUP, GROUP_NAMED } from '../problems.ts'
import { isNamed } from './etag.ts'
import { SCIM_BAD_FILTER, SCIM_BAD_PATH, SCIM_BAD_VALUE, SCIM_FIXED, SCIM_TAKEN, SCIM_TOO_FAST } from './problems.ts'
import { project } from './project.ts'
import { ERROR_SCHEMA } from './schema.ts'

const HEADERS = {
  'content-type': 'application/scim+json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const

type Asked = { readonly request: Request; readonly query: URLSearchParams; readonly status?: 201 | 204 | undefined }

/** A resource, a list, or what tells of this house; `null`: there is nothing to say. */
export function answerScim(value: object | null, { request, query, status }: Asked): Response {
  if (value === null) return told(null, 204)
  const { version, location } = metaOf(value)
  const etag = version === undefined ? {} : { etag: version }
  if (status === 204 || isKnown(request, version)) return told(null, status ?? 304, etag)
  const place = status === 201 && location !== undefined ? { location } : {}
  return told(project(value, query), status ?? 200, { ...etag, ...place })
}

function told(value: object | null, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  const all = value === null ? { 'cache-control': 'no-store', ...headers } : { ...HEADERS, ...headers }
  return new Response(value && JSON.stringify(value), { status, headers: all })
}

const described = z.object({ meta: z.object({ version: z.string().optional(), location: z.string().optional() }) })

function metaOf(value: object) {
  return described.safeParse(value).data?.meta ?? {}
}

/** RFC 9110 §13.1.2: the client has this version already. */
function isKnown({ method, headers }: Request, version: string | undefined): boolean {
  const known = headers.get('if-none-match')
  return method === 'GET' && version !== undefined && known !== null && isNamed(version, known)
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
  return told(body, status, headersOf(error))
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
  return told({ schemas: [ERROR_SCHEMA], status: '500', detail }, 500)
}
