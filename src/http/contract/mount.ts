import type { Context, Hono } from 'hono'
import { Problem } from '#kernel'
import type { Log } from '#telemetry'
import { actionOf, subjectIn, subjectInPath, type AdminAction } from './admin-action.ts'
import { answerError, answerJson, answerLines, answerProblem } from './answer.ts'
import type { Admission, Caller, CallerFor, Grounds, Refused } from './caller.ts'
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
  /**
   * Lets the caller in, or says what to do. Asked before anything of the request is read, and once more where only the
   * request tells what it is about.
   */
  readonly authorize: (
    access: Access,
    request: { headers: Headers; remoteAddress: string },
    action: AdminAction,
  ) => Admission
  /** Stands around every use of an operation, so that someone writes down how it ended. */
  readonly witness?: Witness
}

/** One use of an operation. The last members are set once they are known. */
export type Use = {
  readonly operationId: string
  readonly operation: Operation
  readonly headers: Headers
  readonly remoteAddress: string
  caller?: Caller
  /** Whose credential was refused. */
  by?: Refused | undefined
  action?: AdminAction
  grounds?: Grounds | undefined
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
  const { headers, remoteAddress } = use
  const path = context.req.param()
  const early = subjectInPath(operation, path)
  const stranger = letIn(options, use, early)
  const input = await parseRequest(operation, request, path)
  const about = early === 'unread' ? subjectIn(operation, input) : early
  const caller = early === 'unread' ? letIn(options, use, about) : stranger
  const result = await handle(input, { caller, signal: request.signal, headers, remoteAddress })
  if (!operation.reply) return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  if (operation.stream) {
    const mayHear = () => letIn(options, { ...use }, about)
    const report = { method: operation.method, path: operation.path, log: options.log }
    return answerLines(linesOf(operation, result, mayHear), (error) => answerError(error, report))
  }
  return answerJson(operation.reply.parse(result), operation.status)
}

function letIn({ authorize }: MountOptions, use: Use, about: AdminAction['about']): Caller {
  const { operationId, operation, headers, remoteAddress } = use
  use.action = actionOf(operationId, operation, about)
  const admission = authorize(operation.access, { headers, remoteAddress }, use.action)
  use.grounds = admission.grounds
  if ('caller' in admission) return (use.caller = admission.caller)
  use.by = admission.by
  throw admission.refused
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
