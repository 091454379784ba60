import { Problem, shellWord } from '#kernel'
import type { Principal } from '#identity'
import { useOf } from '../cedar/entities.ts'
import { subjectsOf, uidText } from '../cedar/subject.ts'
import { decide, decideOfAll, isOpenTo, type Verdict } from '../decide.ts'
import { subjectUid } from '../grants/compile.ts'
import { createCoverage } from '../grants/covers.ts'
import type { Grant } from '../grants/schema.ts'
import { personOf } from '../person.ts'
import { NO_SUCH_THING } from '../problems.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Thing } from '../thing.ts'
import type { Found, Rehearsal, Stop, World } from '../world.ts'
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
export async function explain(deps: ExplainDeps, request: ExplainRequest): Promise<Explanation> {
  const { user, gateway, kind, name, args } = explainRequest.parse(request)
  const { world, snapshot } = deps
  const found = world.find(gateway, { kind, name })
  if (found === null) {
    throw new Problem(NO_SUCH_THING, `Gateway "${gateway}" shows no ${kind} "${name.slice(0, 200)}" to anybody.`)
  }
  const { thing } = found
  const principal = personOf(world, { userId: user, keyId: 'key' })
  const rehearsed = await world.rehearse({ thing, user: { userId: user, groups: principal.groups }, args })
  const depends = args === undefined ? dependsOn(deps, principal, thing) : []
  const outcome = { ...outcomeOf(deps, { found, principal, rehearsed }), depends }
  const { ids, stopped, approval, effect, isOpen } = outcome
  return {
    user,
    groups: [...principal.groups],
    gateway,
    access: isOpen ? 'all' : 'grants',
    thing: { kind, server: thing.server, name: thing.name },
    effect,
    summary: summaryOf(outcome),
    deciding: [...(stopped === null ? [] : [stopped]), ...ids.map((id) => ({ id, words: wordsOf(deps, id) }))],
    near: effect === 'allow' || stopped !== null ? [] : nearMisses(deps, principal, found),
    depends: depends.map((id) => snapshot.describe(id)),
    approval,
    content: [...rehearsed.content],
    advice: adviceFor(outcome),
    policyVersion: snapshot.label,
  }
}

type Outcome = {
  readonly user: string
  readonly thing: Thing
  readonly effect: 'allow' | 'deny'
  readonly isOpen: boolean
  /** What wants a person to approve it first. */
  readonly approval: Stop | null
  /** What refuses these very arguments, although the thing may be used. */
  readonly stopped: Stop | null
  /** The deciding grants and rules. */
  readonly ids: readonly string[]
  /** Rules whose answer hangs on what the call brings, where it is not known. */
  readonly depends: readonly string[]
}

type Asked = { readonly found: Found; readonly principal: Principal; readonly rehearsed: Rehearsal }

function outcomeOf(deps: ExplainDeps, { found, principal, rehearsed }: Asked): Omit<Outcome, 'depends'> {
  const { snapshot, now } = deps
  const { thing } = found
  const { args } = rehearsed
  const asked = { principal, at: AT, args: args && (() => args) }
  const verdict = decideOfAll(found, (one, action = useOf(thing)) =>
    decide(snapshot, { ...asked, thing: one, action }, now),
  )
  const ids = decidingOf(verdict).filter((id) => verdict.effect === 'deny' || !isForbid(snapshot, id))
  const outcome = { user: principal.userId, thing, ids, isOpen: isOpenTo(snapshot, principal, thing) }
  if (verdict.effect === 'deny') return { ...outcome, effect: 'deny', approval: null, stopped: null }
  const { stopped } = rehearsed
  if (stopped !== null) return { ...outcome, effect: 'deny', approval: null, stopped }
  return { ...outcome, effect: 'allow', approval: approvalOf(deps, verdict, rehearsed.approval), stopped: null }
}

function dependsOn({ snapshot, now }: ExplainDeps, principal: Principal, thing: Thing): string[] {
  if (isOpenTo(snapshot, principal, thing) && !snapshot.hasRules) return []
  return [...snapshot.casteOf(principal).movingFor({ thing, action: useOf(thing), at: AT, now })]
}

/** A content rule comes first, then a rule in Cedar, then the gateway, as in a call. */
function approvalOf(deps: ExplainDeps, { approval }: Verdict, asked: Stop | null): Stop | null {
  if (approval === undefined || asked?.id.startsWith('content:')) return asked
  return { id: approval.rule, words: wordsOf(deps, approval.rule) }
}

/** A forbid that may hold with other arguments has not decided a yes. */
function isForbid({ rules }: Snapshot, id: string): boolean {
  return rules.some((rule) => rule.id === id && rule.policy.effect === 'forbid')
}

/** None where being admitted was enough, and no policy was asked. */
function decidingOf({ policy, rule, rules }: Verdict): readonly string[] {
  if (policy === undefined) return []
  return rules ?? (rule === null ? [] : [rule])
}

function summaryOf({ user, thing, effect, isOpen, approval, stopped, ids, depends }: Outcome): string {
  const what = `${thing.kind} ${thing.server}/${thing.name} at ${thing.gateway}`
  if (stopped !== null) return `${user} may use ${what}, but not with these arguments: ${stopped.words}.`
  if (approval !== null) return `${user} may use ${what} once a person has approved the call.`
  if (effect === 'allow') {
    const where = depends.length === 0 ? '' : ', but not in every case: see below what it hangs on'
    return isOpen
      ? `${user} may use ${what}: the gateway is open to everybody it admits, and no rule forbids it${where}.`
      : `${user} may use ${what}${where}.`
  }
  if (ids.length > 0) return `${user} may not use ${what}: it is forbidden.`
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
function nearMisses({ grants, now }: ExplainDeps, principal: Principal, { things }: Found): Stop[] {
  const own = new Set(subjectsOf(principal).map(uidText))
  const found = grants.flatMap((grant) => {
    const uid = subjectUid(grant.subject)
    const isForThem = uid === null || own.has(uidText(uid))
    const isForThis = things.some(createCoverage(grant))
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
  return reasons.length === 0 ? 'it would do it, but a forbid wins' : reasons.join(', ')
}

function adviceFor({ user, thing, effect, isOpen, approval, stopped, ids }: Outcome): string[] {
  const names = ids.join(', ')
  if (stopped !== null) return [`Other arguments, or a change of ${stopped.id}`]
  if (approval !== null) return [`To let it through without asking, this would have to be changed: ${approval.id}`]
  if (effect === 'allow') {
    if (isOpen) return [`To limit it: ./gatehouse grant add --user OTHER --tools PATTERN --gateway ${thing.gateway}`]
    return [`To end it, take back or change all of: ${names}`]
  }
  if (ids.length > 0) return [`A forbid wins over every grant; it would have to be changed: ${names}`]
  const option = thing.kind === 'tool' ? '--tools' : `--${thing.kind}s`
  const what = shellWord(`${thing.server}/${thing.name}`)
  return [`./gatehouse grant add --user ${shellWord(user)} ${option} ${what} --gateway ${thing.gateway}`]
}
