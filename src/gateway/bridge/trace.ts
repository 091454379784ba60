import type { JsonObject } from '#kernel'

/** W3C trace context as MCP carries it, in `_meta`. */
export type Trace = { readonly traceparent?: string; readonly tracestate?: string; readonly baggage?: string }

const MAX_LENGTH = 8192

export function traceOf(meta: JsonObject | undefined): Trace | undefined {
  if (meta?.traceparent === undefined) return undefined
  return { ...part('traceparent', meta), ...part('tracestate', meta), ...part('baggage', meta) }
}

function part(name: 'traceparent' | 'tracestate' | 'baggage', meta: JsonObject): Trace {
  const value = meta[name]
  return typeof value === 'string' && value.length <= MAX_LENGTH ? { [name]: value } : {}
}
