import type { Clock } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import { Resting, whyNot, type Hook } from './hook.ts'
import type { HookedTool } from './scope.ts'
import { accessAnswer, type Toolkits } from './wire.ts'

/**
 * What hooks say each user may see. One answer of all hooks together is kept for a user at a gateway: fresh for as long
 * as the shortest of them allows, used for as long again while it is asked anew behind the scenes, and after that waited
 * for. Decisions only look here, so lists and calls get the same answer, and a warm call waits for nobody.
 */
export type AccessDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'hook'>
  /** The hooks to be asked, in order, as they are now. */
  readonly hooks: () => readonly Hook[]
  /** All tools that a gateway shows. */
  readonly tools: (gateway: string) => readonly HookedTool[]
  /** Told when somebody may see more or less than before. */
  readonly onChange: () => void
}

type Asker = { readonly gateway: string; readonly userId: string }
type Entry = {
  /** Names as in `nameOf`, with the hook that refuses each. */
  readonly refused: ReadonlyMap<string, string>
  readonly asked: ReadonlySet<string>
  readonly freshUntil: number
  readonly usableUntil: number
}

/** Together over all users, so that large catalogs cannot fill the memory. */
const MAX_KEPT = { users: 10_000, refusals: 1_000_000 } as const
/** After a failure the hook is asked again soon, but not by every call. */
const FAILED_MS = 5_000

export class AccessAnswers {
  readonly #deps: AccessDeps
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Map<string, Promise<void>>()
  readonly #lastAsked = new Map<string, ReadonlySet<string>>()
  /** For whom something was decided before there was an answer. */
  readonly #guessed = new Set<string>()
  #refusals = 0

  constructor(deps: AccessDeps) {
    this.#deps = deps
  }

  /** Resolves when there is an answer for this caller and these tools; null when there is one already. */
  ready(asker: Asker, tools: readonly HookedTool[]): Promise<void> | null {
    const hooks = this.#deps.hooks()
    if (hooks.length === 0 || !tools.some((tool) => hooks.some((hook) => hook.covers(tool)))) return null
    const entry = this.#entries.get(keyOf(asker))
    const now = this.#deps.clock.now()
    const isUsable =
      entry !== undefined && entry.usableUntil > now && tools.every((tool) => entry.asked.has(nameOf(tool)))
    if (isUsable && entry.freshUntil > now) return null
    const refreshed = this.#refresh(asker)
    return isUsable ? null : refreshed
  }

  /** The hook that does not let this user see the tool; null where none objects. Unknown is a no where a hook says so. */
  refusalOf(asker: Asker, tool: HookedTool): string | null {
    const concerned = this.#deps.hooks().filter((hook) => hook.covers(tool))
    if (concerned.length === 0) return null
    const entry = this.#entries.get(keyOf(asker))
    const isKnown = entry !== undefined && entry.asked.has(nameOf(tool)) && entry.usableUntil > this.#deps.clock.now()
    if (isKnown) return entry.refused.get(nameOf(tool)) ?? null
    // Whoever is connected hears of it when the answer is there.
    this.#guessed.add(keyOf(asker))
    void this.#refresh(asker)
    return concerned.find(({ config }) => config.failure === 'closed')?.config.name ?? null
  }

  /** Forgets all answers: other hooks may say something else. */
  clear(): void {
    this.#entries.clear()
    this.#refusals = 0
  }

  #refresh(asker: Asker): Promise<void> {
    const key = keyOf(asker)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) return waiting
    const asking = this.#ask(asker).finally(() => this.#waiting.delete(key))
    this.#waiting.set(key, asking)
    return asking
  }

  /** Never rejects: a failure is an answer as well. */
  async #ask(asker: Asker): Promise<void> {
    const hooks = this.#deps.hooks()
    const tools = this.#deps.tools(asker.gateway)
    const refused = new Map<string, string>()
    let lifeMs = Infinity
    for (const hook of hooks) {
      const left = tools.filter((tool) => hook.covers(tool) && !refused.has(nameOf(tool)))
      if (left.length === 0) continue
      const isAnswered = await this.#askOne(hook, { asker, left, refused })
      lifeMs = Math.min(lifeMs, isAnswered ? hook.config.cache_seconds * 1_000 : FAILED_MS)
    }
    const now = this.#deps.clock.now()
    const life = Number.isFinite(lifeMs) ? lifeMs : FAILED_MS
    const entry = { refused, asked: this.#askedAt(asker, tools), freshUntil: now + life, usableUntil: now + 2 * life }
    this.#keep(keyOf(asker), entry)
  }

  async #askOne(
    hook: Hook,
    { asker, left, refused }: { asker: Asker; left: readonly HookedTool[]; refused: Map<string, string> },
  ): Promise<boolean> {
    const { log, metrics } = this.#deps
    const { name, failure } = hook.config
    const startedAt = performance.now()
    const said = await askAccess(hook, { userId: asker.userId, tools: left })
    for (const tool of said.refused) refused.set(nameOf(tool), name)
    const { outcome, reason } = said
    metrics.hook({ hook: name, point: 'access', outcome, seconds: (performance.now() - startedAt) / 1_000 })
    if (reason === '') return true
    log.warn({ hook: name, point: 'access', reason, failure }, 'a hook could not be asked')
    return false
  }

  /** The same set for all users of a gateway while it shows the same tools. */
  #askedAt({ gateway }: Asker, tools: readonly HookedTool[]): ReadonlySet<string> {
    const last = this.#lastAsked.get(gateway)
    if (last?.size === tools.length && tools.every((tool) => last.has(nameOf(tool)))) return last
    const asked = new Set(tools.map(nameOf))
    this.#lastAsked.set(gateway, asked)
    return asked
  }

  #keep(key: string, entry: Entry): void {
    const before = this.#entries.get(key)
    this.#drop(key)
    this.#entries.set(key, entry)
    this.#refusals += entry.refused.size
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_KEPT.users && this.#refusals <= MAX_KEPT.refusals) break
      if (oldest !== key) this.#drop(oldest)
    }
    const isOther = before !== undefined && !isSame(before, entry)
    if (this.#guessed.delete(key) || isOther) this.#deps.onChange()
  }

  #drop(key: string): void {
    this.#refusals -= this.#entries.get(key)?.refused.size ?? 0
    this.#entries.delete(key)
  }
}

type AccessSaid = {
  readonly outcome: 'agreed' | 'changed' | 'failed' | 'resting'
  readonly refused: readonly HookedTool[]
  /** Why it could not be asked; empty where it could. */
  readonly reason: string
}

/** What one hook says of these tools. Never rejects: a failure is an answer as well. */
export async function askAccess(
  hook: Hook,
  { userId, tools, isQuestion }: { userId: string; tools: readonly HookedTool[]; isQuestion?: boolean },
): Promise<AccessSaid> {
  try {
    const body = { user_id: userId, toolkits: toolkitsOf(tools) }
    const { only, deny } = await hook.ask({ point: 'access', body, as: accessAnswer, isQuestion })
    const isShown = (tool: HookedTool): boolean => (only ? isIn(only, tool) : !(deny && isIn(deny, tool)))
    const outcome = only || deny ? 'changed' : 'agreed'
    return { outcome, refused: tools.filter((tool) => !isShown(tool)), reason: '' }
  } catch (error) {
    const refused = hook.config.failure === 'closed' ? tools : []
    return { outcome: error instanceof Resting ? 'resting' : 'failed', refused, reason: whyNot(error) }
  }
}

function isSame(a: Entry, b: Entry): boolean {
  return (
    a.asked === b.asked &&
    a.refused.size === b.refused.size &&
    [...a.refused.keys()].every((name) => b.refused.has(name))
  )
}

function keyOf({ gateway, userId }: Asker): string {
  return `${gateway}\n${userId}`
}

function nameOf({ server, name }: Pick<HookedTool, 'server' | 'name'>): string {
  return `${server}/${name}`
}

function toolkitsOf(tools: readonly HookedTool[]): Toolkits {
  const byServer = Map.groupBy(tools, ({ server }) => server)
  const described = ({ name, tags }: HookedTool) =>
    [name, [{ version: '', requirements: { authorization: [], secrets: [] }, metadata: { tags } }]] as const
  return Object.fromEntries(
    [...byServer].map(([server, own]) => [server, { tools: Object.fromEntries(own.map(described)) }]),
  )
}

/** Names come from outside, so only own members count. */
function isIn(
  toolkits: Readonly<Record<string, { readonly tools?: Readonly<Record<string, unknown>> | undefined }>>,
  { server, name }: HookedTool,
): boolean {
  const kit = Object.hasOwn(toolkits, server) ? toolkits[server] : undefined
  if (kit === undefined) return false
  return kit.tools === undefined || Object.hasOwn(kit.tools, name)
}
