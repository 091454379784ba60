import { Problem, type JsonObject } from '#kernel'
import { isLoopbackAddress } from '#http'
import type { Authentication, Identity, Member } from '#identity'
import type { Hooks, Policy, Thing } from '#policy'
import { call } from './call/call.ts'
import type { CallDeps } from './call/deps.ts'
import { HeldCalls } from './call/held.ts'
import { ownerOfState } from './call/request-state.ts'
import { openTaskId } from './call/task-id.ts'
import { Flight } from './call/flight.ts'
import type { House } from './house.ts'
import { createRefusals } from './callers/refusals.ts'
import type { KeptServer } from './servers/kept-server.ts'
import { NO_SUCH_GATEWAY, NOT_ALLOWED, UNAUTHENTICATED } from './problems.ts'
import type { CallerSession } from './source.ts'
import type {
  Admission,
  CallOutcome,
  CallRequest,
  Credentials,
  GatewayFace,
  Listing,
  ListKind,
  Tools,
} from './tools.ts'
import { lackOfScopes } from './views/step-up.ts'
import { followTask } from './callers/follow-task.ts'
import { subscribe } from './callers/subscribe.ts'
import { principalOf } from './callers/principal.ts'
import type { GatewayView } from './views/view.ts'
import { capabilitiesFor, findTool, visible, withTasks } from './callers/visible.ts'
import { watchLists } from './callers/watch-lists.ts'

/** What only the process itself asks. */
export type ToolsOfProcess = {
  /** The replica that holds the rest of a call, when its state names one. */
  ownerOf(requestState: string): string | null
  /** Resolves when no call runs here, or when the signal aborts. */
  landed(signal: AbortSignal): Promise<void>
  /** Tells nobody of changes any more. */
  closed(): void
}

/** Whom a key or an access token is used for. */
type Authenticator = {
  authenticate(credentials: Credentials & { readonly authorization: string; readonly gateway: string }): Authentication
}

/** The verbs of the faces over a living house. */
export function createTools(deps: {
  house: House
  identity: Pick<Identity, 'onChange'> & Authenticator
  policy: Policy
  /** Who that is by now, where the house knows them. */
  findMember: (userId: string) => Member | null
  call: Omit<CallDeps, 'lookup' | 'policy' | 'held' | 'findMember'> & { readonly hooks: Pick<Hooks, 'narrow'> }
  listDeadlineMs?: number
}): Tools & ToolsOfProcess {
  const { house } = deps
  // Lists and calls alike are narrowed by what hooks do not let somebody see.
  const policy = deps.call.hooks.narrow(deps.policy)
  const flight = new Flight()
  const watchers = watchLists({ ...deps, policy, log: deps.call.log })
  const viewOf = (admission: Admission): GatewayView => {
    const view = house.snapshot().views.get(admission.gateway)
    if (!view) throw new Problem(NO_SUCH_GATEWAY, `There is no gateway "${admission.gateway}" here (any more).`)
    return view
  }
  const lookup: CallDeps['lookup'] = (request) => ({
    view: viewOf(request.admission),
    server: (name) => house.server(name),
    openTaskId: (taskId) => openTaskId(deps.call.seal, taskId, request),
  })
  const callNow = (request: CallRequest): Promise<CallOutcome> => flight.track(() => call(callDeps, request))
  const held = new HeldCalls({ ...deps.call, lookup, call: callNow })
  const { findMember } = deps
  const callDeps: CallDeps = { ...deps.call, findMember, policy, held, lookup }
  return {
    ...entryVerbs(deps, { policy, viewOf }),
    takesTokens: (gateway) => ['oauth', 'both'].includes(house.snapshot().views.get(gateway)?.config.auth ?? ''),
    onAccessChanged: (listener) => deps.identity.onChange(listener),
    describe: (admission) => {
      const view = viewOf(admission)
      const capabilities = capabilitiesFor(policy, admission, view)
      const mayWait = view.approve !== null || deps.call.content.asksApproval(admission.gateway)
      return describe(view, mayWait ? withTasks(capabilities) : capabilities)
    },
    list: (admission, kind, session) =>
      list({ ...deps, policy }, admission, { kind, session, view: () => viewOf(admission) }),
    find: (admission, name) => find({ ...deps.call, policy }, admission, { view: viewOf(admission), name }),
    call: callNow,
    subscribe: (subscription) =>
      subscribe({ ...deps.call, ...deps, policy }, viewOf(subscription.admission), subscription),
    followTask: (task) => followTask({ ...deps.call, ...deps, callNow }, task),
    onListChanged: (admission, listener) => watchers.add(admission, listener),
    announce: async (session, method, { level }) => {
      // Nothing else of it goes on: it is to everybody, so no content rule could look at it.
      const params = level === undefined ? {} : { level }
      await Promise.all(house.servers().map(async ({ source }) => source.announce?.(session, method, params)))
    },
    endSession: async (key) => {
      await Promise.all(house.servers().map(({ source }) => source.endSession(key)))
    },
    landed: (signal) => flight.landed(signal),
    closed: () => {
      held.close()
      watchers.close()
    },
    ownerOf: (requestState) => ownerOfState(deps.call.seal, requestState),
  }
}

/** The verbs that refuse, each with its record in the trail. */
function entryVerbs(
  deps: Parameters<typeof admit>[0] & { call: Parameters<typeof createRefusals>[0] & Pick<CallDeps, 'hooks'> },
  { policy, viewOf }: { policy: Policy; viewOf: (admission: Admission) => GatewayView },
): Pick<Tools, 'admit' | 'whyNoLonger' | 'requireScopes'> {
  const noteRefusal = createRefusals(deps.call)
  return {
    admit: (request) => {
      const answer = admit(deps, request)
      if ('gateway' in answer) return answer
      const { userId, remoteAddress } = request.credentials
      noteRefusal({ ...answer, userId, remoteAddress, gateway: request.gateway, face: request.face })
      throw answer.problem
    },
    whyNoLonger: (request) => {
      const answer = admit(deps, { ...request, face: 'mcp' })
      return 'gateway' in answer ? null : answer.problem
    },
    requireScopes: async (admission, name) => {
      const problem = await lackAt({ ...deps.call, policy }, admission, { view: viewOf(admission), name })
      if (problem === null) return
      noteRefusal({ ...refusedTo(admission), problem })
      throw problem
    },
  }
}

/** The first stage of every way in: who is it, and may they use this gateway at all? */
function admit(
  deps: { house: House; identity: Authenticator },
  request: { gateway: string; credentials: Credentials; face: string },
): Admission | Refused {
  const view = deps.house.snapshot().views.get(request.gateway)
  if (view?.config.auth === 'none') return openAdmission(request)
  const { authorization } = request.credentials
  if (authorization === undefined) return refused(new Problem(UNAUTHENTICATED, HOW[view?.config.auth ?? 'key']))
  // An unknown gateway takes both, so that nothing tells it from a known one before a credential is found good.
  const auth = view?.config.auth ?? 'both'
  if (!takes(auth, authorization)) return refused(new Problem(UNAUTHENTICATED, HOW[auth]))
  const answer = deps.identity.authenticate({ ...request.credentials, authorization, gateway: request.gateway })
  if (!answer.ok) return answer
  // Only somebody with a valid credential learns which gateways there are not.
  if (!view) {
    const what = `There is no gateway "${request.gateway.slice(0, 64)}" here.`
    return refused(new Problem(NO_SUCH_GATEWAY, what), answer.keyId)
  }
  const { keyId, gateways } = answer
  const from = { face: request.face, remoteAddress: request.credentials.remoteAddress }
  return { gateway: request.gateway, userId: answer.userId, keyId, gateways, principal: answer.principal, from }
}

const WITH_KEY =
  'Send a key of this gateway as "Authorization: Bearer <key>". An admin makes one with "gatehouse key create".'
const HOW = {
  key: WITH_KEY,
  none: WITH_KEY,
  oauth: 'This gateway takes no API keys: connect with a client that signs you in (OAuth).',
  both: `${WITH_KEY} Or connect with a client that signs you in (OAuth).`,
} as const

/** Access tokens are JSON Web Tokens, whose beginning is always the same; keys begin with "gh". */
function takes(auth: keyof typeof HOW, authorization: string): boolean {
  const isToken = /^(?:bearer +)?eyJ/i.test(authorization)
  return isToken ? auth !== 'key' : auth !== 'oauth'
}

function refusedTo({ gateway, keyId, userId, from }: Admission) {
  return { gateway, keyId, userId, face: from.face, remoteAddress: from.remoteAddress ?? '' }
}

type Refused = { readonly problem: Problem; readonly keyId: string | null }

function refused(problem: Problem, keyId: string | null = null): Refused {
  return { problem, keyId }
}

/** `auth = "none"` serves this machine only, whatever stands in front of it. */
function openAdmission(request: { gateway: string; credentials: Credentials; face: string }): Admission | Refused {
  const { remoteAddress, userId } = request.credentials
  if (!isLoopbackAddress(remoteAddress)) {
    const why =
      'This gateway has auth = "none" and answers this machine only. Set auth = "key" to use it from elsewhere.'
    return refused(new Problem(NOT_ALLOWED, why))
  }
  // Nobody has proved who they are: not to be taken for the user of that name, whose sessions and processes wait.
  const name = userId !== undefined && /^[\x21-\x7e]{1,250}$/.test(userId) ? `open:${userId}` : 'anonymous'
  const named = { userId: name, keyId: null, gateways: [request.gateway] }
  const from = { face: request.face, remoteAddress }
  return { gateway: request.gateway, ...named, principal: principalOf(named, 'anonymous'), from }
}

function describe(view: GatewayView, capabilities: JsonObject): GatewayFace {
  const { slug, title, description, instructions } = view.config
  return {
    slug,
    title: title ?? slug,
    capabilities,
    ...(description === undefined ? {} : { description }),
    ...(instructions === undefined ? {} : { instructions }),
  }
}

function find(
  { policy, hooks }: { policy: Policy; hooks: CallDeps['hooks'] },
  admission: Admission,
  wanted: { view: GatewayView; name: string },
): ReturnType<Tools['find']> {
  const thing = wanted.view.toolByName.get(wanted.name)?.thing
  const known = thing === undefined ? null : hooks.accessKnown(admission, [thing])
  return known ? known.then(() => findTool(policy, admission, wanted)) : findTool(policy, admission, wanted)
}

/** Of a tool that somebody may not use they do not learn that there is one. */
async function lackAt(
  deps: Parameters<typeof find>[0],
  admission: Admission,
  wanted: { view: GatewayView; name: string },
): Promise<Problem | null> {
  const thing = wanted.view.toolByName.get(wanted.name)?.thing
  const problem = thing ? lackOfScopes(wanted.view.stepUp, admission.principal, [thing]) : null
  if (problem === null) return null
  return (await find(deps, admission, wanted)) === null ? null : problem
}

/** What there is, at the latest at the deadline: servers that have never been listed are waited for, others not. */
async function list(
  deps: { house: House; policy: Policy; call: Pick<CallDeps, 'hooks' | 'clock'>; listDeadlineMs?: number },
  admission: Admission,
  wanted: { kind: ListKind; session: CallerSession; view: () => GatewayView },
): Promise<Listing> {
  const { catalog } = deps.house.snapshot()
  const servers = wanted.view().config.tools.length > 0 ? keptServers(deps.house, wanted.view()) : []
  const unknown = servers.filter((server) => !catalog.has(server.config.name) && server.health().state === 'starting')
  const patienceMs = remainingPatience(unknown, {
    now: deps.call.clock.now(),
    deadlineMs: deps.listDeadlineMs ?? 3_000,
  })
  if (patienceMs > 0) await atMost(patienceMs, Promise.all(unknown.map((server) => server.firstListing)))
  const { kind, session } = wanted
  if (kind === 'tools') await deps.call.hooks.accessKnown(admission, thingsIn(wanted.view()))
  const view = wanted.view()
  return { items: visible(deps.policy, admission, { view, kind, session }), missing: servers.flatMap(troubleOf) }
}

function thingsIn({ toolByName }: GatewayView): Thing[] {
  return [...toolByName.values()].map(({ thing }) => thing)
}

/** The deadline runs from a server's start: one that hangs delays those who ask first, and nobody after them. */
function remainingPatience(unknown: readonly KeptServer[], at: { now: number; deadlineMs: number }): number {
  return Math.max(0, ...unknown.map((server) => server.health().since + at.deadlineMs - at.now))
}

function keptServers(house: House, view: GatewayView) {
  return view.servers.flatMap((name) => house.server(name) ?? [])
}

function troubleOf(server: ReturnType<House['servers']>[number]): Listing['missing'][number][] {
  const { state, reason, retryAt } = server.health()
  return state === 'healthy' ? [] : [{ server: server.config.name, state, reason, retryAt }]
}

async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))])
  clearTimeout(timer)
}
