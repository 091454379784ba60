import { isJsonObject, type JsonObject } from '#kernel'

const NOTES = 'io.gatehouse/notes'

/** A result with notes for whoever reads it: as text where it has content, or else in its `_meta`. */
export function annotate(result: JsonObject, notes: readonly string[]): JsonObject {
  if (notes.length === 0) return result
  const { content, _meta } = result
  if (Array.isArray(content)) {
    return { ...result, content: [...content, ...notes.map((text) => ({ type: 'text', text }))] }
  }
  return { ...result, _meta: { ...(isJsonObject(_meta) ? _meta : {}), [NOTES]: notes } }
}
