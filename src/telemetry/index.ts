/**
 * How the house is seen from outside: logs, metrics and trace ids. Nothing here ever receives a secret or a body.
 *
 * `createLog` writes one JSON line an event and blanks what is named like a secret; `createMetrics` keeps a bounded
 * number of series for `/metrics`; `readTrace` and `childTrace` carry the caller's W3C trace to the servers behind us.
 */
export { createLog, type Log } from './log.ts'
export { isSecretName, withoutTokens } from './redact.ts'
export { createMetrics, type Metrics, type TokenOutcome, type WatchedGauge } from './metrics.ts'
export type { AdminReason, DecisionReason } from './policy-meter.ts'
export { childTrace, parseTraceparent, readTrace, type Trace } from './trace.ts'
