/**
 * The reference server: three tools that live in the house itself, so that a first start has something to call, and a
 * new kind of source something to be copied from. No network, no process, no state: `sync` tells what there is, `call`
 * answers at once. The tools are in `reference-tools.ts`.
 */
import { Payload } from '../../payload.ts'
import type { BuiltinServerConfig } from '../../config.ts'
import type { Offer, Reply, Source, SourceCall } from '../../source.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import { REFERENCE_TOOLS } from './reference-tools.ts'

const METHOD_NOT_FOUND = -32601
const INVALID_PARAMS = -32602
const NOTHING_HELD = { sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 }

/** A source whose server is this process. It is always there; a call fails only for what the caller sent. */
export function createBuiltinSource(server: ServerOf<BuiltinServerConfig>, deps: Pick<SourceDeps, 'house'>): Source {
  const offer = describe(server, deps)
  return {
    sync: async () => offer,
    call: async (call) => answer(call),
    endSession: async () => {},
    usage: () => NOTHING_HELD,
    close: async () => {},
  }
}

function describe({ config }: ServerOf<BuiltinServerConfig>, { house }: Pick<SourceDeps, 'house'>): Offer {
  return {
    era: 'builtin',
    serverInfo: { name: `${house.name}-${config.builtin}`, title: 'Reference server', version: house.version },
    capabilities: { tools: {} },
    instructions: 'Three tools to try a gateway with: echo, add and whoami. They change nothing.',
    tools: REFERENCE_TOOLS.map((tool) => tool.definition),
    resources: [],
    templates: [],
    prompts: [],
  }
}

function answer({ method, params, session }: SourceCall): Reply {
  if (method !== 'tools/call') return failed(METHOD_NOT_FOUND, `the reference server has tools only, no ${method}`)
  const tool = REFERENCE_TOOLS.find(({ definition }) => definition['name'] === params['name'])
  if (tool === undefined) return failed(INVALID_PARAMS, `unknown tool: ${JSON.stringify(params['name'])}`)
  const result = tool.run(params['arguments'] ?? {}, session)
  return { kind: 'complete', result: Payload.ofValue(result), isError: result['isError'] === true }
}

function failed(code: number, message: string): Reply {
  return { kind: 'error', error: { code, message } }
}
