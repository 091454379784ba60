/**
 * The kit for talking HTTP. Outwards: `egress`, the one guarded way out. Inwards: the API as data.
 *
 * A room writes its operations once with `defineContract` (`contract/contract.ts`); from that come the routes
 * (`mountContract`), the OpenAPI document (`describeApi`) and the typed client of the command line (`createClient`).
 * `createApi` is the frame they are mounted on. A Problem thrown anywhere becomes `application/problem+json`.
 */
export type { Egress, EgressClient, EgressPolicy, EgressRequest, EgressResponse } from './egress.ts'
export { createEgress } from './egress-client.ts'
export { classifyAddress, type AddressClass } from './guard/classify.ts'
export type { Resolve } from './guard/dial.ts'
export { BLOCKED_ADDRESS, RESPONSE_TOO_LARGE } from './problems.ts'
export { createApi } from './api.ts'
export type { BrowserRules } from './guard-browser.ts'
export { answerPage, type PageAnswer, type PageRequest } from './cors.ts'
export { defineContract, type Access, type Contract, type Operation } from './contract/contract.ts'
export type { AdminCaller, Anybody, Caller, CallerFor, KeyCaller } from './contract/caller.ts'
export { mountContract, type HandlerContext, type Handlers, type MountOptions } from './contract/mount.ts'
export { describeApi } from './contract/openapi.ts'
export { createClient, type Client, type ClientOptions } from './contract/client.ts'
export { connectionAddress, isLoopbackAddress, PEER_HEADER, peerAddress } from './contract/peer.ts'
export { INVALID_REQUEST, NO_ANSWER, STRANGE_ANSWER } from './contract/problems.ts'
export { systemContract, type BackupReport, type HealthReport } from './system/contract.ts'
export { mountSystem, type SystemDeps } from './system/routes.ts'
