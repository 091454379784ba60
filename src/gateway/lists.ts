import { isJsonObject, Problem } from '#kernel'
import type { Definition, ListKind, Listing } from '#tools'
import { INVALID_PARAMS } from './problems.ts'

/** The list methods: what each lists, and under which member. `key` tells two definitions apart. */
export const LISTS: ReadonlyMap<string, ListSpec> = new Map([
  ['tools/list', { kind: 'tools', member: 'tools', key: 'name' }],
  ['prompts/list', { kind: 'prompts', member: 'prompts', key: 'name' }],
  ['resources/list', { kind: 'resources', member: 'resources', key: 'uri' }],
  ['resources/templates/list', { kind: 'templates', member: 'resourceTemplates', key: 'uriTemplate' }],
])
export type ListSpec = { readonly kind: ListKind; readonly member: string; readonly key: string }

export type Page = {
  /** The JSON array of this page. */
  readonly json: Buffer
  readonly nextCursor: string | undefined
}

type PageRequest = {
  readonly spec: ListSpec
  readonly cursor: unknown
  readonly pageSize: number
  /** How a definition is shown in this era. It must be one constant function per era, as pages are kept under it. */
  readonly shape: (definition: Definition) => Definition
}

/** Shared lists are turned into JSON once for all callers: definition array → shape and offset → page. */
const pages = new WeakMap<readonly Definition[], Map<PageRequest['shape'], Map<string, Buffer>>>()

/** One page of a list. A cursor names its place twice, so that it holds when the list changes between two pages. */
export function pageOf(listing: Listing, request: PageRequest): Page {
  const { items } = listing
  const start = request.cursor === undefined ? 0 : placeOf(items, request)
  const end = start + request.pageSize
  const last = items[end - 1]
  const nextCursor = end < items.length && last !== undefined ? cursorAfter(last, end, request.spec) : undefined
  return { json: jsonOf(items, start, request), nextCursor }
}

function jsonOf(items: readonly Definition[], start: number, request: PageRequest): Buffer {
  const shapes = pages.get(items) ?? new Map<PageRequest['shape'], Map<string, Buffer>>()
  pages.set(items, shapes)
  const offsets = shapes.get(request.shape) ?? new Map<string, Buffer>()
  shapes.set(request.shape, offsets)
  const place = `${start}/${request.pageSize}`
  const known = offsets.get(place)
  if (known !== undefined) return known
  const page = items.slice(start, start + request.pageSize).map(request.shape)
  const json = Buffer.from(JSON.stringify(page))
  // Only whole pages are worth keeping, and only so many can be: a cursor from elsewhere must not grow the cache.
  if (start % request.pageSize === 0) offsets.set(place, json)
  return json
}

function cursorAfter(last: Definition, offset: number, spec: ListSpec): string {
  return Buffer.from(JSON.stringify([spec.kind, offset, last[spec.key]])).toString('base64url')
}

function placeOf(items: readonly Definition[], { cursor, spec }: PageRequest): number {
  const { offset, lastKey } = readCursor(cursor, spec)
  if (items[offset - 1]?.[spec.key] === lastKey) return offset
  const moved = items.findIndex((item) => item[spec.key] === lastKey)
  return moved === -1 ? Math.min(offset, items.length) : moved + 1
}

function readCursor(cursor: unknown, spec: ListSpec): { offset: number; lastKey: string } {
  if (typeof cursor === 'string' && cursor.length <= 4096) {
    const parts = parseCursor(cursor)
    const [kind, offset, lastKey] = Array.isArray(parts) ? parts : []
    const isPlace = typeof offset === 'number' && Number.isSafeInteger(offset) && offset > 0
    if (kind === spec.kind && isPlace && typeof lastKey === 'string') return { offset, lastKey }
  }
  throw new Problem(INVALID_PARAMS, 'The "cursor" is not one that this list gave. Start again without it.')
}

function parseCursor(cursor: string): unknown {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return parsed
  } catch {
    return null
  }
}

/** Newer servers may describe results that are no objects; session-era clients reject a whole list for one such tool. */
export function legacyShape(definition: Definition): Definition {
  const { outputSchema, ...rest } = definition
  if (outputSchema === undefined) return definition
  return isJsonObject(outputSchema) && outputSchema.type === 'object' ? definition : rest
}

export function modernShape(definition: Definition): Definition {
  return definition
}
