import { isJsonObject, type JsonObject } from '#kernel'
import type { Thing } from '#policy'
import { thingOf, type GatewayView } from '../views/view.ts'
import type { KeptServer } from '../servers/kept-server.ts'
import type { CallRequest } from '../tools.ts'
import type { Target } from './attempt.ts'
import { INVALID_PARAMS, Refused, unknownTo } from './refused.ts'

/** A task at its server, or a call that is held here, and the tool that made it. */
export type OpenedTask = {
  readonly server: string
  readonly id: string
  readonly tool?: string
  readonly isHeld: boolean
}

/** What `resolve` needs to see of the house: one gateway's view and the servers behind it. */
export type ResolveDeps = {
  readonly view: GatewayView
  server(name: string): KeptServer | undefined
  openTaskId(taskId: string, request: CallRequest): OpenedTask | null
}

/**
 * Finds where a call goes. What the gateway does not show is unknown: the answer is the same whether it does not
 * exist, is not granted, or belongs to another gateway.
 */
export function resolve(deps: ResolveDeps, request: CallRequest): Target {
  switch (request.method) {
    case 'tools/call':
      return resolveTool(deps, request)
    case 'prompts/get':
      return resolvePrompt(deps, request, textOf(request.params['name'], 'name'))
    case 'resources/read':
      return resolveResource(deps, request)
    case 'completion/complete':
      return resolveCompletion(deps, request)
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return resolveTask(deps, request)
  }
}

function resolveTool(deps: ResolveDeps, request: CallRequest): Target {
  const name = textOf(request.params['name'], 'name')
  const binding = deps.view.toolByName.get(name)
  if (!binding) throw unknownTo(request)
  const { server, original, thing } = binding
  return { view: deps.view, server: serverOf(deps, server), original, binding, things: [thing] }
}

function resolvePrompt(deps: ResolveDeps, request: CallRequest, name: string): Target {
  const prompt = deps.view.promptByName.get(name)
  if (!prompt) throw unknownTo(request)
  const { server, original, thing } = prompt
  return { view: deps.view, server: serverOf(deps, server), original, things: [thing] }
}

function resolveResource(deps: ResolveDeps, request: CallRequest): Target {
  const uri = textOf(request.params['uri'], 'uri')
  const found = findResource(deps.view, uri)
  if (!found) throw unknownTo(request)
  const alias = found.original === uri ? {} : { alias: { shown: uri, original: found.original } }
  const { server, original, things, pages } = found
  return { view: deps.view, server: serverOf(deps, server), original, things, pages, ...alias }
}

export type FoundResource = Pick<Target, 'original' | 'things'> & {
  readonly server: string
  readonly pages: readonly Thing[]
}

/** Listed addresses first, then templates, then the one server that may have more than it lists. */
export function findResource(view: GatewayView, uri: string): FoundResource | undefined {
  const listed = view.resourceByUri.get(uri)
  if (listed) return { ...listed, things: [listed.thing] }
  const template = view.templateMatchers.find((candidate) => candidate.matches(uri))
  if (template) {
    const { server, thing } = template
    const original = unalias(uri, template)
    return { server, original, things: [thing, { ...thing, name: original, key: null }], pages: [] }
  }
  const only = view.resourceServers.length === 1 ? view.resourceServers[0] : undefined
  if (only === undefined) return undefined
  const thing = { ...thingOf(view.config, only, { kind: 'resource', name: uri }), key: null }
  return { server: only.name, original: uri, things: [thing], pages: [] }
}

/** An alias changes only the beginning of an address, so the rest is what both have in common at the end. */
function unalias(uri: string, template: { shown: string; original: string }): string {
  if (template.shown === template.original) return uri
  const added = template.shown.length - template.original.length
  if (template.original.startsWith('ui://')) return `ui://${uri.slice('ui://'.length + added)}`
  return uri.slice(added)
}

function resolveCompletion(deps: ResolveDeps, request: CallRequest): Target {
  const ref = request.params['ref']
  if (!isJsonObject(ref)) throw unknown('completion/complete needs "ref", a prompt or resource template reference')
  if (ref['type'] === 'ref/prompt') return resolvePrompt(deps, request, textOf(ref['name'], 'ref.name'))
  const uri = textOf(ref['uri'], 'ref.uri')
  const template = findResource(deps.view, uri)
  if (!template) throw unknownTo(request)
  const { server, original, things } = template
  return { view: deps.view, server: serverOf(deps, server), original, things }
}

function resolveTask(deps: ResolveDeps, request: CallRequest): Target {
  const taskId = textOf(request.params['taskId'], 'taskId')
  const task = deps.openTaskId(taskId, request)
  const server = task ? deps.server(task.server) : undefined
  if (!task || !server) throw unknownTo(request)
  const things = [taskThing(deps.view, server, task.tool ?? '')]
  return {
    view: deps.view,
    server,
    original: task.id,
    things,
    isHeld: task.isHeld,
    ...(task.tool === undefined ? {} : { tool: task.tool }),
  }
}

/** A task is as free as the tool that began it; one that the gateway shows no more is known by its name only. */
function taskThing(view: GatewayView, { config }: KeptServer, tool: string): Thing {
  const shown = view.toolByName.values().find(({ server, original }) => server === config.name && original === tool)
  return shown?.thing ?? thingOf(view.config, config, { kind: 'tool', name: tool })
}

/**
 * The parameters as the server knows them: its own names and addresses in place of the gateway's. An address that a
 * content rule has changed on its way is left as it is now, never put right again.
 */
export function toServerParams(request: CallRequest, screened: JsonObject, target: Target): JsonObject {
  switch (request.method) {
    case 'tools/call':
    case 'prompts/get':
      return screened['name'] === target.original ? screened : { ...screened, name: target.original }
    case 'resources/read':
      return screened['uri'] === target.alias?.shown ? { ...screened, uri: target.original } : screened
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return { ...screened, taskId: target.original }
    case 'completion/complete':
      return toServerRef(request, screened, target)
  }
}

function toServerRef(request: CallRequest, screened: JsonObject, target: Target): JsonObject {
  const [ref, asked] = [screened['ref'], request.params['ref']]
  if (!isJsonObject(ref) || !isJsonObject(asked)) return screened
  const key = ref['type'] === 'ref/prompt' ? 'name' : 'uri'
  return ref[key] === asked[key] ? { ...screened, ref: { ...ref, [key]: target.original } } : screened
}

function serverOf(deps: ResolveDeps, name: string): KeptServer {
  const server = deps.server(name)
  if (!server) throw unknown('This tool was just removed; list the tools again.')
  return server
}

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 8_192) return value
  throw new Refused('failed', { code: INVALID_PARAMS, message: `"${name}" must be a text of 1 to 8192 characters` })
}

function unknown(message: string): Refused {
  return new Refused('denied', { code: INVALID_PARAMS, message })
}
