import { isJsonObject, matchSegments, type Json, type JsonObject } from '#kernel'
import { describeThing, type Thing } from '#policy'
import type { CatalogEntry } from '../catalog/catalog.ts'
import type { GatewayConfig, RateLimit, ServerConfig } from '../config.ts'
import { aliasUri, type Assignment } from './naming.ts'
import { showTool, type Override } from './override.ts'
import { compilePick, type Pick as Picks } from './patterns.ts'
import type { Definition } from '../source.ts'
import { compileStepUp, type StepUp } from './step-up.ts'

/**
 * One gateway as its callers see it, compiled once per change: every list ready to be sent, every name and address a
 * map look-up away from the server behind it. Immutable.
 */
export type GatewayView = {
  readonly config: GatewayConfig
  readonly rateLimits: readonly CompiledRateLimit[]
  /** Which calls need an approval; null: none. */
  readonly approve: { readonly names: Picks; readonly destructive: boolean } | null
  readonly stepUp: readonly StepUp[]
  readonly servers: readonly string[]
  readonly tools: readonly Definition[]
  readonly resources: readonly Definition[]
  readonly templates: readonly Definition[]
  readonly prompts: readonly Definition[]
  readonly toolByName: ReadonlyMap<string, ToolBinding>
  readonly promptByName: ReadonlyMap<string, Bound>
  readonly resourceByUri: ReadonlyMap<string, BoundResource>
  readonly templateMatchers: readonly (Bound & { shown: string; matches(uri: string): boolean })[]
  /** Servers whose resources may be read although they were not listed. */
  readonly resourceServers: readonly Pick<ServerConfig, 'name' | 'tags'>[]
  readonly capabilities: JsonObject
}

/** Something a gateway shows, and where it is. */
export type Bound = { readonly server: string; readonly original: string; readonly thing: Thing }
/** `pages`: tools that show this resource as their page (MCP Apps); who may call one may read it. */
export type BoundResource = Bound & { readonly pages: readonly Thing[] }

export type CompiledRateLimit = RateLimit & { readonly picks: Picks | null }

export type ToolBinding = Bound & {
  readonly definition: Definition
  readonly override: Override | undefined
  /** The definition as this gateway lists it. */
  readonly shown: Definition
}

export type ViewInput = {
  readonly config: GatewayConfig
  readonly servers: readonly { config: ServerConfig; entry: CatalogEntry | undefined }[]
  readonly toolNames: readonly Assignment[]
  readonly promptNames: readonly Assignment[]
}

/** What a gateway picks from each server, in the order in which bare names are given out. */
export type Picked = {
  readonly server: ServerConfig
  readonly tools: readonly Definition[]
  readonly prompts: readonly Definition[]
  readonly resources: readonly Definition[]
  readonly templates: readonly Definition[]
  readonly takesResources: boolean
}

/** The things of each server that the gateway's patterns pick; servers in the order of the patterns. */
export function pickFrom(config: GatewayConfig, servers: ViewInput['servers']): Picked[] {
  const tools = compilePick(config.tools)
  const prompts = config.prompts ? compilePick(config.prompts) : null
  const resources = config.resources ? compilePick(config.resources) : null
  return servers
    .filter((server) => server.config.enabled)
    .map((server) => ({ ...server, rank: tools.rank(server.config) }))
    .sort((a, b) => a.rank - b.rank || (a.config.name < b.config.name ? -1 : 1))
    .map(({ config: server, entry }) => ({
      server,
      tools: (entry?.tools ?? []).filter((tool) => tools.matches(server, nameOf(tool))),
      prompts: pickOthers(entry?.offer.prompts, nameOf, { server, own: prompts, whole: tools }),
      resources: pickOthers(entry?.offer.resources, uriOf, { server, own: resources, whole: tools }),
      templates: pickOthers(entry?.offer.templates, templateOf, { server, own: resources, whole: tools }),
      takesResources: resources ? resources.takesWhole(server) : tools.takesWhole(server),
    }))
    .filter(
      (picked) =>
        tools.rank(picked.server) < config.tools.length || picked.prompts.length > 0 || picked.resources.length > 0,
    )
}

function pickOthers(
  definitions: readonly Definition[] | undefined,
  keyOf: (definition: Definition) => string,
  rule: { server: ServerConfig; own: Picks | null; whole: Picks },
): Definition[] {
  const all = definitions ?? []
  if (rule.own === null) return rule.whole.takesWhole(rule.server) ? [...all] : []
  const own = rule.own
  return all.filter((definition) => own.matches(rule.server, keyOf(definition)))
}

function compileApprove(approve: GatewayConfig['approve']): GatewayView['approve'] {
  if (approve.length === 0) return null
  const names = approve.filter((pattern) => pattern !== 'destructive')
  return { names: compilePick(names), destructive: names.length < approve.length }
}

/** True where the gateway itself lets a person decide each call of this tool. */
export function wantsApproval(
  approve: GatewayView['approve'],
  { server, tags, name, destructive }: Pick<Thing, 'server' | 'tags' | 'name' | 'destructive'>,
): boolean {
  if (approve === null) return false
  return approve.names.matches({ name: server, tags }, name) || (approve.destructive && destructive)
}

/** Compiles what a gateway shows. `names` must hold an assignment for every picked tool and prompt. */
export function buildView(input: ViewInput): GatewayView {
  const picked = pickFrom(input.config, input.servers)
  const uris = assignUris(input.config, picked)
  const toolByName = bindTools(picked, input, uris)
  const promptNames = nameMap(input.promptNames)
  const prompts = picked.flatMap(({ server, prompts: all }) =>
    all.flatMap((prompt) => {
      const name = promptNames.get(`${server.name}/${nameOf(prompt)}`)
      return name === undefined ? [] : [{ name, server, prompt }]
    }),
  )
  return {
    config: input.config,
    approve: compileApprove(input.config.approve),
    stepUp: compileStepUp(input.config.step_up),
    rateLimits: input.config.rate_limits.map((limit) => ({
      ...limit,
      picks: limit.tools ? compilePick(limit.tools) : null,
    })),
    servers: picked.map(({ server }) => server.name),
    tools: Object.freeze(
      sortBy(
        [...toolByName.values()].map(({ shown }) => shown),
        nameOf,
      ),
    ),
    prompts: Object.freeze(prompts.map(({ name, prompt }) => ({ ...prompt, name }))),
    promptByName: new Map(
      prompts.map(({ name, server, prompt }) => {
        const original = nameOf(prompt)
        return [
          name,
          { server: server.name, original, thing: thingOf(input.config, server, { kind: 'prompt', name: original }) },
        ]
      }),
    ),
    resources: Object.freeze(picked.flatMap((part) => showUris(part, uris, 'uri'))),
    templates: Object.freeze(picked.flatMap((part) => showUris(part, uris, 'uriTemplate'))),
    resourceByUri: uris.byShown,
    templateMatchers: matchers(input.config, picked, uris),
    resourceServers: picked.filter((part) => part.takesResources).map(({ server }) => server),
    toolByName,
    capabilities: unionCapabilities(input, picked),
  }
}

function bindTools(picked: readonly Picked[], input: ViewInput, uris: Uris): Map<string, ToolBinding> {
  const names = nameMap(input.toolNames)
  const approve = compileApprove(input.config.approve)
  const overrides = new Map(input.config.overrides.map((override) => [override.tool, override]))
  const bound = picked.flatMap(({ server, tools }) =>
    tools.flatMap((definition) => {
      const original = nameOf(definition)
      const key = `${server.name}/${original}`
      const name = names.get(key)
      if (name === undefined) return []
      const override = overrides.get(key)
      const thing = toolThing(input.config, server, definition)
      const mayWait = wantsApproval(approve, thing)
      const listed = aliasUi(showTool(definition, name, override), server.name, uris)
      const shown = mayWait ? withTaskSupport(listed) : listed
      return [[name, { server: server.name, original, thing, definition, override, shown }] as const]
    }),
  )
  return new Map(bound)
}

/** A call that waits for an approval may be a task, whether its server knows tasks or not (2025-11-25 `execution`). */
function withTaskSupport(tool: Definition): Definition {
  const execution = isJsonObject(tool['execution']) ? tool['execution'] : {}
  return execution['taskSupport'] === 'required'
    ? tool
    : { ...tool, execution: { ...execution, taskSupport: 'optional' } }
}

/** How the policy knows something that this gateway shows. */
export function thingOf(
  config: Pick<GatewayConfig, 'slug' | 'access'>,
  server: Pick<ServerConfig, 'name' | 'tags'>,
  what: { kind: Thing['kind']; name: string; annotations?: Json | undefined },
): Thing {
  return describeThing({ ...what, gateway: config.slug, access: config.access, server: server.name, tags: server.tags })
}

function toolThing(config: GatewayConfig, server: ServerConfig, tool: Definition): Thing {
  return thingOf(config, server, { kind: 'tool', name: nameOf(tool), annotations: tool['annotations'] })
}

type Uris = {
  /** `server\0original` → what is shown. */
  readonly shownOf: ReadonlyMap<string, string>
  readonly byShown: ReadonlyMap<string, BoundResource>
}

/** A URI stays bare for the first server that has it; the next ones get an alias. */
function assignUris(config: GatewayConfig, picked: readonly Picked[]): Uris {
  const byShown = new Map<string, BoundResource>()
  const shownOf = new Map<string, string>()
  for (const part of picked) {
    const own = [...part.resources.map(uriOf), ...part.templates.map(templateOf), ...uiUris(part)]
    for (const original of new Set(own)) {
      const shown = byShown.has(original) ? aliasUri(part.server.name, original) : original
      const thing = thingOf(config, part.server, { kind: 'resource', name: original })
      const pages = part.tools
        .filter((tool) => uiUriOf(tool) === original)
        .map((tool) => toolThing(config, part.server, tool))
      byShown.set(shown, { server: part.server.name, original, thing, pages })
      shownOf.set(`${part.server.name}\0${original}`, shown)
    }
  }
  return { shownOf, byShown }
}

/** MCP Apps: a tool may name a `ui://` resource that its server does not list. */
function uiUris(part: Picked): string[] {
  return part.tools.flatMap((tool) => uiUriOf(tool) ?? [])
}

function uiUriOf(tool: Definition): string | undefined {
  const meta = tool['_meta']
  const ui = isJsonObject(meta) ? meta['ui'] : undefined
  const uri = isJsonObject(ui) ? ui['resourceUri'] : undefined
  return typeof uri === 'string' ? uri : undefined
}

function aliasUi(tool: Definition, server: string, uris: Uris): Definition {
  const uri = uiUriOf(tool)
  const shown = uri === undefined ? undefined : uris.shownOf.get(`${server}\0${uri}`)
  const meta = tool['_meta']
  if (uri === undefined || shown === undefined || shown === uri || !isJsonObject(meta) || !isJsonObject(meta['ui']))
    return tool
  return { ...tool, _meta: { ...meta, ui: { ...meta['ui'], resourceUri: shown } } }
}

function showUris(part: Picked, uris: Uris, key: 'uri' | 'uriTemplate'): Definition[] {
  const definitions = key === 'uri' ? part.resources : part.templates
  return definitions.map((definition) => {
    const original = textOf(definition, key)
    const shown = uris.shownOf.get(`${part.server.name}\0${original}`) ?? original
    return shown === original ? definition : { ...definition, [key]: shown }
  })
}

/** The template that says most of an address comes first; among equals the order of the patterns decides. */
function matchers(config: GatewayConfig, picked: readonly Picked[], uris: Uris): GatewayView['templateMatchers'] {
  const owners = ownersOfSchemes(uris)
  const all = picked.flatMap((part) =>
    part.templates.map((template) => matcherOf(part, template, { config, uris, owners })),
  )
  return all.toSorted((a, b) => prefixOf(b.shown).length - prefixOf(a.shown).length)
}

/** A template without a scheme of its own (`{+path}`) leaves other servers' schemes alone: it could catch all they have. */
function matcherOf(
  part: Picked,
  template: Definition,
  { config, uris, owners }: { config: GatewayConfig; uris: Uris; owners: ReadonlyMap<string, ReadonlySet<string>> },
): GatewayView['templateMatchers'][number] {
  const server = part.server.name
  const original = templateOf(template)
  const shown = uris.shownOf.get(`${server}\0${original}`) ?? original
  const fits = templateMatcher(shown)
  const thing = thingOf(config, part.server, { kind: 'resource', name: original })
  if (schemeOf(prefixOf(shown)) !== null) return { server, shown, original, thing, matches: fits }
  const isOthers = (uri: string): boolean => {
    const ownersOfIt = owners.get(schemeOf(uri) ?? '')
    return ownersOfIt !== undefined && !ownersOfIt.has(server)
  }
  return { server, shown, original, thing, matches: (uri) => fits(uri) && !isOthers(uri) }
}

/** Which servers have addresses with a scheme. */
function ownersOfSchemes(uris: Uris): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>()
  for (const [shown, { server }] of uris.byShown) {
    const scheme = schemeOf(prefixOf(shown))
    if (scheme !== null) owners.set(scheme, (owners.get(scheme) ?? new Set()).add(server))
  }
  return owners
}

function schemeOf(uri: string): string | null {
  return /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(uri)?.[1]?.toLowerCase() ?? null
}

/** What stands before the first `{expression}`. */
function prefixOf(template: string): string {
  return literalsOf(template)[0] ?? ''
}

/**
 * Whether an address could have come from a template (RFC 6570): literals must fit, every expression stands for any text.
 * Both come from strangers, so nothing here may take longer than one pass.
 */
export function templateMatcher(template: string): (uri: string) => boolean {
  return matchSegments(literalsOf(template))
}

/** What stands between the `{expressions}`; a brace that is never closed is a literal. */
function literalsOf(template: string): string[] {
  const literals: string[] = []
  let from = 0
  for (let open = template.indexOf('{'); open !== -1; open = template.indexOf('{', from)) {
    const close = template.indexOf('}', open)
    if (close === -1) break
    literals.push(template.slice(from, open))
    from = close + 1
  }
  return [...literals, template.slice(from)]
}

/** Union over the servers of what they can do, as the modern `capabilities` say it; tools are always there. */
function unionCapabilities(input: ViewInput, picked: readonly Picked[]): JsonObject {
  const names = new Set(picked.map(({ server }) => server.name))
  const all = input.servers
    .filter((server) => names.has(server.config.name))
    .map((server) => server.entry?.offer.capabilities)
    .filter((capabilities) => isJsonObject(capabilities))
  const has = (key: string): boolean => all.some((capabilities) => capabilities[key] !== undefined)
  const isPicked = (key: 'resources' | 'prompts'): boolean =>
    has(key) &&
    (key === 'prompts'
      ? picked.some((p) => p.prompts.length > 0) || !input.config.prompts
      : picked.some((p) => p.takesResources || p.resources.length > 0))
  const subscribes = all.some(
    (capabilities) => isJsonObject(capabilities['resources']) && capabilities['resources']['subscribe'] === true,
  )
  const extensions = Object.assign(
    {},
    ...all.map((capabilities) => (isJsonObject(capabilities['extensions']) ? capabilities['extensions'] : {})),
  )
  const union: Record<string, Json> = { tools: { listChanged: true } }
  if (isPicked('resources'))
    union['resources'] = subscribes ? { subscribe: true, listChanged: true } : { listChanged: true }
  if (isPicked('prompts')) union['prompts'] = { listChanged: true }
  if (has('completions')) union['completions'] = {}
  if (has('logging')) union['logging'] = {}
  if (has('tasks')) extensions['io.modelcontextprotocol/tasks'] ??= {}
  if (Object.keys(extensions).length > 0) union['extensions'] = extensions
  return union
}

function nameMap(assignments: readonly Assignment[]): Map<string, string> {
  return new Map(assignments.map((assignment) => [`${assignment.server}/${assignment.original}`, assignment.name]))
}

function sortBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return items.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

export const nameOf = (definition: Definition): string => textOf(definition, 'name')
export const uriOf = (definition: Definition): string => textOf(definition, 'uri')
export const templateOf = (definition: Definition): string => textOf(definition, 'uriTemplate')

function textOf(definition: Definition, key: string): string {
  const value = definition[key]
  return typeof value === 'string' ? value : ''
}
