import type { Principal } from '#identity'
import type { JsonObject } from '#kernel'
import { isForbidden } from './caste.ts'
import type { Circumstances } from './cedar/context.ts'
import type { Action } from './cedar/entities.ts'
import type { Snapshot } from './snapshot.ts'
import type { Thing } from './thing.ts'
import type { AskedAbout } from './world.ts'

/** May this principal do this to that? */
export type Question = {
  readonly principal: Principal
  readonly action: Action
  readonly thing: Thing
  readonly at?: Circumstances
  /** The arguments, as the server would get them. Without: could it be allowed with any? */
  readonly args?: (() => JsonObject) | undefined
}

export type Verdict = {
  readonly effect: 'allow' | 'deny'
  /** The deciding rule; null when there was none, which is a no. */
  readonly rule: string | null
  readonly reason: string
  /** Which policies decided, for the audit trail; absent where none was asked. */
  readonly policy?: string
  /** All grants and rules that decided, where there were several. */
  readonly rules?: readonly string[]
  /** A person has to approve it first: the rule that wants it. */
  readonly approval?: { readonly rule: string; readonly note: string | null }
  /** What rules that are only tried would have said, where that is something else. */
  readonly shadow?: { readonly effect: 'allow' | 'deny'; readonly policy: string; readonly rule: string | null }
}

const OPEN: Verdict = { effect: 'allow', rule: 'gateway-open', reason: 'the gateway is open to this machine' }
const KEY: Verdict = { effect: 'allow', rule: 'gateway-key', reason: 'the key was made for this gateway' }
const ADMIN: Verdict = { effect: 'allow', rule: 'admin', reason: 'an admin of this house acts for the user' }
const ELSEWHERE: Verdict = { effect: 'deny', rule: null, reason: 'no rule allows it' }

const NOWHERE: Circumstances = { face: 'none', client: '', remoteAddress: null, scopes: null }

/**
 * Decides by one state of all grants and rules. Costs no I/O, and mostly two look-ups. What a rule refuses only until a
 * person has approved it (`context.approved`) is allowed, with the rule that wants that.
 */
export function decide(snapshot: Snapshot, question: Question, now: number): Verdict {
  const verdict = decideOnce(snapshot, question, now)
  if (verdict.effect === 'allow' || !snapshot.readsApproval) return verdict
  const approved = decideOnce(snapshot, { ...question, at: { ...(question.at ?? NOWHERE), isApproved: true } }, now)
  const rule = verdict.rule ?? approved.rule
  if (approved.effect === 'deny' || rule === null) return verdict
  return { ...approved, approval: { rule, note: snapshot.noteOf(rule) } }
}

function decideOnce(snapshot: Snapshot, question: Question, now: number): Verdict {
  const { principal, thing, action, args } = question
  const given = byAdmission(principal, thing.gateway)
  if (given === null) return ELSEWHERE
  const isOpen = isOpenTo(snapshot, principal, thing)
  if (isOpen && !snapshot.hasRules) return given
  const at = question.at ?? NOWHERE
  const decision = snapshot.casteOf(principal).decide({ thing, action, at, now, ...(args ? { args: args() } : {}) })
  return isOpen && !isForbidden(decision) ? given : toVerdict(snapshot, decision)
}

/** What coming in alone gives where a gateway is for all that it admits; null where the credential is for other gateways. */
function byAdmission({ gateways, keyId }: Principal, gateway: string): Verdict | null {
  const isAnywhere = gateways.includes('*')
  if (!isAnywhere && !gateways.includes(gateway)) return null
  if (keyId !== null) return KEY
  // Without a key: the gateway's own door stands open, or the admin of this machine came in by another.
  return isAnywhere ? ADMIN : OPEN
}

/** True where everybody who was admitted may use what there is, unless a rule forbids it. */
export function isOpenTo(snapshot: Snapshot, principal: Principal, thing: Pick<Thing, 'gateway' | 'access'>): boolean {
  if (principal.kind === 'local-admin') return true
  return (thing.access ?? (snapshot.isGranted(thing.gateway) ? 'grants' : 'all')) === 'all'
}

function toVerdict(snapshot: Snapshot, decision: { effect: 'allow' | 'deny'; reasons: readonly string[] }): Verdict {
  const { effect, reasons } = decision
  const [rule] = reasons
  const said = { effect, policy: snapshot.label, ...(reasons.length > 1 ? { rules: reasons } : {}) }
  if (rule === undefined) return { ...said, rule: null, reason: 'no rule allows it' }
  const names = reasons.map((id) => snapshot.describe(id)).join(', ')
  return { ...said, rule, reason: effect === 'allow' ? `allowed by ${names}` : `forbidden by ${names}` }
}

/** The verdict of all that something is. A page is as free as the tool that shows it, where nothing else is said of it. */
export function decideOfAll(
  { things, pages = [] }: AskedAbout,
  ask: (thing: Thing, action?: Action) => Verdict,
): Verdict {
  const verdicts = things.map((thing) => ask(thing))
  const isForbidding = ({ effect, rule }: Verdict): boolean => effect === 'deny' && rule !== null
  const isAllowing = ({ effect }: Verdict): boolean => effect === 'allow'
  const needsPerson = ({ approval }: Verdict): boolean => approval !== undefined
  const deciding = verdicts.find(isForbidding) ?? verdicts.find(needsPerson) ?? verdicts.find(isAllowing)
  const byPage = deciding === undefined ? pages.map((page) => ask(page, 'call')).find(isAllowing) : undefined
  return deciding ?? byPage ?? verdicts[0] ?? NOTHING
}

const NOTHING: Verdict = { effect: 'deny', rule: null, reason: 'there is nothing to be used' }
