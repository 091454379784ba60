/** The kit for talking HTTP: the guarded way out (`egress`), and contracts as data for the API. */
export type { Egress, EgressClient, EgressPolicy, EgressRequest, EgressResponse } from './egress.ts'
export { createEgress } from './egress-client.ts'
export { classifyAddress, type AddressClass } from './guard/classify.ts'
export type { Resolve } from './guard/dial.ts'
export { BLOCKED_ADDRESS, RESPONSE_TOO_LARGE } from './problems.ts'
