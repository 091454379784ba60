import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { approvalsContract, approvalsRoutes, type Approvals } from '#approvals'
import { auditContract, auditRoutes, createWitness, type Audit } from '#audit'
import { contentContract, contentRoutes, type Content } from '#content'
import {
  adminOperations,
  createApi,
  describeApi,
  METRICS_OPERATION,
  mountContract,
  mountSystem,
  systemContract,
  type AdminCaller,
  type Grounds,
  type Witness,
} from '#http'
import {
  accountsContract,
  accountsRoutes,
  scimRoutes,
  authorizeApi,
  identityContract,
  identityRoutes,
  type AdminToken,
  type Identity,
} from '#identity'
import { loginContract, loginRoutes, type LoginPolicy } from '#login'
import { newId, type Clock } from '#kernel'
import {
  clientsContract,
  clientsRoutes,
  signingKeysContract,
  signingKeysRoutes,
  type KeyRing,
  type Oauth,
} from '#oauth'
import { hooksContract, hooksRoutes, policyContract, policyRoutes, type Hooks, type PolicyRoom } from '#policy'
import { signInApiRoutes, signInContract, type SignIn } from '#signin'
import type { Storage } from '#storage'
import type { AdminReason, Log, Metrics } from '#telemetry'
import { toolsContract, toolsRoutes, type House, type Tools, type ToolsAdmin } from '#tools'
import { isLoopback, type GatehouseConfig } from './config.ts'
import { HOUSE } from './version.ts'

/** All operations of the house, by room. */
export const contracts = {
  keys: identityContract,
  accounts: accountsContract,
  login: loginContract,
  signIn: signInContract,
  signingKeys: signingKeysContract,
  clients: clientsContract,
  policy: policyContract,
  hooks: hooksContract,
  approvals: approvalsContract,
  tools: toolsContract,
  audit: auditContract,
  content: contentContract,
  system: systemContract,
} as const

/** All that rules may speak of at the admin API. */
export const ADMIN_OPERATIONS = [...adminOperations(contracts), METRICS_OPERATION]

export type HouseApiDeps = {
  readonly config: GatehouseConfig
  readonly dataDir: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly storage: Storage
  readonly audit: Audit
  readonly content: Content
  readonly identity: Identity
  readonly loginPolicy: LoginPolicy
  readonly signIn: SignIn
  readonly keyRing: KeyRing
  readonly oauth: Pick<Oauth, 'clients'>
  /** What clients and browsers type. */
  readonly publicUrl: () => string
  readonly adminToken: AdminToken
  readonly house: House
  readonly policy: PolicyRoom
  readonly hooks: Hooks
  readonly approvals: Approvals
  readonly tools: Tools
  readonly toolsAdmin: ToolsAdmin
}

/** The API of all rooms as one function from request to answer. */
export function createHouseApi(deps: HouseApiDeps): (request: Request) => Promise<Response> {
  const { config, log } = deps
  const app = createApi({
    log,
    browser: {
      isLoopbackListener: isLoopback(config.server.listen.host),
      publicUrl: () => config.server.public_url ?? '',
      origins: config.server.allowed_origins,
    },
  })
  const options = { log, authorize: authorizeApi.bind(null, deps), witness: countUses(createWitness(deps), deps) }
  mountContract(app, identityContract, identityRoutes(deps.identity), options)
  mountContract(app, accountsContract, accountsRoutes(deps.identity), options)
  const scim = scimRoutes({ ...deps, witness: options.witness })
  app.all('/scim/v2/*', ({ req }) => scim(req.raw))
  mountContract(app, loginContract, loginRoutes(deps.loginPolicy), options)
  mountContract(app, signInContract, signInApiRoutes({ ...deps.signIn, publicUrl: deps.publicUrl }), options)
  app.get('/', (context) => context.redirect('/account'))
  for (const path of ['/signin', '/setup', '/device', '/account', '/approve'])
    for (const route of [path, `${path}/*`]) app.all(route, ({ req }) => deps.signIn.pages.fetch(req.raw))
  mountContract(app, signingKeysContract, signingKeysRoutes(deps.keyRing), options)
  mountContract(app, clientsContract, clientsRoutes(deps.oauth.clients), options)
  mountContract(app, policyContract, policyRoutes(deps.policy, deps.hooks), options)
  mountContract(app, hooksContract, hooksRoutes(deps.hooks), options)
  mountContract(app, approvalsContract, approvalsRoutes(deps.approvals), options)
  mountContract(app, toolsContract, toolsRoutes(deps), options)
  mountContract(app, contentContract, contentRoutes(deps.content), options)
  mountContract(app, auditContract, auditRoutes(deps.audit), options)
  mountSystem(app, systemDeps(deps), options)
  return async (request) => app.fetch(request)
}

/** Each use of the admin API counts once, however often its caller is looked at. */
function countUses(witness: Witness, { metrics }: Pick<HouseApiDeps, 'metrics'>): Witness {
  return async (use, run) => {
    try {
      return await witness(use, run)
    } finally {
      const { grounds, action, operation } = use
      if (operation.access === 'admin' && grounds !== undefined && action !== undefined) {
        metrics.policy.administered(action.module, grounds.effect, reasonOf(grounds))
        if (grounds.shadow !== undefined) metrics.policy.shadowDiffered(grounds.shadow.effect)
      }
    }
  }
}

function reasonOf({ rule }: Grounds): AdminReason {
  switch (rule) {
    case 'admin-token':
      return 'token'
    case 'admin-role':
      return 'role'
    case null:
      return 'nothing'
    default:
      return 'rule'
  }
}

/** The OpenAPI document, as `/openapi.json` and `docs/openapi.json` have it. */
export function describeHouse() {
  const description = 'The admin API of a Gatehouse, and tools over REST. MCP clients connect to /mcp/{gateway}.'
  return describeApi({ title: 'Gatehouse', version: HOUSE.version, description }, contracts)
}

function systemDeps(deps: HouseApiDeps): Parameters<typeof mountSystem>[1] {
  // Made for whoever asks first: it would be a third of what it takes to start.
  let described: ReturnType<typeof describeHouse> | undefined
  return {
    version: HOUSE.version,
    notReady: () => notReady(deps),
    warnings: () => deps.hooks.listHooks().flatMap(warningOf),
    health: () => health(deps),
    metrics: async () => ({ contentType: deps.metrics.contentType, text: await deps.metrics.render() }),
    backup: (by) => backup(deps, by),
    openapi: () => (described ??= describeHouse()),
  }
}

/** Asks the storage at the most for two seconds: whoever probes wants to know now. */
async function notReady({ storage, audit }: HouseApiDeps): Promise<string[]> {
  const late = AbortSignal.timeout(2_000)
  const lateness = new Promise<string>((resolve) => late.addEventListener('abort', () => resolve('storage is slow')))
  const asked = storage.sharedKey('main.ready').then(
    () => '',
    () => 'storage does not answer',
  )
  const trouble = await Promise.race([asked, lateness])
  const isMute = audit.state().writesTo === 'nowhere'
  return [trouble, isMute ? 'the audit trail cannot be written' : ''].filter((reason) => reason !== '')
}

function warningOf({ name, state, reason, failure }: ReturnType<Hooks['listHooks']>[number]): string[] {
  if (state !== 'unreachable' && state !== 'unhealthy') return []
  const effect = failure === 'closed' ? 'calls that need its yes are refused' : 'calls go on without it'
  return [`the hook "${name}" was ${state} when it was asked last (${reason}), so ${effect}`]
}

function health({ toolsAdmin, hooks }: HouseApiDeps) {
  const servers = toolsAdmin.listServers().filter(({ enabled }) => enabled)
  const gateways = toolsAdmin.listGateways()
  return {
    toolCount: servers.reduce((sum, server) => sum + server.health.tools, 0),
    transports: ['streamable-http'],
    servers: servers.map(({ name, health: { state, reason, tools, retryAt } }) => ({
      name,
      state,
      reason,
      tools,
      retryAt,
    })),
    hooks: hooks.listHooks().map(({ name, state, reason }) => ({ name, state, reason })),
    gateways: gateways.map(({ slug, auth, toolCount }) => ({ slug, auth, tools: toolCount })),
  }
}

async function backup({ storage, audit, identity, dataDir }: HouseApiDeps, by: AdminCaller) {
  const folder = join(dataDir, 'backups')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${newId('backup')}.jsonl`)
  await audit.record({ what: 'backup.made', decision: 'allowed', userId: by.userId, keyId: by.keyId, face: by.face })
  await identity.settle()
  await storage.backup(path)
  return { path, bytes: (await stat(path)).size }
}
