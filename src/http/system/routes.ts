import type { Hono } from 'hono'
import { Problem, type JsonObject } from '#kernel'
import type { AdminOperation } from '../contract/admin-action.ts'
import { answerError, answerJson } from '../contract/answer.ts'
import type { AdminCaller } from '../contract/caller.ts'
import { mountContract, type HandlerContext, type Handlers, type MountOptions } from '../contract/mount.ts'
import { isLoopbackAddress, peerAddress } from '../contract/peer.ts'
import { NOT_READY } from '../contract/problems.ts'
import { systemContract, type BackupReport, type HealthReport, type ReadyReport } from './contract.ts'

export type SystemDeps = {
  readonly version: string
  /** What keeps the house from serving now, in words; empty when it is ready. Has its own deadline. */
  readonly notReady: () => Promise<readonly string[]>
  /** What does not work although the house serves, in words. */
  readonly warnings: () => readonly string[]
  readonly health: () => HealthDetails
  readonly metrics: () => Promise<{ contentType: string; text: string }>
  readonly backup: (by: AdminCaller) => Promise<BackupReport>
  readonly openapi: () => JsonObject
}

type HealthDetails = {
  readonly [K in 'toolCount' | 'transports' | 'servers' | 'hooks' | 'gateways']-?: NonNullable<HealthReport[K]>
}

/** What a house says about itself: probes, health, metrics, its own description, and the front page. */
export function mountSystem(app: Hono, deps: SystemDeps, options: MountOptions): void {
  mountContract(app, systemContract, systemRoutes(deps), options)
  app.get('/openapi.json', () => answerJson(deps.openapi()))
  app.get('/metrics', (context) => answerMetrics(context.req.raw, deps, options))
  app.get('/', () => answerJson(frontPage(deps.version)))
}

function systemRoutes(deps: SystemDeps): Handlers<typeof systemContract> {
  return {
    livez: () => ({ status: 'alive' }),
    readyz: (_, context) => ready(deps, context),
    health: (_, context) => health(deps, context),
    backup: (_, { caller }) => deps.backup(caller),
  }
}

async function ready(deps: SystemDeps, context: HandlerContext): Promise<ReadyReport> {
  const reasons = await deps.notReady()
  if (reasons.length > 0) throw new Problem(NOT_READY, `Not ready: ${reasons.join('; ')}.`, { reasons })
  const warnings = maySeeInside(context) ? [...deps.warnings()] : []
  return warnings.length === 0 ? { status: 'ready' } : { status: 'ready', warnings }
}

async function health(deps: SystemDeps, context: HandlerContext): Promise<HealthReport> {
  const { version } = deps
  const reasons = [...(await deps.notReady())]
  const details = deps.health()
  const isWell =
    details.servers.every(({ state }) => state === 'healthy') &&
    // One that was not asked yet has not failed.
    details.hooks.every(({ state }) => state === 'healthy' || state === 'unknown')
  const status = reasons.length > 0 ? 'not-ready' : isWell ? 'ok' : 'degraded'
  return maySeeInside(context) ? { status, version, reasons, ...details } : { status, version }
}

/** Callers on this machine, in this process, and admins. */
function maySeeInside(context: Pick<HandlerContext, 'caller' | 'remoteAddress'>): boolean {
  return context.caller.kind === 'admin' || isNear(context.remoteAddress)
}

const isNear = (address: string): boolean => address === '' || isLoopbackAddress(address)

async function answerMetrics(request: Request, deps: SystemDeps, options: MountOptions): Promise<Response> {
  try {
    const remoteAddress = peerAddress(request)
    if (!isNear(remoteAddress)) letIn(options, { headers: request.headers, remoteAddress })
    const { contentType, text } = await deps.metrics()
    return new Response(text, { headers: { 'content-type': contentType, 'cache-control': 'no-store' } })
  } catch (error) {
    return answerError(error, { method: 'GET', path: '/metrics', log: options.log })
  }
}

/** Not of any contract: its answer is no JSON. */
export const METRICS_OPERATION: AdminOperation = {
  module: 'metrics',
  operation: 'readMetrics',
  writes: false,
  aboutKind: null,
}

function letIn({ authorize }: MountOptions, from: { headers: Headers; remoteAddress: string }): void {
  const { module, operation, writes } = METRICS_OPERATION
  const admission = authorize('admin', from, { module, operation, writes, about: null })
  if ('refused' in admission) throw admission.refused
}

function frontPage(version: string): JsonObject {
  return {
    name: 'Gatehouse',
    version,
    about: 'One front door for agent tools: MCP clients connect to /mcp/{gateway} with a key of that gateway.',
    mcp: '/mcp/{gateway}',
    api: '/openapi.json',
    health: '/health',
    metrics: '/metrics',
    commands: './gatehouse --help',
  }
}
