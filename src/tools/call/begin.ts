import { newTraceId, newTraceparent, readTraceId } from '#telemetry'
import type { CallRequest } from '../tools.ts'
import type { Attempt } from './attempt.ts'
import type { CallDeps } from './deps.ts'

/** Opens the attempt: its time, and the trace it belongs to (W3C Trace Context; the caller's, or a new one). */
export function begin(deps: Pick<CallDeps, 'clock'>, request: CallRequest): Attempt {
  const traceId = readTraceId(request.trace?.traceparent) ?? newTraceId()
  return {
    request,
    startedAt: deps.clock.now(),
    traceId,
    traceparent: newTraceparent(traceId, request.trace?.traceparent),
    target: null,
    argsHash: null,
  }
}
