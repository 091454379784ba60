import type { Audit } from '#audit'
import type { Judgement } from '../caste.ts'
import type { Action } from '../cedar/entities.ts'
import { isOpenTo } from '../decide.ts'
import { judgeRecorded } from '../admin/recorded.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Thing } from '../thing.ts'
import type { Found, World } from '../world.ts'
import { readRecorded, type Recorded, type RecordedUse } from './recorded.ts'
import type { Change, ReplayReply } from './schema.ts'

const MAX_CHANGES = 1_000

/**
 * Asks other rules about recorded calls and uses of the admin API, and names those that would have ended otherwise. Grants, groups and things are
 * those of now; what the trail does not keep (arguments, addresses) is not guessed: such calls are counted apart.
 * What a person would have to approve first counts as allowed. What a hook decided stays as it was recorded: no rule
 * would have changed it.
 */
export async function replay(
  deps: { audit: Pick<Audit, 'search'>; world: World },
  asked: { snapshot: Snapshot; since: number; records: number },
): Promise<ReplayReply> {
  const counts = { records: 0, changed: 0, unknown: 0, depends: 0, hooks: 0 }
  const changes = new Map<string, Change>()
  let isComplete = true
  for await (const page of readRecorded({ ...deps, grants: asked.snapshot.grants }, asked.since)) {
    for (const recorded of page) count({ counts, changes, snapshot: asked.snapshot }, recorded)
    isComplete = counts.records < asked.records
    if (!isComplete) break
  }
  const sorted = [...changes.values()].toSorted((a, b) => b.calls - a.calls)
  return { ...counts, complete: isComplete && sorted.length <= MAX_CHANGES, changes: sorted.slice(0, MAX_CHANGES) }
}

type Tally = {
  readonly counts: { records: number; changed: number; unknown: number; depends: number; hooks: number }
  readonly changes: Map<string, Change>
  readonly snapshot: Snapshot
}

function count({ counts, changes, snapshot }: Tally, recorded: Recorded): void {
  counts.records += 1
  if (recorded.kind === 'use' && recorded.isByHook) {
    counts.hooks += 1
    return
  }
  const { before, record } = recorded
  const named = nameOf(recorded)
  const after = judge(snapshot, recorded)
  if (named === null || after === null) {
    counts.unknown += 1
    return
  }
  if (after === 'depends') counts.depends += 1
  if (after === before || after === 'depends') return
  counts.changed += 1
  const { userId: user = '', chain, seq, at } = record
  const { what, gateway, server, tool } = named
  const key = JSON.stringify([user, gateway, server, tool, what, before, after])
  const known = changes.get(key)
  if (known) changes.set(key, { ...known, calls: known.calls + 1, first: Math.min(known.first, at) })
  else {
    const example = `${chain}/${seq}`
    changes.set(key, { user, gateway, server, tool, what, before, after, calls: 1, first: at, last: at, example })
  }
}

/** An operation stands where a tool does, its module where a method does. */
function nameOf(recorded: Recorded): Pick<Change, 'what' | 'gateway' | 'server' | 'tool'> | null {
  if (recorded.kind === 'admin') {
    const { module, operation, place } = recorded
    const named = (kind: 'gateway' | 'server'): string => (place?.kind === kind ? place.name : '')
    return { what: `admin:${module}`, gateway: named('gateway'), server: named('server'), tool: operation }
  }
  if (recorded.found === null) return null
  const { gateway, server, name: tool } = recorded.found.thing
  return { what: recorded.record.what, gateway, server, tool }
}

/** Null for what the gateway shows no more. */
function judge(snapshot: Snapshot, recorded: Recorded): Judgement | null {
  if (recorded.kind === 'admin') return judgeRecorded(snapshot, recorded)
  return recorded.found && judgeUse(snapshot, recorded, recorded.found)
}

function judgeUse(snapshot: Snapshot, recorded: RecordedUse, { thing, things, pages = [] }: Found): Judgement {
  const { principal, action, record } = recorded
  const isOpen = isOpenTo(snapshot, principal, thing)
  if (isOpen && !snapshot.hasRules) return 'allow'
  const { face = '', client = '', at: now } = record
  const at = { face, client: client.split('/')[0] ?? '', remoteAddress: null, scopes: null, isApproved: true }
  const caste = snapshot.casteOf(principal)
  const ask = (one: Thing, doing: Action, gateway: 'open' | 'granted') =>
    caste.judge({ thing: one, action: doing, at, now }, gateway)
  const forbidden = worst(things.map((one) => ask(one, action, 'open')))
  if (isOpen || forbidden === 'deny') return forbidden
  const granted = best([
    ...things.map((one) => ask(one, action, 'granted')),
    ...pages.map((page) => ask(page, 'call', 'granted')),
  ])
  return granted === 'allow' ? forbidden : granted
}

/** Where one of several may not be, all of them may not. */
function worst(judged: readonly Judgement[]): Judgement {
  return (['deny', 'depends'] as const).find((one) => judged.includes(one)) ?? 'allow'
}

function best(judged: readonly Judgement[]): Judgement {
  return (['allow', 'depends'] as const).find((one) => judged.includes(one)) ?? 'deny'
}
