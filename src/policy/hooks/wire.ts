import * as z from 'zod'
import type { Json, JsonObject } from '#kernel'

/**
 * What goes over the wire: the contextual-access contract that Arcade calls logic extensions. Requests are built to the
 * letter of it; answers are parsed strictly, so that a rewrite which we would not carry out is not taken for a yes.
 */

/** Not of the contract, so services may ignore it: there is no call, and what is answered changes nothing. */
export const QUESTION_HEADER = 'gatehouse-question'

export type ToolOnWire = {
  readonly name: string
  /** The server. */
  readonly toolkit: string
  /** MCP tools have none, so it is empty. */
  readonly version: string
  readonly metadata?: JsonObject
}

export type ContextOnWire = {
  readonly authorization: readonly JsonObject[]
  /** Names, never values. */
  readonly secrets: readonly string[]
  readonly metadata: JsonObject
  readonly user_id: string
}

export type PreRequest = {
  readonly execution_id: string
  readonly tool: ToolOnWire
  readonly inputs: JsonObject
  readonly context: ContextOnWire
}

export type PostRequest = Omit<PreRequest, 'inputs'> & {
  readonly inputs: JsonObject
  readonly success: boolean
  readonly output: Json
  readonly execution_code: string
  readonly execution_error: string
}

export type Toolkits = Readonly<
  Record<string, { readonly tools: Readonly<Record<string, readonly { readonly version: string }[]>> }>
>
export type AccessRequest = { readonly user_id: string; readonly toolkits: Toolkits }

const json: z.ZodType<Json> = z.json()
const object = z.record(z.string(), json)
const verdict = {
  code: z.enum(['OK', 'CHECK_FAILED', 'RATE_LIMIT_EXCEEDED']),
  error_message: z.string().max(4096).nullish(),
}

export const preAnswer = z.object({ ...verdict, override: z.strictObject({ inputs: object.optional() }).nullish() })
export const postAnswer = z.object({ ...verdict, override: z.strictObject({ output: json.optional() }).nullish() })

/** Of a toolkit without `tools` all are meant. */
const toolkits = z.record(z.string(), z.object({ tools: z.record(z.string(), z.unknown()).optional() }))
export const accessAnswer = z.object({ only: toolkits.nullish(), deny: toolkits.nullish() })

export const healthAnswer = z.object({ status: z.enum(['healthy', 'degraded', 'unhealthy']) })
