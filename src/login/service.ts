import type { Audit } from '#audit'
import type { Member } from '#identity'
import { Problem, type Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { decideLogin, type LoginDecision, type LoginQuestion } from './decide.ts'
import { openLiveRules, type LiveRules } from './live-rules.ts'
import { BAD_LOGIN_RULE, LOGIN_POLICY_CHANGED, LOGIN_RULE_FROM_FILE, NO_SUCH_LOGIN_RULE } from './problems.ts'
import { MAX_RULES, type LoginPolicyConfig, type LoginRule, type PolicyVersion, type TestRequest } from './schema.ts'
import type { ShownPolicy } from './schema.ts'
import { createLoginStore, type LoginStore } from './store.ts'

export type LoginPolicyDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly log: Log
  readonly config: LoginPolicyConfig
  /** The account with this user id, for the tester. */
  readonly findMember: (userId: string) => Member | null
}

/** What the rules say, and whether there is anybody about whom they say it. */
export type TestedLogin = LoginDecision & { readonly account: 'active' | 'inactive' | 'none' }

type Actor = { readonly userId?: string | null; readonly keyId?: string | null; readonly face?: string }

export type LoginPolicy = {
  /** May this account use these services, from there and so proved? No waiting; the newest rules decide. */
  mayEnter(question: LoginQuestion): LoginDecision
  /** What `mayEnter` would say of a person or a system account that there is, without anybody signing in. */
  test(request: TestRequest): TestedLogin
  list(): ShownPolicy
  /** Adds a rule to those in the database. Refuses an id that is taken. */
  add(rule: LoginRule, by: Actor): Promise<ShownPolicy>
  /** Removes a rule from the database. What the file declares stays. */
  remove(id: string, by: Actor): Promise<ShownPolicy>
  history(): Promise<readonly PolicyVersion[]>
  /** Takes over a changed config file. */
  declare(config: LoginPolicyConfig): void
  /** Tells when the rules in force have changed, so that what was let in before is asked again. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

type Parts = LoginPolicyDeps & { readonly store: LoginStore; readonly live: LiveRules }

/** Reads the rules, and from then on follows every change. Rejects when the store is down. */
export async function createLoginPolicy(deps: LoginPolicyDeps): Promise<LoginPolicy> {
  const store = createLoginStore(deps.storage)
  const live = await openLiveRules({ ...deps, store, declared: deps.config })
  const parts: Parts = { ...deps, store, live }
  return {
    mayEnter: (question) => decideLogin(live.current.compiled, question),
    test: (request) => {
      const member = deps.findMember(request.user)
      const account = member === null ? 'none' : member.isActive ? 'active' : 'inactive'
      return { ...decideLogin(live.current.compiled, questionOf(request, member)), account }
    },
    list: () => live.current.shown,
    add: (rule, by) => addRule(parts, rule, by),
    remove: (id, by) => removeRule(parts, id, by),
    history: () => store.history(HISTORY),
    declare: (config) => live.declare(config),
    onChange: (listener) => live.onChange(listener),
    close: () => live.close(),
  }
}

const HISTORY = 100

/** Of somebody who has no account nothing is known, so no rule lets them in by what they are. */
function questionOf({ user, service, client, from, factor }: TestRequest, member: Member | null): LoginQuestion {
  return {
    user,
    account: member?.kind ?? null,
    role: member === null ? null : (member.role ?? 'none'),
    groups: member?.groups ?? null,
    services: client === undefined ? [service] : [service, `client:${client}`],
    address: from ?? null,
    factor: factor ?? null,
  }
}

async function addRule(parts: Parts, rule: LoginRule, by: Actor): Promise<ShownPolicy> {
  const { id } = rule
  if (parts.live.current.shown.rules.some((other) => other.id === id))
    throw new Problem(BAD_LOGIN_RULE, `There is a rule "${id}" already; remove it first, or choose another id.`)
  const { version, rules } = await parts.store.newest()
  if (rules.length >= MAX_RULES)
    throw new Problem(BAD_LOGIN_RULE, `There are ${MAX_RULES} rules already; remove one first.`)
  return await change(parts, { version, rules: [...rules, rule], what: 'added', rule, by })
}

async function removeRule(parts: Parts, id: string, by: Actor): Promise<ShownPolicy> {
  const { version, rules } = await parts.store.newest()
  const rule = rules.find((other) => other.id === id)
  if (rule === undefined) throw notStored(parts, id)
  return await change(parts, { version, rules: rules.filter((other) => other !== rule), what: 'removed', rule, by })
}

function notStored(parts: Parts, id: string): Problem {
  const isInFile = parts.live.current.shown.rules.some((rule) => rule.id === id && rule.source === 'file')
  const name = id.slice(0, 64)
  if (isInFile)
    return new Problem(LOGIN_RULE_FROM_FILE, `The rule "${name}" is declared in the config file; remove it there.`)
  return new Problem(NO_SUCH_LOGIN_RULE, `There is no rule "${name}"; \`login-policy list\` shows those there are.`)
}

type Change = {
  readonly version: number
  readonly rules: readonly LoginRule[]
  readonly what: 'added' | 'removed'
  readonly rule: LoginRule
  readonly by: Actor
}

/** Recorded first: a change without its record cannot happen. */
async function change(parts: Parts, { version, rules, what, rule, by }: Change): Promise<ShownPolicy> {
  const extra = { rule: rule.id, effect: rule.effect, version: version + 1 }
  const event = { what: `login-rule.${what}`, userId: by.userId, keyId: by.keyId, face: by.face, extra }
  await parts.audit.record({ ...event, decision: 'allowed' })
  const next = { version: version + 1, at: parts.clock.now(), by: by.userId ?? null }
  if (!(await parts.store.append({ ...next, change: `${what} ${rule.id}`, rules: [...rules] }))) {
    await parts.audit.record({ ...event, decision: 'failed', reason: 'changed by somebody else at the same time' })
    throw new Problem(
      LOGIN_POLICY_CHANGED,
      'Somebody else has just changed the rules. Look at them, and try once more.',
    )
  }
  await parts.live.announce()
  return parts.live.current.shown
}
