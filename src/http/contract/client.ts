import { isJsonObject, Problem } from '#kernel'
import type { Contract, Operation, Received, Sent } from './contract.ts'
import { readLines } from './read-lines.ts'
import { NO_ANSWER, STRANGE_ANSWER } from './problems.ts'

export type ClientOptions = {
  readonly baseUrl: string
  readonly token: string
  /** A house in this process (`gatehouse.fetch`), or the global `fetch`. */
  readonly fetch: (request: Request) => Promise<Response>
  /** Time for an answer to begin. */
  readonly timeoutMs?: number
}

type CallOptions = { readonly signal?: AbortSignal }

/** One function an operation, with its name. Parts that the operation declares are given by name. */
export type Client<C extends Contract> = {
  readonly [Name in keyof C]: keyof Sent<C[Name]> extends never
    ? (sent?: Record<string, never>, options?: CallOptions) => Promise<Received<C[Name]>>
    : (sent: Sent<C[Name]>, options?: CallOptions) => Promise<Received<C[Name]>>
}

/** Calls the API of a house. Throws the Problem it answered with, and a Problem when there is no such answer. */
export function createClient<C extends Contract>(options: ClientOptions, contract: C): Client<C> {
  const verbs = Object.entries(contract).map(([name, operation]) => [
    name,
    (sent: SentParts = {}, call: CallOptions = {}) => send(options, operation, { sent, call }),
  ])
  // Each verb has the types of the operation it was made from.
  return Object.fromEntries(verbs) as Client<C>
}

type SentParts = { params?: object; query?: object; body?: unknown }

async function send(
  options: ClientOptions,
  operation: Operation,
  { sent, call }: { sent: SentParts; call: CallOptions },
): Promise<unknown> {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs ?? 300_000)
  const signal = call.signal ? AbortSignal.any([deadline.signal, call.signal]) : deadline.signal
  try {
    const request = toRequest(options, operation, { sent, signal })
    const response = await options.fetch(request).catch((cause: unknown) => {
      if (call.signal?.aborted === true) throw cause
      throw new Problem(NO_ANSWER, `Nothing answers at ${options.baseUrl}. Is the house running?`, { cause })
    })
    return await receive(operation, response, request.signal)
  } finally {
    clearTimeout(timer)
  }
}

function toRequest(
  options: ClientOptions,
  operation: Operation,
  { sent, signal }: { sent: SentParts; signal: AbortSignal },
): Request {
  const values = new Map(Object.entries(sent.params ?? {}))
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(`${values.get(name)}`))
  const url = new URL(path, options.baseUrl)
  for (const [key, value] of Object.entries(sent.query ?? {}))
    if (value !== undefined) url.searchParams.set(key, String(value))
  const headers = new Headers({ authorization: `Bearer ${options.token}`, accept: 'application/json, */*;q=0.1' })
  if (sent.body === undefined) return new Request(url, { method: operation.method, headers, signal })
  headers.set('content-type', 'application/json')
  return new Request(url, { method: operation.method, headers, signal, body: JSON.stringify(sent.body) })
}

async function receive(operation: Operation, response: Response, signal: AbortSignal): Promise<unknown> {
  if (!response.ok) throw await problemOf(response)
  if (!operation.reply) return undefined
  const { reply } = operation
  if (operation.stream) return readLines(response, signal, (line) => reply.parse(line))
  const parsed = reply.safeParse(await response.json().catch(() => undefined))
  if (parsed.success) return parsed.data
  const detail = `The answer to ${operation.method} ${operation.path} is not what this version expects.`
  throw new Problem(STRANGE_ANSWER, `${detail} Is the running house of another version?`, { cause: parsed.error })
}

/** The Problem a house answered with, as if it had been thrown here. */
async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => undefined)
  const type = isJsonObject(body) ? body['type'] : undefined
  if (!isJsonObject(body) || typeof type !== 'string') {
    return new Problem(STRANGE_ANSWER, `The answer was ${response.status}, without saying why.`)
  }
  const { type: _type, title, status: _status, detail, ...extra } = body
  const code = type.replace(/^urn:problem:/, '')
  const kind = { code, status: response.status, title: typeof title === 'string' ? title : code }
  return new Problem(kind, typeof detail === 'string' ? detail : kind.title, extra)
}
