/**
 * The MCP face: everything that is protocol, and nothing else. One URL per gateway serves both eras.
 *
 * A request passes `handle.ts`: guard (Host, Origin) → admit → body → era → leg. `modern/` is the stateless era
 * (2026-07-28), `legacy/` the one with sessions (2025-11-25 and older), `subscriptions/` the streams of the first,
 * `bridge/` one era's words as the other's. Both legs end in the same verbs of `#tools`; the face decides, checks and
 * records nothing by itself. It is the hot path: raw `node:http`, and results are carried as bytes.
 */
export { createGatewayFace, type GatewayFace } from './face.ts'
export type { ReplicaRouting } from './context.ts'
