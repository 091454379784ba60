import type { Context, Hono } from 'hono'
import { Problem } from '#kernel'
import type { Log } from '#telemetry'
import { answerError, answerJson, answerLines, answerProblem } from './answer.ts'
import type { Caller, CallerFor } from './caller.ts'
import type { Access, Answered, Contract, Operation, Parsed } from './contract.ts'
import { parseRequest } from './parse.ts'
import { peerAddress } from './peer.ts'
import { WRONG_METHOD } from './problems.ts'

/** Who asks and from where, next to the parsed parts. */
export type HandlerContext<C extends Caller = Caller> = {
  readonly caller: C
  readonly signal: AbortSignal
  readonly remoteAddress: string
  readonly headers: Headers
}

export type Handlers<C extends Contract> = {
  readonly [Name in keyof C]: (
    input: Parsed<C[Name]>,
    context: HandlerContext<CallerFor<C[Name]['access']>>,
  ) => Answered<C[Name]> | Promise<Answered<C[Name]>>
}

export type MountOptions = {
  readonly log: Log
  /** Lets the caller in, or throws a Problem that says what to do. Runs before anything of the request is read. */
  readonly authorize: (access: Access, request: { headers: Headers; remoteAddress: string }) => Caller
  /** Stands around every use of an operation, so that someone writes down how it ended. */
  readonly witness?: Witness
}

/** One use of an operation. `caller` is set once it is known who asks. */
export type Use = {
  readonly operationId: string
  readonly operation: Operation
  readonly headers: Headers
  readonly remoteAddress: string
  caller?: Caller
}
/** Runs what is to be done and answers with what came of it; what it throws is answered in its place. */
export type Witness = <T>(use: Use, run: () => Promise<T>) => Promise<T>

/** Makes routes of a contract. A path of it that is asked with another method is answered with 405 and `Allow`. */
export function mountContract<C extends Contract>(
  app: Hono,
  contract: C,
  handlers: Handlers<C>,
  options: MountOptions,
): void {
  const methods = new Map<string, string[]>()
  for (const [name, operation] of Object.entries(contract)) {
    // The handler of this very operation; the loop loses which one it is.
    const handle = handlers[name] as unknown as Handle
    const path = operation.path.replaceAll(/\{(\w+)\}/g, ':$1')
    app.on(operation.method, path, (context) => answer(context, { operationId: name, operation, handle, options }))
    methods.set(path, [...(methods.get(path) ?? []), operation.method])
  }
  for (const [path, allowed] of methods) app.all(path, (context) => refuseMethod(context, allowed))
}

type Handle = (input: object, context: HandlerContext) => unknown
type Mounted = { operationId: string; operation: Operation; handle: Handle; options: MountOptions }

const nobodyWatches: Witness = (_use, run) => run()

async function answer(context: Context, mounted: Mounted): Promise<Response> {
  const { operationId, operation, options } = mounted
  const request = context.req.raw
  const { witness = nobodyWatches } = options
  try {
    const use: Use = { operationId, operation, headers: request.headers, remoteAddress: peerAddress(request) }
    return await witness(use, () => perform(context, mounted, use))
  } catch (error) {
    return answerError(error, { method: operation.method, path: operation.path, log: options.log })
  }
}

async function perform(context: Context, { operation, handle, options }: Mounted, use: Use): Promise<Response> {
  const request = context.req.raw
  const from = { headers: use.headers, remoteAddress: use.remoteAddress }
  const caller = (use.caller = options.authorize(operation.access, from))
  const input = await parseRequest(operation, request, context.req.param())
  const result = await handle(input, { caller, signal: request.signal, ...from })
  if (!operation.reply) return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  if (operation.stream) {
    const mayHear = () => options.authorize(operation.access, from)
    const report = { method: operation.method, path: operation.path, log: options.log }
    return answerLines(linesOf(operation, result, mayHear), (error) => answerError(error, report))
  }
  return answerJson(operation.reply.parse(result), operation.status)
}

/** Asked before every line: a stream outlives the key that opened it, and must tell nothing more once it has ended. */
async function* linesOf(operation: Operation, result: unknown, mayHear: () => unknown): AsyncGenerator<unknown> {
  // A stream's handler answers with an AsyncIterable by its type.
  for await (const line of result as AsyncIterable<unknown>) {
    mayHear()
    yield operation.reply?.parse(line)
  }
}

function refuseMethod(context: Context, allowed: readonly string[]): Response {
  const allow = allowed.join(', ')
  const problem = new Problem(WRONG_METHOD, `${context.req.method} is not used at ${context.req.path}; use ${allow}.`)
  return answerProblem(problem, { allow })
}
