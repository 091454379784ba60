import type { AdminCaller } from '#http'
import { basename } from 'node:path'
import { Problem, isJsonObject, type Clock, type JsonObject } from '#kernel'
import type { Audit } from '#audit'
import { decideHeldChange } from './catalog/catalog.ts'
import { gatewayConfig, serverConfig, type GatewayConfig, type ServerConfig } from './config.ts'
import type { House, ProgramsFrom } from './house.ts'
import { probeServer, type Probe, type ProbeDeps } from './servers/probe.ts'
import { DECLARED_IN_FILE, NAME_TAKEN, NOT_ALLOWED, NOT_FOUND } from './problems.ts'
import type { Seal } from './seal.ts'
import type { ServerHealth } from './servers/kept-server.ts'
import * as store from './store.ts'
import type { ChangeState } from './tables.ts'

/** What an admin does with servers, gateways and changes. Every change is recorded with who made it. */
export type ToolsAdmin = ReturnType<typeof createToolsAdmin>

export type AdminActor = Pick<AdminCaller, 'userId' | 'keyId' | 'face' | 'byRule'>

export type ServerInfo = {
  readonly name: string
  readonly transport: ServerConfig['transport']
  /** Where it is declared; servers from the API are guarded against private addresses. */
  readonly origin: 'file' | 'api'
  readonly enabled: boolean
  readonly target: string
  /** What keeps callers from going around the gateway. */
  readonly guard: 'credential' | 'identity' | 'process' | 'none'
  readonly tags: readonly string[]
  readonly health: ServerHealth
  readonly held: readonly string[]
  readonly usage: JsonObject
}

type AdminDeps = ProbeDeps & {
  readonly house: House
  readonly db: store.ToolsDb
  readonly clock: Clock
  readonly seal: Seal
  readonly audit: Pick<Audit, 'record'>
}

export function createToolsAdmin(deps: AdminDeps) {
  return {
    listServers: (): ServerInfo[] => listServers(deps),
    addServer: (actor: AdminActor, input: unknown) => addServer(deps, actor, input),
    replaceServer: (actor: AdminActor, name: string, input: unknown) => replaceServer(deps, actor, { name, input }),
    removeServer: (actor: AdminActor, name: string) => removeServer(deps, actor, name),
    checkServer: (name: string) => checkServer(deps, name),
    probeServer: (actor: AdminActor, name: string) => probe(deps, actor, name),
    listGateways: () => listGateways(deps),
    addGateway: (actor: AdminActor, input: unknown) => addGateway(deps, actor, input),
    removeGateway: (actor: AdminActor, slug: string) => removeGateway(deps, actor, slug),
    listChanges: (filter: { server?: string; state?: ChangeState; limit: number }) => listChanges(deps, filter),
    decideChange: (actor: AdminActor, decision: { id: string; accept: boolean }) => decideChange(deps, actor, decision),
  }
}

const UNKNOWN_HEALTH: ServerHealth = {
  state: 'starting',
  reason: 'switched off',
  since: 0,
  checkedAt: null,
  retryAt: null,
  era: null,
  tools: 0,
}

function listServers(deps: AdminDeps): ServerInfo[] {
  const { catalog } = deps.house.snapshot()
  const declared = new Set(deps.house.declared().servers.map(({ name }) => name))
  return deps.house
    .configs()
    .map((config) => {
      const kept = deps.house.server(config.name)
      return {
        name: config.name,
        transport: config.transport,
        origin: declared.has(config.name) ? ('file' as const) : ('api' as const),
        enabled: config.enabled,
        target: targetOf(config),
        guard: guardOf(config),
        tags: config.tags,
        health: kept ? { ...kept.health(), reason: kept.adminReason() } : UNKNOWN_HEALTH,
        held: catalog.get(config.name)?.held ?? [],
        usage: { ...kept?.source.usage(), circuitOpen: kept?.breaker.isOpen ?? false, inFlight: kept?.slots.used ?? 0 },
      }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** A server that gets nothing from us that only we have answers anybody who finds it. */
function guardOf(config: ServerConfig): ServerInfo['guard'] {
  switch (config.transport) {
    case 'http':
      if (Object.keys(config.headers).length > 0) return 'credential'
      return config.identity_token ? 'identity' : 'none'
    case 'worker':
      return 'credential'
    case 'stdio':
    case 'builtin':
      return 'process'
  }
}

/** Where a server is, without what could be secret in it. */
function targetOf(config: ServerConfig): string {
  switch (config.transport) {
    case 'http':
    case 'worker': {
      const url = new URL(config.url)
      return `${url.origin}${url.pathname}`
    }
    case 'stdio':
      return programOf(config.command)
    case 'builtin':
      return config.builtin
  }
}

/** Arguments may be secret; of those that run something else, its name is told too: `npx @scope/server`. */
function programOf([program = '', ...args]: readonly string[]): string {
  const what = RUNNERS.has(basename(program)) ? args.find((arg) => !arg.startsWith('-')) : undefined
  return what !== undefined && /^[\w@./-]{1,100}$/.test(what) ? `${program} ${what}` : program
}

const RUNNERS: ReadonlySet<string> = new Set(['npx', 'uvx', 'bunx', 'node', 'bun', 'python', 'python3'])

/** Changes are recorded before they are made: what cannot be recorded is not done. */
async function addServer(deps: AdminDeps, actor: AdminActor, input: unknown): Promise<ServerInfo> {
  const config = serverConfig.parse(input)
  const taken = new Problem(
    NAME_TAKEN,
    `A server named "${config.name}" exists; pick another name or remove that one first.`,
  )
  await refuseProgram(deps, actor, { what: 'server.added', config })
  if (deps.house.configs().some(({ name }) => name === config.name)) throw taken
  await note(deps, actor, { what: 'server.added', server: config.name, extra: describeForAudit(config) })
  const row = { name: config.name, sealed_config: sealConfig(deps, config), created_at: deps.clock.now() }
  if ((await store.insertServer(deps.db, row)) === 'name-taken') throw taken
  return takeOver(deps, config.name)
}

/** Puts a new configuration in the place of a server's old one; what is remembered of its tools stays. */
async function replaceServer(
  deps: AdminDeps,
  actor: AdminActor,
  change: { name: string; input: unknown },
): Promise<ServerInfo> {
  const { name } = change
  const config = serverConfig.parse(change.input)
  if (config.name !== name) {
    throw new Problem(
      NAME_TAKEN,
      `The configuration is for "${config.name}", not for "${name}"; a server keeps its name.`,
    )
  }
  await refuseProgram(deps, actor, { what: 'server.changed', config })
  findServer(deps, name)
  refuseDeclaredServer(deps, name)
  await note(deps, actor, { what: 'server.changed', server: name, extra: describeForAudit(config) })
  if (!(await store.updateServer(deps.db, name, sealConfig(deps, config)))) throw noServer(name)
  return takeOver(deps, name)
}

/** A stdio server is a program that runs here with all our rights: `programs_from` says who may add one. */
async function refuseProgram(
  deps: AdminDeps,
  actor: AdminActor,
  wanted: { what: string; config: ServerConfig },
): Promise<void> {
  const { config, what } = wanted
  if (config.transport !== 'stdio' || mayAddPrograms(deps.house.programsFrom, actor)) return
  const detail =
    deps.house.programsFrom === 'file'
      ? `Server "${config.name}" is a program, and here only the config file may add programs. Declare it in gatehouse.toml (programs_from = "file").`
      : `Server "${config.name}" is a program, and this key may not add programs. Add it on the machine itself with "gatehouse server add" or in gatehouse.toml, or set programs_from = "admin" there, which lets keys of admins do it.`
  const refusal = { decision: 'denied', reason: detail } as const
  await note(deps, actor, { what, server: config.name, extra: describeForAudit(config), ...refusal })
  throw new Problem(NOT_ALLOWED, detail)
}

function mayAddPrograms(from: ProgramsFrom, actor: AdminActor): boolean {
  switch (from) {
    case 'file':
      return false
    case 'local':
      return actor.face === 'cli'
    case 'admin':
      return actor.byRule !== true
  }
}

async function removeServer(deps: AdminDeps, actor: AdminActor, name: string): Promise<void> {
  refuseDeclaredServer(deps, name)
  findServer(deps, name)
  await note(deps, actor, { what: 'server.removed', server: name })
  if (!(await store.deleteServer(deps.db, name))) throw noServer(name)
  await deps.house.changed()
}

async function takeOver(deps: AdminDeps, name: string): Promise<ServerInfo> {
  await deps.house.changed()
  await deps.house.server(name)?.firstListing
  return findServer(deps, name)
}

function sealConfig(deps: AdminDeps, config: ServerConfig): string {
  return deps.seal.seal('server-config', JSON.parse(JSON.stringify(config)))
}

function describeForAudit(config: ServerConfig): JsonObject {
  return { transport: config.transport, target: targetOf(config), allow: config.allow_addresses }
}

function refuseDeclaredServer(deps: AdminDeps, name: string): void {
  refuseDeclared(
    deps.house.declared().servers.some((server) => server.name === name),
    `server "${name}"`,
  )
}

function noServer(name: string): Problem {
  return new Problem(NOT_FOUND, `There is no server "${name}". "gatehouse server list" shows all.`)
}

async function checkServer(deps: AdminDeps, name: string): Promise<ServerInfo> {
  findServer(deps, name)
  await deps.house.server(name)?.checkNow()
  return findServer(deps, name)
}

/** Recorded, because it is asked of a server on nobody's behalf. */
async function probe(deps: AdminDeps, actor: AdminActor, name: string): Promise<Probe> {
  const config = deps.house.configs().find((server) => server.name === name)
  if (config === undefined) throw noServer(name)
  await note(deps, actor, { what: 'server.probed', server: name })
  return probeServer(deps, { config, trusted: deps.house.server(name)?.trusted ?? false })
}

function findServer(deps: AdminDeps, name: string): ServerInfo {
  const found = listServers(deps).find((server) => server.name === name)
  if (!found) throw noServer(name)
  return found
}

function listGateways(deps: AdminDeps) {
  const declared = new Set(deps.house.declared().gateways.map(({ slug }) => slug))
  const { views } = deps.house.snapshot()
  return deps.house.gateways().map((config) => {
    const view = views.get(config.slug)
    return {
      ...config,
      origin: declared.has(config.slug) ? ('file' as const) : ('api' as const),
      servers: view?.servers ?? [],
      toolCount: view?.tools.length ?? 0,
    }
  })
}

async function addGateway(deps: AdminDeps, actor: AdminActor, input: unknown): Promise<GatewayConfig> {
  const config = gatewayConfig.parse(input)
  refuseDeclared(
    deps.house.declared().gateways.some(({ slug }) => slug === config.slug),
    `gateway "${config.slug}"`,
  )
  if (config.auth === 'none' && !deps.house.mayBeOpen) {
    throw new Problem(
      NOT_ALLOWED,
      `Gateway "${config.slug}" has auth = "none", but others reach this house. Set auth = "key", or let it listen on 127.0.0.1.`,
    )
  }
  const extra = { tools: config.tools, auth: config.auth }
  await note(deps, actor, { what: 'gateway.saved', gateway: config.slug, extra })
  const row = { slug: config.slug, config: JSON.stringify(config), created_at: deps.clock.now() }
  await store.upsertGateway(deps.db, row)
  await deps.house.changed()
  return config
}

async function removeGateway(deps: AdminDeps, actor: AdminActor, slug: string): Promise<void> {
  refuseDeclared(
    deps.house.declared().gateways.some((gateway) => gateway.slug === slug),
    `gateway "${slug}"`,
  )
  if (!(await store.deleteGateway(deps.db, slug))) throw new Problem(NOT_FOUND, `There is no gateway "${slug}".`)
  await note(deps, actor, { what: 'gateway.removed', gateway: slug })
  await deps.house.changed()
}

async function listChanges(deps: AdminDeps, filter: { server?: string; state?: ChangeState; limit: number }) {
  const rows = await store.listChanges(deps.db, filter)
  return rows.map(({ id, server, name, kind, state, diff, at, decided_at, decided_by }) => {
    const lines: unknown = JSON.parse(diff)
    const readable = Array.isArray(lines) ? lines.filter((line) => typeof line === 'string') : []
    return { id, server, tool: name, kind, state, diff: readable, at, decidedAt: decided_at, decidedBy: decided_by }
  })
}

async function decideChange(
  deps: AdminDeps,
  actor: AdminActor,
  decision: { id: string; accept: boolean },
): Promise<void> {
  const decided = await decideHeldChange(deps, { ...decision, by: actor.userId })
  if (!decided) throw new Problem(NOT_FOUND, `No change waits under the id "${decision.id}".`)
  const what = decision.accept ? 'tool-change.accepted' : 'tool-change.rejected'
  await note(deps, actor, { what, server: decided.server, tool: decided.name })
  await deps.house.changed()
}

function refuseDeclared(isDeclared: boolean, what: string): void {
  if (isDeclared) throw new Problem(DECLARED_IN_FILE, `The ${what} is declared in gatehouse.toml; change it there.`)
}

async function note(
  deps: AdminDeps,
  actor: AdminActor,
  event: {
    what: string
    server?: string
    gateway?: string
    tool?: string
    extra?: unknown
    decision?: 'denied'
    reason?: string
  },
): Promise<void> {
  const { extra, ...rest } = event
  await deps.audit.record({
    decision: 'allowed',
    ...rest,
    userId: actor.userId,
    keyId: actor.keyId,
    face: actor.face,
    ...(isJsonObject(extra) ? { extra } : {}),
  })
}

/** A stored server's configuration; null when it was sealed with another house's key or is of another version. */
export function openServerConfig(seal: Seal, sealed: string): ServerConfig | null {
  const parsed = serverConfig.safeParse(seal.open('server-config', sealed))
  return parsed.success ? parsed.data : null
}
