import type { Audit } from '#audit'
import type { Egress } from '#http'
import { Problem, type Clock, type Json, type JsonObject } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { audited, type Actor } from '../audited.ts'
import type { Question } from '../decide.ts'
import { personOf } from '../person.ts'
import type { Policy } from '../service.ts'
import type { Thing } from '../thing.ts'
import type { World } from '../world.ts'
import { AccessAnswers } from './access.ts'
import { askAfter, askBefore, type Answered, type HookedCall } from './chain.ts'
import type { ShownHook } from './contract.ts'
import type { Hook } from './hook.ts'
import { LiveHooks, MAX_HOOKS, type HookSeal, type KeptHook } from './live-hooks.ts'
import { HOOK_IN_FILE, NO_SUCH_HOOK, TOO_MANY_HOOKS } from './problems.ts'
import { askQuestion, type HookSaid } from './question.ts'
import type { HookConfig, HookPoint } from './schema.ts'
import type { HookedTool } from './scope.ts'
import { createHooksStore, type HooksStore } from './store.ts'

export type HooksDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'hook' | 'watchCircuits'>
  readonly audit: Pick<Audit, 'record'>
  readonly egress: Egress
  readonly seal: HookSeal
  readonly world: Pick<World, 'things' | 'member' | 'rehearse'>
  /** The hooks of the config file. */
  readonly declared: readonly HookConfig[]
}

type AskedThing = Pick<Thing, 'kind' | 'gateway' | 'server' | 'name'> & {
  readonly userId: string
  readonly args?: JsonObject | undefined
}

type Caller = { readonly gateway: string; readonly userId: string }

export type Hooks = {
  /** True when a hook wants to be asked about calls of this tool. Costs a look; without hooks, nothing. */
  concern(point: 'pre' | 'post', tool: HookedTool): boolean
  /** The arguments as the hooks let them through; throws a Problem for the first no. */
  before(call: HookedCall): Promise<JsonObject>
  /** The output as the hooks let it through; throws a Problem for the first no. */
  after(call: HookedCall & { readonly answered: Answered }): Promise<Json>
  /** Resolves when it is known which of these tools the caller may see; null when it is known already. */
  accessKnown(caller: Caller, things: readonly Thing[]): Promise<void> | null
  /** The same policy, less what hooks do not let somebody see. */
  narrow(policy: Policy): Policy
  /** The hooks that a call of this tool would be put to; a thing that is no tool is put to none. */
  concerning(thing: Pick<Thing, 'kind' | 'gateway' | 'server' | 'name'>): ShownHook[]
  /** What they would say to it, marked as a question; without `args`, only whether they show the tool. */
  question(asked: AskedThing): Promise<HookSaid[]>
  listHooks(): ShownHook[]
  /** Asks hooks how they are; rejects with `policy/no-such-hook`. */
  checkHooks(name?: string): Promise<ShownHook[]>
  /** Adds a hook, or puts it in the place of the one with its name; in force here at once, everywhere within a second. */
  addHook(config: HookConfig, by: Actor): Promise<ShownHook>
  removeHook(name: string, by: Actor): Promise<void>
  /** Takes over the hooks of a changed config file. */
  declare(hooks: readonly HookConfig[]): void
  close(): Promise<void>
}

type Parts = HooksDeps & { readonly live: LiveHooks; readonly store: HooksStore }

/** Reads all hooks, and from then on follows every change. Rejects when the store is down. */
export async function createHooks(deps: HooksDeps): Promise<Hooks> {
  const store = createHooksStore(deps.storage)
  const listeners = new Set<() => void>()
  const tell = (): void => listeners.forEach((listener) => listener())
  const at = (point: HookPoint): Hook[] => live.current.filter(({ config }) => config.points.includes(point))
  const access = new AccessAnswers({
    ...deps,
    hooks: () => at('access'),
    tools: (gateway) => deps.world.things(gateway).filter(({ kind }) => kind === 'tool'),
    onChange: tell,
  })
  const onChange = (): void => {
    access.clear()
    tell()
  }
  const live: LiveHooks = await LiveHooks.open({ ...deps, store, onChange }, deps.declared)
  const parts: Parts = { ...deps, live, store }
  deps.metrics.watchCircuits('hook', () =>
    live.current.map(({ config, isDown }) => ({ name: config.name, isOpen: isDown })),
  )
  const concerned = (point: HookPoint, tool: HookedTool): Hook[] => at(point).filter((hook) => hook.covers(tool))
  return {
    concern: (point, tool) => live.current.length > 0 && concerned(point, tool).length > 0,
    before: (call) => askBefore(deps, concerned('pre', call.tool), call),
    after: (call) => askAfter(deps, concerned('post', call.tool), call),
    accessKnown: (caller, things) => (live.current.length === 0 ? null : access.ready(caller, toolsOf(things))),
    narrow: (policy) => narrow(policy, access, listeners),
    concerning: (thing) => concerning(parts, thing).hooks.map(show),
    question: (asked) => question(parts, asked),
    listHooks: () => live.all().map(show),
    checkHooks: (name) => checkHooks(parts, name),
    addHook: (config, by) => addHook(parts, config, by),
    removeHook: (name, by) => removeHook(parts, name, by),
    declare: (hooks) => live.declare(hooks),
    close: () => live.close(),
  }
}

const toolsOf = (things: readonly Thing[]): Thing[] => things.filter(({ kind }) => kind === 'tool')

function narrow(policy: Policy, access: AccessAnswers, listeners: Set<() => void>): Policy {
  const less = (asked: Pick<Policy, 'decide'>): Pick<Policy, 'decide'> => ({
    decide: (question) => {
      const verdict = asked.decide(question)
      if (verdict.effect === 'deny') return verdict
      const hook = refusalOf(access, question)
      if (hook === null) return verdict
      return { ...verdict, effect: 'deny', rule: `hook:${hook}`, reason: `the hook "${hook}" does not show it` }
    },
  })
  return {
    ...less(policy),
    shadow: () => {
      const shadow = policy.shadow()
      return shadow && less(shadow)
    },
    onChange: (listener) => {
      listeners.add(listener)
      const stop = policy.onChange(listener)
      return () => {
        listeners.delete(listener)
        stop()
      }
    },
  }
}

function refusalOf(access: AccessAnswers, { principal, thing }: Question): string | null {
  if (thing.kind !== 'tool') return null
  return access.refusalOf({ gateway: thing.gateway, userId: principal.userId }, thing)
}

function show({ hook, origin }: KeptHook): ShownHook {
  const { name, url, points, phase, priority, failure, timeout_ms: timeoutMs, gateways, tools } = hook.config
  const { origin: at, pathname } = new URL(url)
  const shown = { name, url: `${at}${pathname}`, points, phase, priority, failure, timeoutMs, gateways, tools }
  return { ...shown, origin, isSigned: hook.isSigned, ...hook.state }
}

function concerning(
  { live, world }: Pick<Parts, 'live' | 'world'>,
  { kind, gateway, server, name }: Pick<Thing, 'kind' | 'gateway' | 'server' | 'name'>,
): { thing: Thing | null; hooks: KeptHook[] } {
  const thing = world.things(gateway).find((one) => one.kind === kind && one.server === server && one.name === name)
  if (thing?.kind !== 'tool') return { thing: null, hooks: [] }
  return { thing, hooks: live.all().filter(({ hook }) => hook.covers(thing)) }
}

async function question({ live, world }: Parts, asked: AskedThing): Promise<HookSaid[]> {
  const { userId, args, ...wanted } = asked
  const { thing } = concerning({ live, world }, wanted)
  if (thing === null) return []
  const { groups } = personOf(world, { userId, keyId: null })
  const { inputs, secrets } = await world.rehearse({ thing, user: { userId, groups }, args })
  return askQuestion(live.current, {
    tool: thing,
    tools: toolsOf(world.things(wanted.gateway)),
    user: { userId, groups },
    inputs: args === undefined ? null : inputs,
    secrets,
  })
}

async function checkHooks({ live }: Parts, name?: string): Promise<ShownHook[]> {
  const chosen = name === undefined ? live.all() : [found(live, name)]
  await Promise.all(chosen.map(({ hook }) => hook.check()))
  return chosen.map(show)
}

async function addHook(parts: Parts, config: HookConfig, by: Actor): Promise<ShownHook> {
  const { live, store, clock } = parts
  const { name, points, failure } = config
  refuseDeclared(live, name)
  if (live.current.length >= MAX_HOOKS && !live.find(name))
    throw new Problem(TOO_MANY_HOOKS, `There are ${MAX_HOOKS} hooks; remove one before you add another.`)
  const extra = { hook: name, points, failure }
  await audited(parts, { what: 'hook.added', by, extra }, () =>
    store.save({ name, config: live.sealed(config), at: clock.now(), by: by.userId ?? null }),
  )
  await live.announce()
  return show(found(live, name))
}

async function removeHook(parts: Parts, name: string, by: Actor): Promise<void> {
  const { live, store } = parts
  refuseDeclared(live, name)
  found(live, name)
  await audited(parts, { what: 'hook.removed', by, extra: { hook: name } }, () => store.remove(name))
  await live.announce()
}

function refuseDeclared(live: LiveHooks, name: string): void {
  if (live.find(name)?.origin === 'file')
    throw new Problem(HOOK_IN_FILE, `The hook "${name}" is declared in gatehouse.toml; change it there.`)
}

function found(live: LiveHooks, name: string): KeptHook {
  const kept = live.find(name)
  if (kept) return kept
  throw new Problem(NO_SUCH_HOOK, `There is no hook "${name.slice(0, 63)}". "gatehouse hook list" shows all.`)
}
