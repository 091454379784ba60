import { isJsonObject, type JsonObject } from '#kernel'
import type { Policy, Thing } from '#policy'
import { mayUse, type Wanted } from '../call/authorize.ts'
import type { CallerSession, Definition } from '../source.ts'
import type { Admission, ListKind } from '../tools.ts'
import { nameOf, templateOf, thingOf, uriOf, type GatewayView } from '../views/view.ts'

type Asked = Pick<Policy, 'decide'>

const USES = { tools: 'call', prompts: 'prompt', resources: 'read', templates: 'read' } as const

/**
 * What of a list this caller may use, by the very decision that a call of it would get. Callers who see the same share
 * one frozen array, whose JSON is made once; whoever sees everything gets the view's own.
 */
export function visible(
  policy: Asked,
  admission: Admission,
  listed: { view: GatewayView; kind: ListKind; session?: CallerSession },
): readonly Definition[] {
  const { view, kind, session } = listed
  const all = view[kind]
  let mask = ''
  const shown = all.filter((item) => {
    const wanted = { action: USES[kind], ...thingsOf(view, kind, item), ...(session === undefined ? {} : { session }) }
    const isVisible = mayUse(policy, admission, wanted).effect === 'allow'
    mask += isVisible ? '1' : '0'
    return isVisible
  })
  return shown.length === all.length ? all : shared(all, mask, shown)
}

const MAX_PARTS = 1_000
const parts = new WeakMap<readonly Definition[], Map<string, readonly Definition[]>>()

function shared(all: readonly Definition[], mask: string, part: readonly Definition[]): readonly Definition[] {
  const known = parts.get(all) ?? new Map<string, readonly Definition[]>()
  parts.set(all, known)
  const same = known.get(mask)
  if (same !== undefined) return same
  if (known.size >= MAX_PARTS) known.clear()
  known.set(mask, Object.freeze(part))
  return part
}

function thingsOf(view: GatewayView, kind: ListKind, item: Definition): Pick<Wanted, 'things' | 'pages'> {
  switch (kind) {
    case 'tools':
      return only(view.toolByName.get(nameOf(item)))
    case 'prompts':
      return only(view.promptByName.get(nameOf(item)))
    case 'resources':
    case 'templates': {
      const found = view.resourceByUri.get(kind === 'resources' ? uriOf(item) : templateOf(item))
      return { ...only(found), pages: found?.pages ?? [] }
    }
  }
}

function only(bound: { readonly thing: Thing } | undefined): { things: readonly Thing[] } {
  return { things: bound === undefined ? [] : [bound.thing] }
}

/** One tool as the list would show it; null where it would not. */
export function findTool(
  policy: Asked,
  admission: Admission,
  wanted: { view: GatewayView; name: string },
): Definition | null {
  const binding = wanted.view.toolByName.get(wanted.name)
  if (binding === undefined) return null
  const verdict = mayUse(policy, admission, { action: 'call', things: [binding.thing] })
  return verdict.effect === 'allow' ? binding.shown : null
}

/** What the gateway offers, less that of which this caller would find nothing. */
export function capabilitiesFor(policy: Asked, admission: Admission, view: GatewayView): JsonObject {
  const { resources, prompts, ...rest } = view.capabilities
  const hasAny = (kind: ListKind): boolean =>
    view[kind].length > 0 && visible(policy, admission, { view, kind }).length > 0
  const showsPrompts = prompts !== undefined && (view.prompts.length === 0 || hasAny('prompts'))
  const showsResources =
    resources !== undefined && (hasAny('resources') || hasAny('templates') || mayReadMore(policy, admission, view))
  if (showsPrompts === (prompts !== undefined) && showsResources === (resources !== undefined)) return view.capabilities
  return { ...rest, ...(showsResources ? { resources } : {}), ...(showsPrompts ? { prompts } : {}) }
}

/** A call that waits for an approval may be a task, whether its server knows tasks or not. */
export function withTasks(capabilities: JsonObject): JsonObject {
  const extensions = isJsonObject(capabilities['extensions']) ? capabilities['extensions'] : {}
  return extensions[TASKS] === undefined
    ? { ...capabilities, extensions: { ...extensions, [TASKS]: {} } }
    : capabilities
}

const TASKS = 'io.modelcontextprotocol/tasks'

/** Servers may have resources that they do not list. */
function mayReadMore(policy: Asked, admission: Admission, view: GatewayView): boolean {
  return view.resourceServers.some((server) => {
    const thing = thingOf(view.config, server, { kind: 'resource', name: '' })
    return mayUse(policy, admission, { action: 'read', things: [thing] }).effect === 'allow'
  })
}
