import { childTrace, readTrace } from '#telemetry'
import type { CallRequest } from '../tools.ts'
import type { Attempt } from './attempt.ts'
import type { CallDeps } from './deps.ts'

/** Opens the attempt: its time, and its place in the caller's trace or in a new one (W3C Trace Context). */
export function begin(deps: Pick<CallDeps, 'clock'>, request: CallRequest): Attempt {
  // What breaks the rules of W3C goes no further: as a header it would make the request fail, and look like an outage.
  const trace = childTrace(readTrace({ ...request.trace }))
  const [, traceId = ''] = trace.traceparent.split('-')
  return {
    request,
    startedAt: deps.clock.now(),
    traceId,
    trace,
    target: null,
    verdict: null,
    argsHash: null,
    passed: null,
    namedAs: null,
    rules: [],
    needsApproval: null,
    approval: null,
    hooks: [],
    executionId: null,
    isSent: false,
  }
}
