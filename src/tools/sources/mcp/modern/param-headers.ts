import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { Definition } from '../../../source.ts'
import { objectAt, stringAt } from '../json.ts'

/** `x-mcp-header` (2026-07-28, server/tools): arguments that are mirrored in `Mcp-Param-*` headers. */
export type ParamHeader = { readonly path: readonly string[]; readonly header: string }

const ANNOTATION = 'x-mcp-header'
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/
const MIRRORED_TYPES = new Set(['string', 'integer', 'boolean'])
const MAX_DEPTH = 64

/** The annotations of one tool, or why they are invalid: then the whole tool must be left out. */
export function readParamHeaders(tool: Definition): readonly ParamHeader[] | { readonly invalid: string } {
  const found: ParamHeader[] = []
  const invalid = walk(objectAt(tool, 'inputSchema'), { path: [], found, depth: 0 })
  return invalid === undefined ? found : { invalid }
}

/** The `Mcp-Param-*` headers of one call. An argument that is absent or null has none. */
export function paramHeadersOf(headers: readonly ParamHeader[], args: JsonObject): Record<string, string> {
  const entries = headers.flatMap(({ path, header }): [string, string][] => {
    const value = path.reduce<Json | undefined>((at, key) => (isJsonObject(at) ? at[key] : undefined), args)
    if (typeof value === 'string') return [[`mcp-param-${header}`, encodeHeader(value)]]
    return typeof value === 'number' || typeof value === 'boolean' ? [[`mcp-param-${header}`, String(value)]] : []
  })
  return Object.fromEntries(entries)
}

/** A value as it may stand in `Mcp-Name` and `Mcp-Param-*`: plain ASCII as it is, all else in the base64 sentinel. */
export function encodeHeader(value: string): string {
  const isPlain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/i.test(value)
  return isPlain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`
}

/** `path` is undefined where a schema is reached by anything but `properties` keys: there no annotation may stand. */
type Walk = { readonly path: readonly string[] | undefined; readonly found: ParamHeader[]; readonly depth: number }

const SCHEMA_KEYWORDS = new Set(
  `items additionalProperties not if then else contains propertyNames unevaluatedItems unevaluatedProperties`.split(
    ' ',
  ),
)
const SCHEMA_LIST_KEYWORDS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const SCHEMA_MAP_KEYWORDS = new Set(['$defs', 'definitions', 'patternProperties', 'dependentSchemas'])

function walk(schema: JsonObject, at: Walk): string | undefined {
  if (at.depth > MAX_DEPTH) return 'the schema is nested too deep'
  const wrong = ANNOTATION in schema ? takeAnnotation(schema, at) : undefined
  if (wrong !== undefined) return wrong
  for (const [keyword, value] of Object.entries(schema)) {
    for (const child of childrenOf(keyword, value)) {
      const path = child.name === undefined || at.path === undefined ? undefined : [...at.path, child.name]
      const invalid = walk(child.schema, { path, found: at.found, depth: at.depth + 1 })
      if (invalid !== undefined) return invalid
    }
  }
  return undefined
}

function childrenOf(keyword: string, value: Json | undefined): readonly { schema: JsonObject; name?: string }[] {
  if (keyword === 'properties' && isJsonObject(value)) {
    return Object.entries(value).flatMap(([name, schema]) => (isJsonObject(schema) ? [{ schema, name }] : []))
  }
  const nested = SCHEMA_KEYWORDS.has(keyword)
    ? [value]
    : SCHEMA_LIST_KEYWORDS.has(keyword) && Array.isArray(value)
      ? value
      : SCHEMA_MAP_KEYWORDS.has(keyword) && isJsonObject(value)
        ? Object.values(value)
        : []
  return nested.filter(isJsonObject).map((schema) => ({ schema }))
}

function takeAnnotation(schema: JsonObject, { path, found }: Walk): string | undefined {
  const header = stringAt(schema, ANNOTATION)
  if (path === undefined || path.length === 0) return `${ANNOTATION} stands where no single argument is meant`
  const where = path.join('.')
  if (header === undefined || !TOKEN.test(header)) return `${ANNOTATION} of "${where}" is not a header name`
  if (!MIRRORED_TYPES.has(stringAt(schema, 'type') ?? '')) {
    return `${ANNOTATION} of "${where}" is on a type other than string, integer or boolean`
  }
  if (found.some((other) => other.header.toLowerCase() === header.toLowerCase())) {
    return `${ANNOTATION} "${header}" is used twice`
  }
  found.push({ path, header })
  return undefined
}
