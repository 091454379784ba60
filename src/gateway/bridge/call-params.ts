import { isJsonObject, type JsonObject } from '#kernel'
import { IDEMPOTENCY_META } from './idempotency.ts'
import { traceOf, type Trace } from './trace.ts'

/** The parts of a call's params: what belongs to the call, and what belongs to this leg and this era. */
export type CallParams = {
  /** Less the envelope, the progress token, and everything of a retry. */
  readonly params: JsonObject
  readonly progressToken: string | number | undefined
  readonly trace: Trace | undefined
}

const ERA_PREFIX = 'io.modelcontextprotocol/'
const OURS: ReadonlySet<string> = new Set(['progressToken', IDEMPOTENCY_META])

export function splitParams(sent: JsonObject): CallParams {
  const { _meta, inputResponses: _responses, requestState: _state, task: _task, ...params } = sent
  if (!isJsonObject(_meta)) return { params, progressToken: undefined, trace: undefined }
  const { progressToken } = _meta
  const kept = Object.entries(_meta).filter(([key]) => !OURS.has(key) && !key.startsWith(ERA_PREFIX))
  return {
    params: kept.length === 0 ? params : { ...params, _meta: Object.fromEntries(kept) },
    progressToken: typeof progressToken === 'string' || typeof progressToken === 'number' ? progressToken : undefined,
    trace: traceOf(_meta),
  }
}
