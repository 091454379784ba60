import { setImmediate as nextTurn } from 'node:timers/promises'
import { canonicalJson } from '#kernel'
import type { Identity, Member } from '#identity'
import type { Policy } from '#policy'
import type { Log } from '#telemetry'
import type { House } from '../house.ts'
import { renewed } from './principal.ts'
import type { Definition } from '../source.ts'
import type { Admission, ListChange, ListKind } from '../tools.ts'
import { visible } from './visible.ts'

type Deps = {
  readonly house: Pick<House, 'snapshot' | 'onListsChanged'>
  readonly policy: Policy
  readonly identity: Pick<Identity, 'onChange'>
  readonly findMember: (userId: string) => Member | null
  readonly log: Log
}

export type ListWatchers = {
  /** Tells when a list changes for this caller, once a change; the returned function ends that. */
  add(admission: Admission, listener: (kind: ListChange) => void): () => void
  close(): void
}

const LISTS: Readonly<Record<ListChange, readonly ListKind[]>> = {
  tools: ['tools'],
  prompts: ['prompts'],
  resources: ['resources', 'templates'],
}
const CHANGES = ['tools', 'prompts', 'resources'] as const

type Lists = Readonly<Record<ListKind, readonly Definition[]>>
type Watcher = { readonly admission: Admission; readonly listener: (kind: ListChange) => void; seen: Lists }

/** So long one look at what clients see may take before calls get their turn. */
const TURN_MS = 10

/**
 * Follows everything that can change what a caller sees: servers, grants, rules, accounts, and time. After each change
 * every watcher's lists are made anew and compared with those it had, so that only they are told who see a difference.
 */
export function watchLists(deps: Deps): ListWatchers {
  const watchers = new Set<Watcher>()
  const sweep = { isRunning: false, isAsked: false }
  const look = async (): Promise<void> => {
    sweep.isAsked = true
    if (sweep.isRunning) return
    sweep.isRunning = true
    while (sweep.isAsked) {
      sweep.isAsked = false
      await lookAtAll(deps, watchers)
    }
    sweep.isRunning = false
  }
  const ask = (): void => {
    if (watchers.size > 0)
      void look().catch((error: unknown) => deps.log.error({ err: error }, 'could not compare lists'))
  }
  const stops = [deps.house.onListsChanged(ask), deps.policy.onChange(ask), deps.identity.onChange(ask)]
  return {
    add: (admission, listener) => {
      const watcher = { admission, listener, seen: listsOf(deps, admission) }
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    close: () => {
      watchers.clear()
      for (const stop of stops) stop()
    },
  }
}

async function lookAtAll(deps: Deps, watchers: ReadonlySet<Watcher>): Promise<void> {
  let until = performance.now() + TURN_MS
  for (const watcher of watchers) {
    lookAtOne(deps, watcher)
    if (performance.now() < until) continue
    await nextTurn()
    until = performance.now() + TURN_MS
  }
}

function lookAtOne(deps: Deps, watcher: Watcher): void {
  const before = watcher.seen
  const now = listsOf(deps, watcher.admission)
  watcher.seen = now
  for (const change of CHANGES) {
    if (LISTS[change].some((kind) => differs(before[kind], now[kind]))) watcher.listener(change)
  }
}

function listsOf({ house, policy, findMember }: Deps, opened: Admission): Lists {
  const admission = renewed(opened, findMember)
  const view = house.snapshot().views.get(admission.gateway)
  if (view === undefined) return NONE
  const show = (kind: ListKind): readonly Definition[] => visible(policy, admission, { view, kind })
  return { tools: show('tools'), prompts: show('prompts'), resources: show('resources'), templates: show('templates') }
}

const NONE: Lists = { tools: [], prompts: [], resources: [], templates: [] }

function differs(before: readonly Definition[], now: readonly Definition[]): boolean {
  return before !== now && (before.length !== now.length || textOf(before) !== textOf(now))
}

/** Arrays are shared among those who see the same, so each is written out once. */
const texts = new WeakMap<readonly Definition[], string>()

function textOf(list: readonly Definition[]): string {
  const known = texts.get(list)
  if (known !== undefined) return known
  const text = canonicalJson(list)
  texts.set(list, text)
  return text
}
