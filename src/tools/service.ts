import { Problem } from '#kernel'
import { isLoopbackAddress } from '#http'
import type { Identity } from '#identity'
import type { Policy } from '#policy'
import { call } from './call/call.ts'
import type { CallDeps } from './call/deps.ts'
import { ownerOfState } from './call/request-state.ts'
import { findResource } from './call/resolve.ts'
import { screenSession } from './call/screened-caller.ts'
import { openTaskId } from './call/task-id.ts'
import { Flight } from './flight.ts'
import type { House } from './house.ts'
import { createRefusals } from './refusals.ts'
import type { KeptServer } from './servers.ts'
import { NO_SUCH_GATEWAY, NOT_ALLOWED, UNAUTHENTICATED } from './problems.ts'
import type { Definition } from './source.ts'
import type { Admission, Credentials, GatewayFace, Listing, ListKind, Tools } from './tools.ts'
import { nameOf, templateOf, uriOf, type GatewayView } from './view.ts'

/** What only the process itself asks. */
export type ToolsOfProcess = {
  /** The replica that holds the rest of a call, when its state names one. */
  ownerOf(requestState: string): string | null
  /** Resolves when no call runs here, or when the signal aborts. */
  landed(signal: AbortSignal): Promise<void>
}

/** The verbs of the faces over a living house. */
export function createTools(deps: {
  house: House
  identity: Pick<Identity, 'authenticate' | 'onChange'>
  policy: Policy
  call: Omit<CallDeps, 'lookup' | 'policy'>
  listDeadlineMs?: number
}): Tools & ToolsOfProcess {
  const { house, policy } = deps
  const flight = new Flight()
  const noteRefusal = createRefusals(deps.call)
  const viewOf = (admission: Admission): GatewayView => {
    const view = house.snapshot().views.get(admission.gateway)
    if (!view) throw new Problem(NO_SUCH_GATEWAY, `There is no gateway "${admission.gateway}" here (any more).`)
    return view
  }
  const callDeps: CallDeps = {
    ...deps.call,
    policy,
    lookup: (request) => ({
      view: viewOf(request.admission),
      server: (name) => house.server(name),
      openTaskId: (taskId) => openTaskId(deps.call.seal, taskId, request),
    }),
  }
  return {
    admit: (request) => {
      const answer = admit(deps, request)
      if ('gateway' in answer) return answer
      const { userId, remoteAddress } = request.credentials
      noteRefusal({ ...answer, userId, remoteAddress, gateway: request.gateway, face: request.face })
      throw answer.problem
    },
    whyNoLonger: (request) => {
      const answer = admit(deps, request)
      return 'gateway' in answer ? null : answer.problem
    },
    onAccessChanged: (listener) => deps.identity.onChange(listener),
    describe: (admission) => describe(viewOf(admission)),
    list: (admission, kind) =>
      list({ ...deps, now: () => deps.call.clock.now() }, admission, { kind, view: () => viewOf(admission) }),
    find: (admission, name) => findTool(policy, admission, { view: viewOf(admission), name }),
    call: (request) => flight.track(() => call(callDeps, request)),
    subscribe: (subscription) =>
      subscribe({ ...deps, content: deps.call.content }, viewOf(subscription.admission), subscription),
    onListChanged: (admission, listener) =>
      house.onListsChanged((gateway, changes) => {
        if (gateway === admission.gateway) for (const change of changes) listener(change)
      }),
    announce: async (session, method, params) => {
      await Promise.all(house.servers().map(async ({ source }) => source.announce?.(session, method, params)))
    },
    endSession: async (key) => {
      await Promise.all(house.servers().map(({ source }) => source.endSession(key)))
    },
    landed: (signal) => flight.landed(signal),
    ownerOf: (requestState) => ownerOfState(deps.call.seal, requestState),
  }
}

/** The first stage of every way in: who is it, and may they use this gateway at all? */
function admit(
  deps: { house: House; identity: Pick<Identity, 'authenticate'> },
  request: { gateway: string; credentials: Credentials },
): Admission | Refused {
  const view = deps.house.snapshot().views.get(request.gateway)
  if (view?.config.auth === 'none') return openAdmission(request)
  const { authorization, userId } = request.credentials
  if (authorization === undefined) {
    const how =
      'Send a key of this gateway as "Authorization: Bearer <key>". An admin makes one with "gatehouse key create".'
    return refused(new Problem(UNAUTHENTICATED, how))
  }
  const answer = deps.identity.authenticate({ authorization, userId, gateway: request.gateway })
  if (!answer.ok) return answer
  // Only somebody with a valid credential learns which gateways there are not.
  if (!view) {
    const what = `There is no gateway "${request.gateway.slice(0, 64)}" here.`
    return refused(new Problem(NO_SUCH_GATEWAY, what), answer.keyId)
  }
  return { gateway: request.gateway, userId: answer.userId, keyId: answer.keyId, gateways: answer.gateways }
}

type Refused = { readonly problem: Problem; readonly keyId: string | null }

function refused(problem: Problem, keyId: string | null = null): Refused {
  return { problem, keyId }
}

/** `auth = "none"` serves this machine only, whatever stands in front of it. */
function openAdmission(request: { gateway: string; credentials: Credentials }): Admission | Refused {
  const { remoteAddress, userId } = request.credentials
  if (!isLoopbackAddress(remoteAddress)) {
    const why =
      'This gateway has auth = "none" and answers this machine only. Set auth = "key" to use it from elsewhere.'
    return refused(new Problem(NOT_ALLOWED, why))
  }
  // Nobody has proved who they are: not to be taken for the user of that name, whose sessions and processes wait.
  const name = userId !== undefined && /^[\x21-\x7e]{1,250}$/.test(userId) ? `open:${userId}` : 'anonymous'
  return { gateway: request.gateway, userId: name, keyId: null, gateways: [request.gateway] }
}

function describe(view: GatewayView): GatewayFace {
  const { slug, title, description, instructions } = view.config
  return {
    slug,
    title: title ?? slug,
    capabilities: view.capabilities,
    ...(description === undefined ? {} : { description }),
    ...(instructions === undefined ? {} : { instructions }),
  }
}

/** What there is, at the latest at the deadline: servers that have never been listed are waited for, others not. */
async function list(
  deps: { house: House; policy: Policy; listDeadlineMs?: number; now(): number },
  admission: Admission,
  wanted: { kind: ListKind; view: () => GatewayView },
): Promise<Listing> {
  const { catalog } = deps.house.snapshot()
  const servers = wanted.view().config.tools.length > 0 ? keptServers(deps.house, wanted.view()) : []
  const unknown = servers.filter((server) => !catalog.has(server.config.name) && server.health().state === 'starting')
  const patienceMs = remainingPatience(unknown, { now: deps.now(), deadlineMs: deps.listDeadlineMs ?? 3_000 })
  if (patienceMs > 0) await atMost(patienceMs, Promise.all(unknown.map((server) => server.firstListing)))
  const view = wanted.view()
  return { items: visible(deps.policy, admission, { view, kind: wanted.kind }), missing: servers.flatMap(troubleOf) }
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

const LISTED = { tools: 'list', prompts: 'prompt', resources: 'read', templates: 'read' } as const

/** The policy's answer to every item; the shared frozen list itself when nothing is taken away. */
function visible(
  policy: Policy,
  admission: Admission,
  listed: { view: GatewayView; kind: ListKind },
): readonly Definition[] {
  const all = listed.view[listed.kind]
  const allowed = all.filter((item) => {
    const { server, name } = originOf(listed.view, listed.kind, item)
    const resource = { gateway: admission.gateway, server, name }
    return policy.decide({ principal: admission, action: LISTED[listed.kind], resource }).effect === 'allow'
  })
  return allowed.length === all.length ? all : allowed
}

function findTool(
  policy: Policy,
  admission: Admission,
  wanted: { view: GatewayView; name: string },
): Definition | null {
  const binding = wanted.view.toolByName.get(wanted.name)
  if (binding === undefined) return null
  const resource = { gateway: admission.gateway, server: binding.server, name: binding.original }
  return policy.decide({ principal: admission, action: LISTED.tools, resource }).effect === 'allow'
    ? binding.shown
    : null
}

function originOf(view: GatewayView, kind: ListKind, item: Definition): { server: string; name: string } {
  const found = {
    tools: () => view.toolByName.get(nameOf(item)),
    prompts: () => view.promptByName.get(nameOf(item)),
    resources: () => view.resourceByUri.get(uriOf(item)),
    templates: () => view.resourceByUri.get(templateOf(item)),
  }[kind]()
  return { server: found?.server ?? '', name: found?.original ?? '' }
}

async function subscribe(
  deps: { house: House; policy: Policy; content: CallDeps['content'] },
  view: GatewayView,
  subscription: Parameters<Tools['subscribe']>[0],
): Promise<() => Promise<void>> {
  const { admission, session, uri } = subscription
  const found = findResource(view, uri)
  const server = found ? deps.house.server(found.server) : undefined
  const refused = new Problem(NOT_ALLOWED, `Resource not found: ${JSON.stringify(uri.slice(0, 200))}`)
  if (!found || !server?.source.subscribe) throw refused
  const resource = { gateway: admission.gateway, server: found.server, name: found.original }
  if (deps.policy.decide({ principal: admission, action: 'read', resource }).effect !== 'allow') throw refused
  const { name, tags } = server.config
  const user = { userId: admission.userId, groups: [] }
  const subject = { gateway: admission.gateway, server: { name, tags }, thing: null, user }
  return server.source.subscribe({
    session: screenSession(deps.content, subject, session),
    uri: found.original,
    onUpdated: (params) => subscription.onUpdated(params['uri'] === found.original ? { ...params, uri } : params),
  })
}
