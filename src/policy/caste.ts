import type { Principal } from '#identity'
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { JsonObject } from '#kernel'
import { ARGUMENTS_REFERENCE, argumentsEntity, contextOf, type Circumstances } from './cedar/context.ts'
import { ALWAYS, evaluate, evaluateInPart, type Asked, type PolicySet } from './cedar/engine.ts'
import { actionEntity, actionUid, thingEntity, thingUid, type Action } from './cedar/entities.ts'
import type { Look } from './cedar/look.ts'
import { selfOf, subjectEntity } from './cedar/subject.ts'
import type { Thing } from './thing.ts'

/** A rule or a grant, ready to be asked. */
export type Statute = { readonly id: string; readonly policy: PolicyJson; readonly look: Look }

export type Decision = {
  readonly effect: 'allow' | 'deny'
  /** Ids of the deciding grants and rules; none where nothing allowed it. */
  readonly reasons: readonly string[]
}

/** What is asked about one thing. Without `args` the question is whether any arguments could be allowed. */
export type Request = {
  readonly thing: Thing
  readonly action: Action
  readonly at: Circumstances
  readonly now: number
  readonly args?: JsonObject | undefined
}

/**
 * All principals that no policy tells apart, and what has been decided for them. Most decisions look at nothing but who
 * and what, and are made once; where a policy looks at the circumstances, only that much is asked again at every call.
 */
export class Caste {
  readonly #subject: Principal
  readonly #all: PolicySet
  /** The part that looks at who and what only. */
  readonly #still: PolicySet
  readonly #moving: ReadonlyMap<string, Statute>
  /** The scopes of the moving part alone, as permits: whose scope does not fit need not be asked. */
  readonly #scopes: PolicySet
  readonly #asksList: boolean
  readonly #heard: Heard
  #asks = 0
  readonly #decided = new Map<Action, Map<string, Decided>>()
  #size = 0

  constructor(subject: Principal, statutes: readonly Statute[], heard: Heard = UNHEARD) {
    const moving = statutes.filter(({ look }) => look.context.size > 0)
    this.#subject = subject
    this.#heard = heard
    this.#all = toSet(statutes)
    this.#still = toSet(statutes.filter(({ look }) => look.context.size === 0))
    this.#moving = new Map(moving.map((statute) => [statute.id, statute]))
    this.#scopes = toSet(moving.map(({ id, policy, look }) => ({ id, look, policy: scopeOf(policy) })))
    this.#asksList = statutes.some(({ look }) => look.namesList)
  }

  get size(): number {
    return this.#size
  }

  /** May it be done, and by which rules. What may not be listed may not be used either, and the other way round. */
  decide(request: Request): Decision {
    const before = this.#asks
    const decision = this.#decideListed(request)
    if (this.#asks === before) this.#heard.remembered()
    return decision
  }

  #decideListed(request: Request): Decision {
    const decision = this.#decideOne(request)
    if (!this.#asksList || isForbidden(decision)) return decision
    const listed = this.#decideOne({ ...request, action: 'list' })
    return isForbidden(listed) || (decision.effect === 'allow' && listed.effect === 'deny') ? listed : decision
  }

  /**
   * Like `decide`, of the past: neither arguments nor addresses are known any more, so it may depend on them. Where a
   * gateway is `open` to all, only what is forbidden is denied.
   */
  judge(request: Request, gateway: Openness): Judgement {
    const judged = this.#judgeOne(request, gateway)
    if (!this.#asksList || judged === 'deny') return judged
    const listed = this.#judgeOne({ ...request, action: 'list' }, gateway)
    return listed === 'allow' ? judged : listed
  }

  /** Ids of the rules whose answer about this thing hangs on more than who, what and a person's approval. */
  movingFor(request: Request): readonly string[] {
    const hangs = (id: string): boolean =>
      [...(this.#moving.get(id)?.look.context ?? [])].some((name) => name !== 'approved')
    return this.#known(request).moving.filter(hangs)
  }

  #judgeOne(request: Request, gateway: Openness): Judgement {
    const decided = this.#known(request)
    if (decided.moving.length === 0) return effectAt(gateway, decided.still)
    const reads = new Set(decided.moving.flatMap((id) => [...(this.#moving.get(id)?.look.context ?? [])]))
    const isForgotten = [...FORGOTTEN, '*'].some((name) => reads.has(name))
    if (!isForgotten) return effectAt(gateway, this.#decideNow(request, {}))
    decided.judged[gateway] ??= this.#decideInPart(request, decided, {
      unknown: [...FORGOTTEN, 'now', 'face', 'client'],
      isPermitted: gateway === 'open' || decided.still.effect === 'allow',
    })
    return decided.judged[gateway]
  }

  #decideOne(request: Request): Decision {
    const decided = this.#known(request)
    if (decided.moving.length === 0) return decided.still
    if (request.args !== undefined) return this.#decideNow(request, request.args)
    const readers = decided.moving.filter((id) => readsArguments(this.#moving.get(id)))
    if (readers.length === 0) return this.#decideNow(request, {})
    return this.#couldBe(request, decided)
  }

  #known(request: Request): Decided {
    const { action, thing } = request
    if (thing.key === null) return this.#decideStill(request)
    const ofAction = this.#decided.get(action)
    const known = ofAction?.get(thing.key)
    if (known !== undefined) return known
    const decided = this.#decideStill(request)
    if (this.#size >= MAX_DECIDED) this.#forget()
    this.#decided.set(action, (this.#decided.get(action) ?? new Map<string, Decided>()).set(thing.key, decided))
    this.#size += 1
    return decided
  }

  /** Tools come and go; what is asked again is decided again. */
  #forget(): void {
    this.#decided.clear()
    this.#size = 0
  }

  #decideStill(request: Request): Decided {
    const asked = this.#asked(request, {}, [])
    const { effect, reasons } = evaluate(this.#still, asked)
    const still = { effect, reasons }
    const isFinal = this.#moving.size === 0 || isForbidden(still)
    return { still, moving: isFinal ? [] : evaluate(this.#scopes, asked).reasons, could: null, judged: {} }
  }

  #decideNow(request: Request, args: JsonObject): Decision {
    const entity = argumentsEntity(args)
    if (entity === null) return TOO_MANY
    const context = { ...contextOf(request.at, request.now), args: ARGUMENTS_REFERENCE }
    const { effect, reasons } = evaluate(this.#all, this.#asked(request, context, [entity]))
    return { effect, reasons }
  }

  #couldBe(request: Request, decided: Decided): Decision {
    if (decided.could !== null) return decided.could
    const ask = (isPermitted: boolean) => this.#decideInPart(request, decided, { unknown: ['args'], isPermitted })
    const effect = ask(decided.still.effect === 'allow') === 'deny' ? 'deny' : 'allow'
    const isNamed = effect === 'allow' || ask(true) === 'deny'
    const decision: Decision = { effect, reasons: isNamed ? [...decided.still.reasons, ...decided.moving] : [] }
    // Told once and for all, unless the time of day or the network matter as well.
    if (decided.moving.every((id) => readsNothingElse(this.#moving.get(id)))) decided.could = decision
    return decision
  }

  #decideInPart(
    request: Request,
    { moving }: Decided,
    { unknown, isPermitted }: { unknown: readonly string[]; isPermitted: boolean },
  ): Judgement {
    const rest = moving.flatMap((id) => this.#moving.get(id) ?? [])
    const context = contextOf(request.at, request.now)
    return evaluateInPart(
      { ...toSet(rest), ...(isPermitted ? ALWAYS : {}) },
      this.#asked(request, context, []),
      unknown,
    )
  }

  #asked({ thing, action }: Request, context: Asked['context'], more: Asked['entities']): Asked {
    this.#asks += 1
    this.#heard.asked()
    return {
      principal: selfOf(this.#subject),
      action: actionUid(action),
      resource: thingUid(thing),
      context,
      entities: [subjectEntity(this.#subject), thingEntity(thing), actionEntity(action), ...more],
    }
  }
}

/** Told of what is asked. */
export type Heard = {
  /** Cedar was asked, and one decision may ask it several times. */
  asked(): void
  /** A decision was remembered, or follows from what was. */
  remembered(): void
}

const UNHEARD: Heard = { asked: () => {}, remembered: () => {} }

type Decided = {
  /** What the rules say that look at who and what only. */
  readonly still: Decision
  /** Ids of those that look at more, and apply. */
  readonly moving: readonly string[]
  could: Decision | null
  readonly judged: Partial<Record<Openness, Judgement>>
}

/** Whether everybody whom the gateway admits may use what there is, or only what is granted. */
type Openness = 'open' | 'granted'
export type Judgement = 'allow' | 'deny' | 'depends'

/** By a rule that says so, not for want of one that allows it. */
export function isForbidden({ effect, reasons }: Decision): boolean {
  return effect === 'deny' && reasons.length > 0
}

function effectAt(gateway: Openness, decision: Decision): 'allow' | 'deny' {
  if (gateway === 'granted') return decision.effect
  return isForbidden(decision) ? 'deny' : 'allow'
}

/** What the audit trail does not keep. */
const FORGOTTEN = ['args', 'address', 'scopes'] as const

const MAX_DECIDED = 100_000

/** More arguments than a rule can be asked about are not let through unasked. */
const TOO_MANY: Decision = { effect: 'deny', reasons: [] }

function toSet(statutes: readonly Pick<Statute, 'id' | 'policy'>[]): PolicySet {
  return Object.fromEntries(statutes.map(({ id, policy }) => [id, policy]))
}

function scopeOf({ principal, action, resource }: PolicyJson): PolicyJson {
  return { effect: 'permit', principal, action, resource, conditions: [] }
}

function readsArguments(statute: Statute | undefined): boolean {
  return statute !== undefined && (statute.look.context.has('args') || statute.look.context.has('*'))
}

function readsNothingElse(statute: Statute | undefined): boolean {
  return statute !== undefined && [...statute.look.context].every((name) => name === 'args')
}
