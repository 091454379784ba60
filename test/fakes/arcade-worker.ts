/**
 * A strict fake of an Arcade worker: what answers, refuses and fails here does so as Arcade's own Python worker does on
 * the wire (compared with `arcade-serve` 3.6.0 in `arcade-worker.test.ts`, when that is installed). It records every
 * context it was given, so a test can see whose user id, token and secrets went where.
 */
import * as z from 'zod'
import { checkToken } from './arcade/auth.ts'
import { arcadeTools, definitionOf, type ArcadeTool, type CallContext } from './arcade/tools.ts'
import { failure } from './arcade/errors.ts'
import { readInputs } from './arcade/inputs.ts'
import { listen, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'

export type Invocation = {
  readonly tool: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly context: CallContext
  readonly runId: string | undefined
  readonly executionId: string | undefined
}

export type ArcadeWorker = Listening & {
  readonly secret: string
  readonly invocations: Journal<Invocation>
  /** One entry per request that was turned away, with the reason given. */
  readonly refusals: Journal<string>
  /** Takes a tool out of the catalog, or puts it back. */
  setListed(fullName: string, listed: boolean): void
}

/** `flavour` chooses whose refusals are spoken: the Python worker's or the TypeScript one's. */
export type ArcadeWorkerOptions = { secret?: string; port?: number; flavour?: 'python' | 'typescript'; guard?: Guard }

/** Why a request is refused before anything else is looked at; undefined when it may pass. */
type Guard = (req: IncomingMessage) => Promise<string | undefined>

type Worker = Required<Omit<ArcadeWorkerOptions, 'port' | 'guard'>> & {
  readonly guard: Guard | undefined
  readonly hidden: Set<string>
  readonly invocations: Journal<Invocation>
  readonly refusals: Journal<string>
}

export async function startArcadeWorker(options: ArcadeWorkerOptions = {}): Promise<ArcadeWorker> {
  const worker: Worker = {
    secret: options.secret ?? 'a worker secret of at least 32 bytes',
    flavour: options.flavour ?? 'python',
    guard: options.guard,
    hidden: new Set(),
    invocations: createJournal(),
    refusals: createJournal(),
  }
  const http = await listen((req, res) => void handle(worker, req, res).catch(() => crash(res)), {
    port: options.port ?? 0,
    path: '',
  })
  return {
    ...http,
    secret: worker.secret,
    invocations: worker.invocations,
    refusals: worker.refusals,
    setListed: (name, listed) => void (listed ? worker.hidden.delete(name) : worker.hidden.add(name)),
  }
}

const routes: Record<string, { method: string; isOpen: boolean; answer: (call: Exchange) => Promise<void> | void }> = {
  '/worker/health': { method: 'GET', isOpen: true, answer: health },
  '/worker/tools': { method: 'GET', isOpen: false, answer: catalog },
  '/worker/tools/invoke': { method: 'POST', isOpen: false, answer: invoke },
  '/worker/resources/list': { method: 'POST', isOpen: false, answer: listResources },
  '/worker/resources/read': { method: 'POST', isOpen: false, answer: readResource },
}

type Exchange = { readonly worker: Worker; readonly req: IncomingMessage; readonly res: ServerResponse }

async function handle(worker: Worker, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const refused = await worker.guard?.(req)
  if (refused !== undefined) return refuse(worker, res, refused)
  const route = routes[new URL(req.url ?? '/', 'http://worker').pathname]
  if (route === undefined) return sendJson(res, 404, { detail: 'Not Found' })
  if (req.method !== route.method) return sendJson(res, 405, { detail: 'Method Not Allowed' }, { allow: route.method })
  if (!route.isOpen) {
    const problem = await checkToken(req.headers.authorization, worker.secret)
    if (problem !== undefined) return refuse(worker, res, problem)
  }
  await route.answer({ worker, req, res })
}

function refuse(worker: Worker, res: ServerResponse, detail: string): void {
  worker.refusals.add(detail)
  if (worker.flavour === 'typescript') return sendJson(res, 401, { error: 'Unauthorized' })
  sendJson(res, 401, { detail }, { 'www-authenticate': 'Bearer' })
}

function health({ worker, res }: Exchange): void {
  sendJson(res, 200, { status: 'ok', tool_count: String(listedTools(worker).length) })
}

function catalog({ worker, res }: Exchange): void {
  sendJson(res, 200, listedTools(worker).map(definitionOf))
}

function listedTools(worker: Worker): ArcadeTool[] {
  return arcadeTools.filter((tool) => !worker.hidden.has(`${tool.toolkit}.${tool.name}`))
}

const requestSchema = z.object({
  run_id: z.string().nullish(),
  execution_id: z.string().nullish(),
  created_at: z.string().nullish(),
  tool: z.object({ name: z.string(), toolkit: z.string(), version: z.string().nullish() }),
  inputs: z.record(z.string(), z.unknown()).nullish(),
  context: z
    .object({
      user_id: z.string().nullish(),
      authorization: z
        .object({ token: z.string().nullish(), user_info: z.record(z.string(), z.unknown()).optional() })
        .nullish(),
      secrets: z.array(z.object({ key: z.string(), value: z.string() })).nullish(),
      metadata: z.array(z.object({ key: z.string(), value: z.string() })).nullish(),
    })
    .default({}),
})

async function invoke({ worker, req, res }: Exchange): Promise<void> {
  const body = await readParams(req, res, requestSchema)
  if (body === undefined) return
  const fullName = `${body.tool.toolkit}.${body.tool.name}`
  const tool = listedTools(worker).find((one) => sameName(`${one.toolkit}.${one.name}`, fullName))
  if (tool === undefined || typeof body.tool.version === 'string') {
    if (worker.flavour === 'typescript') return sendJson(res, 404, { error: `Tool '${fullName}' not found` })
    return crash(res)
  }
  worker.invocations.add({
    tool: `${tool.toolkit}.${tool.name}`,
    inputs: body.inputs ?? {},
    context: body.context,
    runId: body.run_id ?? undefined,
    executionId: body.execution_id ?? undefined,
  })
  const startedAt = performance.now()
  const output = { value: null, logs: null, error: null, requires_authorization: null, ...run(tool, body) }
  sendJson(res, 200, {
    execution_id: body.execution_id ?? '',
    finished_at: new Date().toISOString().replace('Z', '000'),
    duration: performance.now() - startedAt,
    success: output.error === null,
    output,
  })
}

/** A tool that fails is an answer with status 200; only a tool that does not exist is an error of the worker. */
function run(tool: ArcadeTool, body: z.infer<typeof requestSchema>): Record<string, unknown> {
  try {
    const inputs = readInputs(tool, body.inputs ?? {})
    const output = tool.run({ inputs, context: body.context })
    if (tool.deprecation === undefined) return output
    const log = { message: tool.deprecation, level: 'warning', subtype: 'deprecation' }
    return { ...output, logs: [log] }
  } catch (error) {
    return { error: failure(tool, error) }
  }
}

function listResources({ res }: Exchange): void {
  sendJson(res, 200, { resources: [] })
}

async function readResource({ req, res }: Exchange): Promise<void> {
  const params = await readParams(req, res, z.object({ uri: z.string() }))
  if (params !== undefined) sendJson(res, 404, { code: -32002, message: `Resource not found: ${params.uri}` })
}

/** Reads and checks a body; answers 400 itself when it is not what it should be. */
async function readParams<T>(req: IncomingMessage, res: ServerResponse, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readText(req)
  const object = z.record(z.string(), z.unknown()).safeParse(parseJson(text === '' ? '{}' : text))
  if (!object.success) {
    sendJson(res, 400, { code: -32602, message: 'Invalid params: malformed request body' })
    return undefined
  }
  const params = schema.safeParse(object.data)
  if (params.success) return params.data
  sendJson(res, 400, { code: -32602, message: `Invalid params: ${params.error.issues.length} error(s)` })
  return undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function sameName(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase()
}

function crash(res: ServerResponse): void {
  res.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end('Internal Server Error')
}
