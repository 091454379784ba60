import { type JsonObject, Problem, type ProblemKind, Secret, isProblem } from '#kernel'
import { BLOCKED_ADDRESS as EGRESS_BLOCKED, type EgressResponse, RESPONSE_TOO_LARGE } from '#http'
import type { WorkerServerConfig } from '../../config.ts'
import { LIST_LIMITS, listsTooMuch } from '../../catalog/list-limits.ts'
import {
  BLOCKED_ADDRESS,
  BROKEN_REPLY,
  CANCELLED,
  NEEDS_CONSENT,
  TIMED_OUT,
  TOO_LARGE,
  UNREACHABLE,
} from '../../problems.ts'
import { identityOfHouse } from '../../callers/identity-token.ts'
import type { Identify } from '../../source.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import { type InvokeResponse, health, invokeResponse } from './schema.ts'
import { createWorkerToken } from './token.ts'

/** The worker's three routes. Each rejects with a Problem that says what happened and what to do. */
export type Wire = {
  health(signal: AbortSignal): Promise<void>
  /** The tools exactly as sent; each is read alone, so one bad definition does not hide the others. */
  tools(signal: AbortSignal): Promise<readonly unknown[]>
  invoke(invocation: Invocation): Promise<InvokeResponse | 'no-such-tool'>
  close(): Promise<void>
}

export type Invocation = {
  readonly body: JsonObject
  readonly headers: Readonly<Record<string, string>>
  readonly identity: Identify | undefined
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

type Exchange = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly headers?: Readonly<Record<string, string>>
  readonly identity?: Identify | undefined
  readonly body?: string
  readonly maxBytes?: number
}

/** The routes of one worker. Nothing is asked until a verb is used. */
export function createWire(server: ServerOf<WorkerServerConfig>, deps: SourceDeps): Wire {
  const { config, trusted } = server
  const client = deps.egress.open({ trusted, allow: config.allow_addresses, connections: config.max_concurrency })
  const exchange = createExchange(server, deps, client)
  return {
    health: async (signal) => {
      const response = await exchange({ method: 'GET', path: '/health', signal, timeoutMs: config.timeout_ms })
      const { status } = health.safeParse(readJson(config, expectOk(config, response))).data ?? { status: 'no status' }
      if (status !== 'ok') throw new Problem(UNREACHABLE, `The worker ${config.name} says it is not well: "${status}".`)
    },
    tools: async (signal) => {
      const tooMuch = (): Problem => listsTooMuch(config.name, `${LIST_LIMITS.bytes} bytes`)
      const wanted = { method: 'GET', path: '/tools', signal, timeoutMs: config.timeout_ms } as const
      const response = await exchange({ ...wanted, maxBytes: LIST_LIMITS.bytes }).catch((error: unknown) => {
        throw isProblem(error, TOO_LARGE) ? tooMuch() : error
      })
      expectOk(config, response)
      if (response.body.length > LIST_LIMITS.bytes) throw tooMuch()
      const tools = readJson(config, response)
      if (!Array.isArray(tools)) throw brokenReply(config, 'its tools are not a JSON array')
      if (tools.length > LIST_LIMITS.items) throw listsTooMuch(config.name, `${LIST_LIMITS.items} definitions`)
      return tools
    },
    invoke: async ({ body, headers, identity, signal, timeoutMs }) => {
      const response = await exchange({
        method: 'POST',
        path: '/tools/invoke',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        identity,
        signal,
        timeoutMs,
      })
      if (response.status === 404) return 'no-such-tool'
      const read = invokeResponse.safeParse(readJson(config, expectOk(config, response)))
      if (!read.success)
        throw brokenReply(config, `its answer is not a tool response (${read.error.issues[0]?.message})`)
      return read.data
    },
    close: () => client.close(),
  }
}

type Exchanger = (exchange: Exchange) => Promise<EgressResponse>

/** One request to a worker, with everything that it wants to see of us. */
function createExchange(
  { config }: ServerOf<WorkerServerConfig>,
  deps: SourceDeps,
  client: ReturnType<SourceDeps['egress']['open']>,
): Exchanger {
  const token = createWorkerToken({ secret: new Secret(config.secret), clock: deps.clock })
  const base = `${config.url.replace(/\/+$/, '').replace(/\/worker$/, '')}/worker`
  const agent = `${deps.house.name}/${deps.house.version}`
  const own = identityOfHouse(deps.signIdentity, config)
  return async ({
    method,
    path,
    signal,
    timeoutMs,
    headers,
    body,
    maxBytes = Infinity,
    identity = own,
  }: Exchange): Promise<EgressResponse> => {
    const isOpen = path === '/health' || config.secret === '' // a probe comes without one
    const secret = isOpen ? {} : { authorization: `Bearer ${await token()}` }
    const credentials = { ...secret, ...(identity === undefined ? {} : { 'gatehouse-identity': identity() }) }
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      return await client.request({
        url: `${base}${path}`,
        method,
        headers: { accept: 'application/json', 'user-agent': agent, ...headers },
        credentials,
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.any([signal, deadline]),
        maxBytes: Math.min(config.max_result_bytes, maxBytes),
        idleTimeoutMs: timeoutMs + 1_000,
      })
    } catch (error) {
      if (signal.aborted) throw new Problem(CANCELLED, `The call to ${config.name} was cancelled.`, { cause: error })
      if (deadline.aborted) throw timedOut(config, timeoutMs, error)
      throw failedExchange(config, error)
    }
  }
}

function expectOk(config: WorkerServerConfig, response: EgressResponse): EgressResponse {
  if (response.status === 401 || response.status === 403) {
    throw new Problem(
      NEEDS_CONSENT,
      `The worker ${config.name} refused our secret (HTTP ${response.status}). Set the server's "secret" to the worker's ARCADE_WORKER_SECRET.`,
    )
  }
  if (response.status === 404) {
    throw brokenReply(
      config,
      `it has no ${new URL(response.url).pathname} (HTTP 404); is the URL right, and its worker secret set?`,
    )
  }
  if (response.status < 200 || response.status > 299) throw brokenReply(config, `it answered HTTP ${response.status}`)
  return response
}

function readJson(config: WorkerServerConfig, response: EgressResponse): unknown {
  try {
    return JSON.parse(response.body.toString('utf8'))
  } catch (cause) {
    throw new Problem(BROKEN_REPLY, `The worker ${config.name} sent something that is not JSON.`, { cause })
  }
}

function brokenReply(config: WorkerServerConfig, what: string): Problem {
  return new Problem(BROKEN_REPLY, `The worker ${config.name} cannot be understood: ${what}.`)
}

function timedOut(config: WorkerServerConfig, timeoutMs: number, cause: unknown): Problem {
  return new Problem(TIMED_OUT, `The worker ${config.name} did not answer within ${timeoutMs} ms.`, { cause })
}

function failedExchange(config: WorkerServerConfig, cause: unknown): Problem {
  if (isProblem(cause, EGRESS_BLOCKED)) return restated(BLOCKED_ADDRESS, cause)
  if (isProblem(cause, RESPONSE_TOO_LARGE)) return restated(TOO_LARGE, cause)
  const reason = cause instanceof Error ? cause.message || String(Reflect.get(cause, 'code')) : String(cause)
  return new Problem(UNREACHABLE, `The worker ${config.name} could not be reached: ${reason}.`, { cause })
}

function restated(kind: ProblemKind, cause: Problem): Problem {
  return new Problem(kind, cause.message, { ...cause.extra, cause })
}
