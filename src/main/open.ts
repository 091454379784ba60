import { hash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { APPROVALS_MIGRATIONS, createApprovals, type Approvals } from '#approvals'
import { createAudit, AUDIT_MIGRATIONS, type Audit } from '#audit'
import { CONTENT_MIGRATIONS, createContent, type Content } from '#content'
import { createCallerAddress, createEgress, type Egress, type Sent } from '#http'
import { createIdentity, ensureAdminToken, IDENTITY_MIGRATIONS, type Identity, type Member } from '#identity'
import { createLoginPolicy, LOGIN_MIGRATIONS, type LoginPolicy } from '#login'
import { systemClock, type Clock } from '#kernel'
import { KeyRing, OAUTH_MIGRATIONS, type Oauth } from '#oauth'
import { createHooks, createPolicy, POLICY_MIGRATIONS, readPolicyFiles, type Hooks, type PolicyRoom } from '#policy'
import { openSignIn, SIGNIN_MIGRATIONS, type SignIn } from '#signin'
import { openStorage, type Storage } from '#storage'
import { createMetrics, type Log, type Metrics } from '#telemetry'
import {
  createBuckets,
  createPayloadKeeper,
  createSeal,
  createSource,
  createTools,
  createToolsAdmin,
  openHouse,
  openServerConfig,
  toolsDb,
  toolsMigrations,
  worldOf,
  type Declared,
  type House,
  createSupervisor,
  type HouseTiming,
  type Tools,
  type ToolsOfProcess,
  type ToolsAdmin,
} from '#tools'
import { isLoopback, type GatehouseConfig } from './config.ts'
import { joinAuthentication, openIdentitySigner, openOauth, toAuthorizationServer } from './authentication.ts'
import { ADMIN_OPERATIONS, createHouseApi } from './api.ts'
import { namesOfGroups } from './group-names.ts'
import { REPLICA_MIGRATIONS, joinReplicas, type Replicas } from './replicas.ts'
import { HOUSE } from './version.ts'

/** The whole house, without a listener. */
export type Gatehouse = {
  readonly config: GatehouseConfig
  readonly dataDir: string
  /** The API, for a listener or for a caller in this process. */
  fetch(request: Request): Promise<Response>
  readonly adminToken: string
  readonly tools: Tools & ToolsOfProcess
  readonly toolsAdmin: ToolsAdmin
  readonly house: House
  readonly policy: PolicyRoom
  readonly hooks: Hooks
  readonly approvals: Approvals
  readonly identity: Identity
  readonly loginPolicy: LoginPolicy
  readonly oauth: Oauth
  readonly keyRing: KeyRing
  readonly audit: Audit
  readonly content: Content
  readonly storage: Storage
  readonly metrics: Metrics
  readonly replicas: Replicas
  /** The same for all replicas, and for no other house. */
  readonly houseId: string
  /** Where a request comes from. */
  addressOf(req: Sent): string
  readonly clock: Clock
  readonly log: Log
  /** Takes over what of a changed config file can change while the house runs; other sections need a restart. */
  reload(config: GatehouseConfig): Promise<void>
  /** Where this process is reached; set when it listens. The other replicas know it once this resolves. */
  reachedAt(url: string): Promise<void>
  close(): Promise<void>
}

export type OpenOptions = {
  readonly config: GatehouseConfig
  readonly dataDir: string
  readonly log: Log
  readonly clock?: Clock
  /** How often servers are looked at; the usual ones when absent. */
  readonly timing?: HouseTiming
}

/** The migrations of all rooms. */
export const MIGRATIONS = {
  ...APPROVALS_MIGRATIONS,
  ...AUDIT_MIGRATIONS,
  ...IDENTITY_MIGRATIONS,
  ...LOGIN_MIGRATIONS,
  ...OAUTH_MIGRATIONS,
  ...CONTENT_MIGRATIONS,
  ...POLICY_MIGRATIONS,
  ...toolsMigrations,
  ...REPLICA_MIGRATIONS,
  ...SIGNIN_MIGRATIONS,
}

/** Makes every room from the ground up. When one fails, those already made are taken down again. */
export async function openGatehouse(options: OpenOptions): Promise<Gatehouse> {
  await using opened = new AsyncDisposableStack()
  const { config, dataDir, log, clock = systemClock, timing } = options
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const { url, durability } = config.storage
  const storage = await openStorageOf({ url, dataDir, durability, migrations: MIGRATIONS, clock, log })
  opened.defer(() => storage.close())
  const ground = { storage, clock, log, dataDir, metrics: createMetrics(), houseId: await houseIdOf(storage) }
  const audit = await createAudit({ ...ground, options: auditOptions(config), collector: collectorOf(config, log) })
  opened.defer(() => audit.close())
  const adminToken = await ensureAdminToken(dataDir)
  const reached = { url: `http://${config.server.listen.host}:${config.server.listen.port}` }
  const publicUrl = () => config.server.public_url ?? reached.url
  const identity = await createIdentity({ ...ground, audit, publicUrl })
  opened.defer(() => identity.close())
  const replicas = await joinReplicas({ storage, clock, url: () => config.server.peer_url ?? reached.url })
  opened.defer(() => replicas.close())
  const findMember = (userId: string) => identity.directory().findByUserId(userId)
  const loginPolicy = await createLoginPolicy({ ...ground, audit, config: config.login_policy, findMember })
  opened.defer(() => loginPolicy.close())
  const content = await createContent({ ...ground, audit, declared: config.content_rules })
  opened.defer(() => content.close())
  const approvals = await openApprovals({ ...ground, config, audit, publicUrl, findMember }, opened)
  const addressOf = createCallerAddress(config.server.trusted_proxies)
  const common = { ...ground, config, addressOf, audit, identity, loginPolicy, publicUrl, approvals }
  const assertions = later<Assertions>()
  const rooms = await openTools({ ...common, replicas, content, timing, assertions: assertions.get })
  opened.defer(() => rooms.close())
  const approvers = config.approvals.groups
  identity.accounts.heedNames(namesOfGroups({ policy: rooms.policy.groupNames, content, loginPolicy, approvers }))
  const server = toAuthorizationServer(rooms.oauth.server)
  const signIn = await openSignIn({ ...common, sources: config.identity_sources, server })
  opened.defer(() => signIn.close())
  assertions.set(signIn.sources.assertions)
  const seen = { ...ground, ...rooms, approvals, loginPolicy, signIn, config, audit, identity, content }
  const api = createHouseApi({ ...seen, publicUrl, adminToken })
  const closing = opened.move()
  return {
    ...seen,
    replicas,
    addressOf,
    adminToken: adminToken.reveal(),
    fetch: api,
    reload: async (next) => {
      loginPolicy.declare(next.login_policy)
      content.declare(next.content_rules)
      approvals.declare(next.approvals)
      rooms.hooks.declare(next.hooks)
      signIn.sources.declare(next.identity_sources)
      await rooms.policy.declarePolicies(readPolicyFiles(next.policy.files))
      await rooms.house.declare(declaredIn(next))
    },
    reachedAt: async (at) => {
      reached.url = at
      await replicas.announce()
    },
    close: () => closing.disposeAsync(),
  }
}

async function houseIdOf(storage: Storage): Promise<string> {
  return hash('sha256', await storage.sharedKey('house.id'), 'base64url').slice(0, 22)
}

type Assertions = SignIn['sources']['assertions']

/** What a room needs of one that is made after it, once both are in use. */
function later<T>(): { get: () => T; set: (value: T) => void } {
  let known: { value: T } | undefined
  return {
    get: () => {
      if (known === undefined) throw new Error('asked for before the house was open')
      return known.value
    },
    set: (value) => (known = { value }),
  }
}

type ApprovalsOptions = Ground & {
  config: GatehouseConfig
  audit: Audit
  publicUrl: () => string
  findMember: (userId: string) => Member | null
}

/** The webhook is declared in the file, so its address is trusted. */
async function openApprovals(deps: ApprovalsOptions, opened: AsyncDisposableStack): Promise<Approvals> {
  const client = createEgress({ log: deps.log }).open({ trusted: true, allow: [], connections: 4 })
  opened.defer(() => client.close())
  const seal = createSeal(await deps.storage.sharedKey('approvals.seal'))
  const approvals = createApprovals({ ...deps, client, seal, config: deps.config.approvals })
  opened.defer(() => approvals.close())
  return approvals
}

const DAY_MS = 86_400_000

/** Declared in the file, so its address is trusted, as that of a server there; wherever it redirects to is not. */
function collectorOf({ audit: { otlp } }: GatehouseConfig, log: Log) {
  return otlp && { ...otlp, client: createEgress({ log }).open({ trusted: true, allow: [], connections: 1 }) }
}

function auditOptions({ audit }: GatehouseConfig) {
  const inMs = (days: number | undefined) => (days === undefined ? undefined : days * DAY_MS)
  return {
    onStoreFailure: audit.on_store_failure,
    keepMs: inMs(audit.keep_days),
    keepPayloadsMs: inMs(audit.keep_payload_days),
  }
}

type Ground = { storage: Storage; clock: Clock; log: Log; dataDir: string; metrics: Metrics; houseId: string }

async function openTools(
  deps: Ground & {
    config: GatehouseConfig
    audit: Audit
    identity: Identity
    loginPolicy: LoginPolicy
    publicUrl: () => string
    addressOf: (req: Sent) => string
    replicas: Replicas
    content: Content
    approvals: Approvals
    timing: HouseTiming | undefined
    assertions: () => Assertions
  },
) {
  const { storage, houseId, clock, log, metrics, audit, identity, replicas, config, content, approvals } = deps
  const seal = createSeal(await storage.sharedKey('tools.seal'))
  const egress = createEgress({ log })
  const processes = createSupervisor({ clock, log })
  const db = toolsDb(storage)
  const keyRing = await KeyRing.open({ ...deps, rotateMs: config.oauth.rotate_keys_days * DAY_MS })
  const signIdentity = openIdentitySigner({ ...deps, keyRing })
  const makeSource: MakeSource = (server, events) =>
    createSource(server, { clock, log, events, egress, processes, signIdentity, house: HOUSE, houseId })
  const house = await openHouseOf(deps, { seal, makeSource })
  const findMember = (userId: string): Member | null => identity.directory().findByUserId(userId)
  const { policy, hooks } = await openPolicy({ ...deps, egress, house, findMember })
  const call = {
    clock,
    audit,
    content,
    hooks,
    approvals,
    keepPayload: createPayloadKeeper(config.audit.payloads),
    metrics,
    log,
    seal,
    signIdentity,
    db,
    replicaId: storage.replicaId,
    buckets: createBuckets(clock),
    running: new Map(),
    isReplicaAlive: (id: string, since: number) => replicas.isAlive(id, since),
  }
  const { allow_hosts: allowHosts, unused_clients_days: unusedDays } = config.oauth
  const oauth = await openOauth({ ...deps, house, keyRing, allowHosts, unusedMs: unusedDays * DAY_MS })
  const tools = createTools({
    house,
    identity: joinAuthentication({ identity, oauth, loginPolicy: deps.loginPolicy }),
    policy,
    findMember,
    call,
    listDeadlineMs: config.limits.list_deadline_ms,
  })
  const toolsAdmin = createToolsAdmin({ house, db, clock, seal, audit, makeSource })
  const close = (): Promise<void> => closeTools({ tools, policy, hooks, house, processes, oauth, keyRing })
  return { keyRing, house, policy, hooks, tools, toolsAdmin, oauth, close }
}

type MakeSource = Parameters<typeof createToolsAdmin>[0]['makeSource']

function openHouseOf(
  deps: Ground & { config: GatehouseConfig; timing: HouseTiming | undefined },
  { seal, makeSource }: { seal: ReturnType<typeof createSeal>; makeSource: MakeSource },
): Promise<House> {
  const { storage, clock, log, metrics, config } = deps
  return openHouse({
    storage,
    clock,
    log,
    declared: declaredIn(config),
    mayBeOpen: isLoopback(config.server.listen.host),
    programsFrom: config.server.programs_from,
    ...(deps.timing === undefined ? {} : { timing: deps.timing }),
    openConfig: (sealed) => openServerConfig(seal, sealed),
    makeSource,
    onGone: (server) => metrics.forgetServer(server),
    onHealth: (server, { state }) => metrics.upstreamState(server, measured(state)),
  })
}

/** A server's state as the metrics have it. */
function measured(
  state: ReturnType<ToolsAdmin['listServers']>[number]['health']['state'],
): Parameters<Metrics['upstreamState']>[1] {
  switch (state) {
    case 'starting':
      return 'unreachable'
    case 'needs_consent':
      return 'needs-consent'
    case 'healthy':
    case 'degraded':
    case 'unreachable':
      return state
  }
}

async function closeTools(parts: {
  tools: ToolsOfProcess
  policy: PolicyRoom
  hooks: Hooks
  house: House
  processes: { close(): Promise<void> }
  oauth: Oauth
  keyRing: KeyRing
}): Promise<void> {
  parts.tools.closed()
  await parts.hooks.close()
  await parts.policy.close()
  await parts.house.close()
  await parts.processes.close()
  await parts.oauth.close()
  await parts.keyRing.close()
}

async function openPolicy(
  deps: Ground & {
    audit: Audit
    identity: Identity
    egress: Egress
    house: House
    content: Content
    config: GatehouseConfig
    findMember: (userId: string) => Member | null
  },
) {
  const { config, storage, identity } = deps
  const world = worldOf({ ...deps, members: () => identity.directory().all() })
  const files = readPolicyFiles(config.policy.files)
  const policy = await createPolicy({ ...deps, world, files, operations: ADMIN_OPERATIONS })
  const seal = createSeal(await storage.sharedKey('policy.hooks'))
  const hooks = await createHooks({ ...deps, seal, world, declared: config.hooks })
  return { policy, hooks }
}

function declaredIn({ servers, gateways }: GatehouseConfig): Declared {
  return { servers, gateways }
}

/** A new database has some thirty migrations: they are counted in one line, and named at the level debug. */
async function openStorageOf(options: Omit<Parameters<typeof openStorage>[0], 'log'> & { log: Log }): Promise<Storage> {
  const { log } = options
  let migrated = 0
  const storage = await openStorage({
    ...options,
    log: (event) => {
      if (event.kind !== 'migrated') return log.warn(event, 'storage')
      migrated += 1
      log.debug({ migration: event.key }, 'a migration was run')
    },
  })
  if (migrated > 0) log.info({ migrations: migrated }, 'the database was brought up to date')
  return storage
}
