import { randomUUID } from 'node:crypto'
import { type JsonObject, isJsonObject } from '#kernel'
import type { Log } from '#telemetry'
import type { WorkerServerConfig } from '../../config.ts'
import type { CallerPort, Offer, Reply, Source, SourceCall } from '../../source.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import { type WorkerTool, toMcpTool, toWorkerTool } from './definition.ts'
import { authorizationNeeded, secretsMissing, toReply } from './result.ts'
import { type InvokeResponse, type ToolLog, toolDefinition } from './schema.ts'
import { type Wire, createWire } from './wire.ts'

/** Makes the source for one worker. Nothing is dialled before the first sync or call. */
export function createWorkerSource(server: ServerOf<WorkerServerConfig>, deps: SourceDeps): Source {
  const worker: Worker = {
    config: server.config,
    deps,
    log: deps.log.child({ server: server.config.name }),
    wire: createWire(server, deps),
    tools: undefined,
  }
  return {
    sync: (signal) => sync(worker, signal),
    call: (call, port) => callTool(worker, call, port),
    endSession: async () => undefined,
    usage: () => ({ sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 }),
    close: () => worker.wire.close(),
  }
}

type Worker = {
  readonly config: WorkerServerConfig
  readonly deps: SourceDeps
  readonly log: Log
  readonly wire: Wire
  /** By MCP name, as of the last time the worker told; unset until then. */
  tools: ReadonlyMap<string, WorkerTool> | undefined
}

async function sync(worker: Worker, signal: AbortSignal): Promise<Offer> {
  await worker.wire.health(signal)
  const tools = await loadTools(worker, signal)
  return {
    era: 'worker',
    serverInfo: { name: worker.config.name, version: 'worker protocol 1.0' },
    capabilities: { tools: {}, logging: {} },
    tools: [...tools.values()].map(toMcpTool),
    resources: [],
    templates: [],
    prompts: [],
  }
}

/** Makes one invocation, read from top to bottom; every early return is a reason for which the worker was not asked. */
async function callTool(worker: Worker, call: SourceCall, port: CallerPort): Promise<Reply> {
  if (call.method !== 'tools/call') return rpcError(-32601, `A worker has only tools; it cannot do ${call.method}.`)
  const tool = (worker.tools ?? (await loadTools(worker, call.signal))).get(nameOf(call))
  if (!tool) return unknownTool(call)
  // Without the user's credential such a tool can only fail, after it may have done something.
  if (tool.definition.requirements?.authorization) return authorizationNeeded(tool)
  const secrets = collectSecrets(tool, worker.config.secrets)
  if (secrets.missing.length > 0) return secretsMissing(tool, secrets.missing)

  const response = await worker.wire.invoke({
    body: toInvocation({ worker, tool, call, secrets: secrets.found }),
    headers: traceHeaders(call),
    identity: call.identity,
    signal: call.signal,
    timeoutMs: call.timeoutMs,
  })
  if (response === 'no-such-tool') {
    worker.deps.events.listChanged()
    return unknownTool(call)
  }
  passLogs(tool, call, { logs: response.output?.logs ?? [], port })
  keepDeveloperFacts(worker, tool, response)
  return toReply(tool, response)
}

async function loadTools(worker: Worker, signal: AbortSignal): Promise<ReadonlyMap<string, WorkerTool>> {
  const tools = new Map<string, WorkerTool>()
  for (const sent of await worker.wire.tools(signal)) {
    const read = toolDefinition.safeParse(sent)
    if (!read.success) {
      const name = isJsonObject(sent) ? sent.fully_qualified_name : undefined
      worker.log.warn({ tool: name, reason: read.error.issues[0]?.message }, 'left out a tool that cannot be read')
      continue
    }
    const tool = toWorkerTool(read.data)
    if (tools.has(tool.name)) worker.log.warn({ tool: tool.name }, 'left out a second tool of the same name')
    else tools.set(tool.name, tool)
  }
  worker.tools = tools
  return tools
}

type Secrets = { readonly found: readonly { key: string; value: string }[]; readonly missing: readonly string[] }

/** Only what this tool asks for leaves the house. Workers compare secret names without regard to case. */
function collectSecrets(tool: WorkerTool, configured: Readonly<Record<string, string>>): Secrets {
  const values = new Map(Object.entries(configured).map(([key, value]) => [key.toLowerCase(), value]))
  const asked = (tool.definition.requirements?.secrets ?? []).map(({ key }) => key)
  return {
    found: asked.flatMap((key) => {
      const value = values.get(key.toLowerCase())
      return value === undefined ? [] : [{ key, value }]
    }),
    missing: asked.filter((key) => !values.has(key.toLowerCase())),
  }
}

type InvocationParts = { worker: Worker; tool: WorkerTool; call: SourceCall; secrets: Secrets['found'] }

function toInvocation({ worker, tool, call, secrets }: InvocationParts): JsonObject {
  const { name, toolkit, requirements } = tool.definition
  const metadata = (requirements?.metadata ?? []).flatMap(({ key }) => {
    // Of Arcade's two keys only this one means something here: there is no coordinator.
    return key.toLowerCase() === 'client_id' ? [{ key, value: worker.deps.house.name }] : []
  })
  return {
    run_id: randomUUID(),
    execution_id: randomUUID(),
    created_at: new Date(worker.deps.clock.now()).toISOString(),
    tool: { name, toolkit: toolkit.name, version: toolkit.version ?? null },
    inputs: isJsonObject(call.params.arguments) ? call.params.arguments : {},
    context: {
      user_id: call.session.userId,
      ...(secrets.length > 0 ? { secrets } : {}),
      ...(metadata.length > 0 ? { metadata } : {}),
    },
  }
}

function traceHeaders({ trace }: SourceCall): Record<string, string> {
  return {
    ...(trace?.traceparent ? { traceparent: trace.traceparent } : {}),
    ...(trace?.tracestate ? { tracestate: trace.tracestate } : {}),
    ...(trace?.baggage ? { baggage: trace.baggage } : {}),
  }
}

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
const MAX_LOGS = 1_000

function passLogs(tool: WorkerTool, call: SourceCall, from: { logs: readonly ToolLog[]; port: CallerPort }): void {
  if (call.logLevel === undefined) return
  const least = LEVELS.indexOf(call.logLevel)
  for (const { level, message } of from.logs.slice(0, MAX_LOGS)) {
    if (LEVELS.indexOf(level) >= least) from.port.message({ level, logger: tool.name, data: message })
  }
}

const MAX_DEVELOPER_TEXT = 2_000

/** These tell how the tool works inside, so they are for whoever runs the house and never for the caller. */
function keepDeveloperFacts(worker: Worker, tool: WorkerTool, { output }: InvokeResponse): void {
  const error = output?.error
  if (!error) return
  worker.log.debug(
    {
      tool: tool.name,
      errorKind: error.kind,
      developerMessage: error.developer_message?.slice(0, MAX_DEVELOPER_TEXT),
      stacktrace: error.stacktrace?.slice(0, MAX_DEVELOPER_TEXT),
    },
    'a worker tool failed',
  )
}

function nameOf({ params }: SourceCall): string {
  return typeof params.name === 'string' ? params.name : ''
}

function unknownTool(call: SourceCall): Reply {
  return rpcError(-32602, `Unknown tool: ${nameOf(call).slice(0, 200)}`)
}

function rpcError(code: number, message: string): Reply {
  return { kind: 'error', error: { code, message } }
}
