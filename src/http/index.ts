/**
 * The kit for talking HTTP. Outwards: `egress/`, the one guarded way out. Inwards: the API as data.
 *
 * A room writes its operations once with `defineContract` (`contract/contract.ts`); from that come the routes
 * (`mountContract`), the OpenAPI document (`describeApi`) and the typed client of the command line (`createClient`).
 * `createApi` is the frame they are mounted on. A Problem thrown anywhere becomes `application/problem+json`.
 */
export type { Egress, EgressClient, EgressResponse, EgressTls } from './egress/egress.ts'
export { createEgress } from './egress/client.ts'
export { createBreaker, type Breaker, type BreakerOptions } from './egress/breaker.ts'
export { BLOCKED_ADDRESS, RESPONSE_TOO_LARGE } from './egress/problems.ts'
export { createApi } from './api.ts'
export { answerPage } from './cors.ts'
export { defineContract, type Access } from './contract/contract.ts'
export type { Admission, AdminCaller, Grounds, KeyCaller } from './contract/caller.ts'
export { adminOperations, type AdminAction, type AdminOperation, type Subject } from './contract/admin-action.ts'
export { mountContract, type HandlerContext, type Handlers, type Use, type Witness } from './contract/mount.ts'
export { readJson } from './contract/read-json.ts'
export { describeApi } from './contract/openapi.ts'
export { createClient, type Client } from './contract/client.ts'
export { createCallerAddress, isLoopbackAddress, isLoopbackName, PEER_HEADER, peerAddress } from './contract/peer.ts'
export type { Sent } from './contract/peer.ts'
export { isNetwork, withinNetworks } from './networks.ts'
export { systemContract } from './system/contract.ts'
export { METRICS_OPERATION, mountSystem } from './system/routes.ts'
