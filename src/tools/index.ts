/**
 * The heart: what a tool is, where it comes from and how it is called.
 *
 * A *server* offers tools (and resources and prompts); a *source* (`source.ts`) is how one kind of server is reached
 * (`sources/`). `servers/` keeps each server known, gives a failing one a rest and bounds the calls to it; `catalog/`
 * remembers what all servers offer and what changed. A *gateway* is a named choice from it under stable names, compiled
 * once a change (`views/`). `callers/` is the side of whoever comes in: who they are, how fast they may go, what of a
 * view they see and follow. Every call, whoever makes it, goes through the stages in `call/`, read from top to bottom.
 *
 * `house.ts` is what lives between calls, `service.ts` the verbs of the faces over it, `admin.ts` those of an admin.
 */
export { Payload } from './payload.ts'
export type * from './source.ts'
export type * from './tools.ts'
export { isGraveEnough, isLogLevel } from './log-level.ts'
export { serverConfig, gatewayConfig, type ServerConfig, type GatewayConfig } from './config.ts'
export { createSeal } from './seal.ts'
export { createSource } from './sources/index.ts'
export { createTools, type ToolsOfProcess } from './service.ts'
export { createToolsAdmin, openServerConfig, type ToolsAdmin } from './admin.ts'
export { worldOf } from './views/world.ts'
export { openHouse, type Declared, type House } from './house.ts'
export type { HouseTiming } from './servers/kept-server.ts'
export { toolsDb } from './store.ts'

export { toolsMigrations } from './migrations.ts'
export { toolsContract, type CallResult } from './contract.ts'
export { toolsRoutes } from './routes.ts'
export { createSupervisor } from './sources/mcp/stdio/index.ts'
export { createBuckets } from './callers/rate.ts'
export { createPayloadKeeper, payloadRule } from './call/payload-rules.ts'
