import { Problem, type JsonObject } from '#kernel'
import type { Principal } from '#identity'
import { useOf } from '../cedar/entities.ts'
import { subjectsOf, uidText } from '../cedar/subject.ts'
import { decide, isOpenTo, type Verdict } from '../decide.ts'
import { subjectUid } from '../grants/compile.ts'
import { createCoverage } from '../grants/covers.ts'
import type { Grant } from '../grants/schema.ts'
import { personOf } from '../person.ts'
import { NO_SUCH_THING } from '../problems.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Thing } from '../thing.ts'
import type { World } from '../world.ts'
import { explainRequest, type Explanation, type ExplainRequest } from './schema.ts'

export type ExplainDeps = {
  readonly world: World
  readonly snapshot: Snapshot
  /** Also those that have ended. */
  readonly grants: readonly Grant[]
  readonly now: number
}

const AT = { face: 'mcp', client: '', remoteAddress: null, scopes: null }

/** Why somebody may or may not use something, by the very decision that a call of theirs would get. */
export function explain(deps: ExplainDeps, asked: ExplainRequest): Explanation {
  const { user, gateway, kind, name, args } = explainRequest.parse(asked)
  const { world, snapshot, now } = deps
  const thing = world.find(gateway, { kind, name })
  if (thing === null) {
    throw new Problem(NO_SUCH_THING, `Gateway "${gateway}" shows no ${kind} "${name.slice(0, 200)}" to anybody.`)
  }
  const principal = personOf(world, { userId: user, keyId: 'key' })
  const action = useOf(thing)
  const given = args === undefined ? undefined : (): JsonObject => args
  const verdict = decide(snapshot, { principal, thing, action, at: AT, args: given }, now)
  const isOpen = isOpenTo(snapshot, principal, thing)
  const approval = verdict.approval?.rule ?? null
  const ids = decidingOf(verdict)
  const isAsked = args === undefined && (!isOpen || snapshot.hasRules)
  const depends = isAsked ? snapshot.casteOf(principal).movingFor({ thing, action, at: AT, now }) : []
  return {
    user,
    groups: [...principal.groups],
    gateway,
    access: isOpen ? 'all' : 'grants',
    thing: { kind, server: thing.server, name: thing.name },
    effect: verdict.effect,
    summary: summaryOf({ user, thing, effect: verdict.effect, isOpen, approval }, ids.length),
    deciding: ids.map((id) => ({ id, words: wordsOf(deps, id) })),
    near: verdict.effect === 'allow' ? [] : nearMisses(deps, principal, thing),
    depends: depends.map((id) => snapshot.describe(id)),
    approval: approval === null ? null : { id: approval, words: wordsOf(deps, approval) },
    advice: adviceFor({ user, thing, effect: verdict.effect, isOpen, approval, ids }),
    policyVersion: snapshot.label,
  }
}

/** None where being admitted was enough, and no policy was asked. */
function decidingOf({ policy, rule, rules }: Verdict): readonly string[] {
  if (policy === undefined) return []
  return rules ?? (rule === null ? [] : [rule])
}

type Outcome = {
  readonly user: string
  readonly thing: Thing
  readonly effect: 'allow' | 'deny'
  readonly isOpen: boolean
  /** The rule that wants a person to approve it first. */
  readonly approval: string | null
}

function summaryOf({ user, thing, effect, isOpen, approval }: Outcome, deciding: number): string {
  const what = `${thing.kind} ${thing.server}/${thing.name} at ${thing.gateway}`
  if (approval !== null) return `${user} may use ${what} once a person has approved the call.`
  if (effect === 'allow') {
    return isOpen
      ? `${user} may use ${what}: the gateway is open to everybody it admits, and no rule forbids it.`
      : `${user} may use ${what}.`
  }
  if (deciding > 0) return `${user} may not use ${what}: it is forbidden.`
  return `${user} may not use ${what}, nor see it: nothing allows it.`
}

function wordsOf({ snapshot, grants }: ExplainDeps, id: string): string {
  const found = grants.find((grant) => grant.id === id)
  return found ? `${snapshot.describe(id)}: ${describeGrant(found)}` : snapshot.describe(id)
}

function describeGrant({ subject, tools, prompts, resources, only, gateway }: Grant): string {
  const who = subject.kind === 'everyone' ? 'everyone' : `${subject.kind} ${subject.id}`
  const what = [...tools, ...(prompts ?? []), ...(resources ?? [])].join(' ')
  return `${who} may use ${what}${only === null ? '' : ` (${only} only)`} at ${gateway ?? 'every gateway'}`
}

const MAX_NEAR = 20

/** Grants that are for this person or for this thing, and why each is not enough. */
function nearMisses({ grants, now }: ExplainDeps, principal: Principal, thing: Thing): { id: string; words: string }[] {
  const own = new Set(subjectsOf(principal).map(uidText))
  const found = grants.flatMap((grant) => {
    const uid = subjectUid(grant.subject)
    const isForThem = uid === null || own.has(uidText(uid))
    const isForThis = createCoverage(grant)(thing)
    if (!isForThem && !isForThis) return []
    return [{ id: grant.id, words: `${describeGrant(grant)}; ${whyNot(grant, { isForThem, isForThis, now })}` }]
  })
  return found.slice(0, MAX_NEAR)
}

function whyNot(grant: Grant, at: { isForThem: boolean; isForThis: boolean; now: number }): string {
  const reasons = [
    ...(at.isForThem ? [] : [`it is for ${grant.subject.kind} ${grant.subject.id}`]),
    ...(at.isForThis ? [] : ['it does not cover this']),
    ...(grant.expiresAt !== null && grant.expiresAt <= at.now
      ? [`it ended ${new Date(grant.expiresAt).toISOString()}`]
      : []),
  ]
  return reasons.join(', ')
}

function adviceFor(outcome: Outcome & { ids: readonly string[] }): string[] {
  const { user, thing, effect, isOpen, ids, approval } = outcome
  const names = ids.join(', ')
  if (approval !== null) return [`To let it through without asking, this would have to be changed: ${approval}`]
  if (effect === 'allow') {
    if (isOpen) return [`To limit it: ./gatehouse grant add --user OTHER --tools PATTERN --gateway ${thing.gateway}`]
    return [`To end it, take back or change all of: ${names}`]
  }
  if (ids.length > 0) return [`A forbid wins over every grant; it would have to be changed: ${names}`]
  const option = thing.kind === 'tool' ? '--tools' : `--${thing.kind}s`
  return [`./gatehouse grant add --user '${user}' ${option} '${thing.server}/${thing.name}' --gateway ${thing.gateway}`]
}
