import { hash, randomBytes } from 'node:crypto'
import type { Audit } from '#audit'
import type { EgressClient } from '#http'
import type { Member } from '#identity'
import { newId, Problem, type Clock, type Json, type JsonObject } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { mayAnswer, WEBHOOK } from './may-answer.ts'
import { createNotifier } from './notify.ts'
import { ALREADY_ANSWERED, NO_SUCH_APPROVAL, NOT_AN_APPROVER, TOO_LARGE, TOO_MANY_PENDING } from './problems.ts'
import { shownApproval, type Answer, type ApprovalsConfig, type ShownApproval, type Way } from './schema.ts'
import { createLinkStore, type LinkStore } from './link-store.ts'
import {
  createApprovalsStore,
  createOldApprovals,
  type ApprovalsStore,
  type OldApprovals,
  type StoredApproval,
} from './store.ts'
import { Waiting } from './waiting.ts'
import { readSignedAnswer, type SignedAnswer } from './webhook-answer.ts'

export type ApprovalsDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'approval' | 'watch'>
  readonly audit: Pick<Audit, 'record'>
  /** The way to the webhook. */
  readonly client: EgressClient
  readonly seal: ArgumentSeal
  readonly config: ApprovalsConfig
  readonly publicUrl: () => string
  readonly findMember: (userId: string) => Member | null
}

/** Keeps arguments so that only this house can read them. */
type ArgumentSeal = {
  seal(purpose: string, value: JsonObject): string
  open(purpose: string, text: string): JsonObject | null
}

/** A call that somebody wants approved. `binding` stands for exactly this call, and for no other. */
export type Wanted = {
  readonly binding: string
  readonly userId: string
  readonly gateway: string
  readonly server: string
  readonly tool: string
  readonly rule: string
  readonly note: string | null
  readonly arguments: JsonObject
}

/** `approved`: used up by this very look, so the call may be made, once. */
export type Ticket = { readonly approval: ShownApproval; readonly state: 'approved' | 'pending' | 'denied' | 'expired' }

/** Who answers. `link`: whoever holds a one-time link. */
export type Answerer = { readonly userId: string; readonly keyId?: string | null; readonly via: Way }

export type Approvals = {
  /** As of now. */
  readonly config: ApprovalsConfig
  /** Takes over a changed config file. What was asked for before ends when it was said to. */
  declare(config: ApprovalsConfig): void
  /** The approval of this call: used up where it is given, and asked for where there is none. */
  present(wanted: Wanted): Promise<Ticket>
  /** The same approval after a while: resolves when it was answered, or pending after so long. */
  wait(id: string, limits: { atMostMs: number; signal: AbortSignal }): Promise<Ticket>
  /** As it stands now; nothing is used up. Rejects with `approvals/not-found`. */
  look(id: string): Promise<ShownApproval>
  /** The call was not sent after all: its approval can be used once more. */
  giveBack(id: string): Promise<void>
  /** True once for each round of a call that asks its caller. */
  useRound(id: string, round: number): Promise<boolean>
  /** The first answer wins; rejects for the second, and for whoever may not answer. */
  answer(id: string, answer: Answer, by: Answerer): Promise<ShownApproval>
  /** The same from the webhook's service. Rejects with `approvals/bad-webhook-answer` for anybody else. */
  answerSigned(signed: SignedAnswer): Promise<ShownApproval>
  list(request: { state?: string | undefined; cursor?: string | undefined; limit: number }): Promise<{
    approvals: ShownApproval[]
    next: string | null
  }>
  /** With the arguments; rejects with `approvals/not-found`. */
  show(id: string): Promise<ShownApproval & { arguments: Json }>
  /** Whether this account may answer it, and so see it. */
  mayAnswer(approval: ShownApproval, userId: string): boolean
  /** A link with which somebody without an account answers this one, once. Its token is told only here. */
  makeLink(id: string, by: Answerer): Promise<string>
  /** The approval that a link is for; null for a link that was used, or is none. */
  findByLink(token: string): Promise<string | null>
  close(): void
}

type Parts = ApprovalsDeps & {
  readonly store: ApprovalsStore
  readonly links: LinkStore
  readonly old: OldApprovals
  readonly waiting: Waiting
  readonly notify: (approval: ShownApproval) => void
  /** As of the last change here, or the last look. */
  readonly pending: { count: number }
}

const PURPOSE = 'approval-arguments'
const MAX_ARGUMENT_CHARS = 1_048_576
const MAX_PENDING_OF_USER = 100
const SWEEP_MS = 30_000
const KEPT_MS = 30 * 86_400_000
/** A waiting call looks by itself that often, should a message be lost. */
const LOOK_MS = 2_000

/** Opens the room; stored approvals go on where they were. */
export function createApprovals(deps: ApprovalsDeps): Approvals {
  const store = createApprovalsStore(deps.storage)
  const waiting = new Waiting(deps.storage)
  let config = deps.config
  const notify = createNotifier({ ...deps, webhook: () => config.webhook })
  const links = createLinkStore(deps.storage)
  const old = createOldApprovals(deps.storage)
  const parts: Parts = {
    ...deps,
    get config() {
      return config
    },
    store,
    links,
    old,
    waiting,
    notify,
    pending: { count: 0 },
  }
  const unwatch = deps.metrics.watch('approvals-waiting', () => waiting.count)
  const unwatchPending = deps.metrics.watch('approvals-pending', () => parts.pending.count)
  const sweeper = setInterval(() => void sweep(parts), SWEEP_MS).unref()
  return {
    get config() {
      return config
    },
    declare: (next) => void (config = next),
    present: (wanted) => present(parts, wanted),
    wait: (id, limits) => wait(parts, id, limits),
    look: (id) => look(parts, id),
    giveBack: (id) => giveBack(parts, id),
    useRound: (id, round) => store.useRound(id, round),
    answer: (id, answer, by) => answerOne(parts, id, { answer, by }),
    answerSigned: async (signed) => {
      const { id, answer, by } = readSignedAnswer(signed, { webhook: config.webhook, clock: deps.clock })
      return answerOne(parts, id, { answer, by: { userId: `${WEBHOOK}${by}`, via: 'webhook' } })
    },
    list: (request) => list(parts, request),
    show: async (id) => withArguments(parts, await found(parts, id)),
    mayAnswer: (approval, userId) => mayAnswer(parts, approval, userId),
    makeLink: (id, by) => makeLink(parts, id, by),
    findByLink: (token) => links.find(hashToken(token), deps.clock.now()),
    close: () => {
      clearInterval(sweeper)
      unwatch()
      unwatchPending()
      waiting.close()
    },
  }
}

async function present(parts: Parts, wanted: Wanted): Promise<Ticket> {
  const { store } = parts
  // At the most: somebody else's call was faster, then ours begins anew.
  for (let tries = 0; tries < 8; tries++) {
    const newest = await store.newest(wanted.binding)
    const ticket = newest && (await useOrTell(parts, newest))
    if (ticket === 'lost') continue
    if (ticket && ticket.state !== 'expired') return ticket
    const asked = await ask(parts, wanted)
    if (asked !== null) return asked
  }
  throw new Error('an approval was neither found nor made')
}

/** What this one says now; `lost` where another call was faster, and undefined where it is used and a new one is needed. */
async function useOrTell(parts: Parts, approval: StoredApproval): Promise<Ticket | 'lost' | undefined> {
  const isOver = approval.expiresAt <= parts.clock.now()
  switch (approval.state) {
    case 'approved':
      if (isOver) return (await expire(parts, approval, 'approved')) ? ticketOf(approval, 'expired') : 'lost'
      return (await use(parts, approval)) ? ticketOf(approval, 'approved') : 'lost'
    case 'pending':
      if (isOver) return (await expire(parts, approval, 'pending')) ? ticketOf(approval, 'expired') : 'lost'
      return ticketOf(approval, 'pending')
    case 'denied':
      // Asking again at once would only wear down whoever has to answer.
      return isOver ? undefined : ticketOf(approval, 'denied')
    case 'expired':
      return ticketOf(approval, 'expired')
    case 'used':
      return undefined
  }
}

/** Null where another call has asked for the very same in this moment. */
async function ask(parts: Parts, wanted: Wanted): Promise<Ticket | null> {
  const { store, clock, config, seal } = parts
  const text = JSON.stringify(wanted.arguments)
  if (text.length > MAX_ARGUMENT_CHARS)
    throw new Problem(TOO_LARGE, 'These arguments are too large for a person to approve, so the call was not made.')
  const now = clock.now()
  if ((await store.countPending(now, wanted.userId)) >= MAX_PENDING_OF_USER) {
    const why = `${MAX_PENDING_OF_USER} calls of this user wait for an approval already. Have some answered first.`
    throw new Problem(TOO_MANY_PENDING, why)
  }
  const { binding, gateway, server, tool, rule, note } = wanted
  const id = newId('appr')
  const sealed = seal.seal(PURPOSE, { id, text })
  const times = { created_at: now, expires_at: now + config.expires_ms }
  const row = { id, binding, sealed, user_id: wanted.userId, gateway, server, tool, rule, note, ...times }
  if (!(await store.insert(row))) return null
  const approval = await found(parts, id)
  await record(parts, approval, { what: 'approval.requested', userId: wanted.userId })
  parts.metrics.approval('requested')
  parts.pending.count = await store.countPending(now)
  parts.notify(shown(approval))
  return ticketOf(approval, 'pending')
}

/** Used up before it is written down: should the record fail, the call is not made, and cannot be made twice. */
async function use(parts: Parts, approval: StoredApproval): Promise<boolean> {
  if (!(await parts.store.use(approval.id, parts.clock.now()))) return false
  await record(parts, approval, { what: 'approval.used', userId: approval.userId })
  return true
}

/** Should this fail, the approval stays used up: the call is asked for anew, and never made twice. */
async function giveBack(parts: Parts, id: string): Promise<void> {
  try {
    const approval = await found(parts, id)
    await record(parts, approval, { what: 'approval.returned', userId: approval.userId })
    await parts.store.giveBack(id)
  } catch (error) {
    parts.log.warn({ err: error, approval: id }, 'an approval could not be given back')
  }
}

async function expire(parts: Parts, approval: StoredApproval, from: 'pending' | 'approved'): Promise<boolean> {
  if (!(await parts.store.expire(approval.id, from))) return false
  await record(parts, approval, { what: 'approval.expired', userId: null })
  parts.metrics.approval('expired')
  return true
}

async function wait(parts: Parts, id: string, limits: { atMostMs: number; signal: AbortSignal }): Promise<Ticket> {
  const until = performance.now() + limits.atMostMs
  for (;;) {
    const approval = await found(parts, id)
    // Nobody is there any more for whom it could be used up.
    if (limits.signal.aborted) return ticketOf(approval, 'pending')
    const ticket = await useOrTell(parts, approval)
    // Another call with the same arguments has used it up: this one needs its own.
    if (ticket === undefined || ticket === 'lost') return ticketOf(approval, 'expired')
    const left = until - performance.now()
    if (ticket.state !== 'pending' || left <= 0) return ticket
    const leftOfIt = approval.expiresAt - parts.clock.now()
    const atMostMs = Math.max(1, Math.min(left, leftOfIt, LOOK_MS))
    // So many wait already that this one comes back later.
    if (!(await parts.waiting.next(id, { atMostMs, signal: limits.signal }))) return ticket
  }
}

async function look(parts: Parts, id: string): Promise<ShownApproval> {
  const approval = await found(parts, id)
  const { state, expiresAt } = approval
  const isOver = (state === 'pending' || state === 'approved') && expiresAt <= parts.clock.now()
  if (!isOver) return shown(approval)
  // The sweep may have been faster.
  await expire(parts, approval, state)
  return shown({ ...approval, state: 'expired' })
}

async function answerOne(
  parts: Parts,
  id: string,
  { answer, by }: { answer: Answer; by: Answerer },
): Promise<ShownApproval> {
  const { store, clock } = parts
  const approval = await found(parts, id)
  const what = answer === 'approve' ? 'approval.approved' : 'approval.denied'
  const told = { userId: by.userId, keyId: by.keyId ?? null, via: by.via }
  if (!mayAnswer(parts, approval, by.userId, by.via)) {
    await record(parts, approval, { what, ...told, decision: 'denied', reason: 'somebody else has to answer' })
    throw new Problem(NOT_AN_APPROVER, 'Whoever makes the call does not approve it: an approver has to.')
  }
  if (approval.state === 'pending' && approval.expiresAt <= clock.now()) await expire(parts, approval, 'pending')
  const state = answer === 'approve' ? ('approved' as const) : ('denied' as const)
  const tooLate = async (now: StoredApproval): Promise<Problem> => {
    await record(parts, approval, { what, ...told, decision: 'failed', reason: `it is ${now.state} already` })
    return new Problem(ALREADY_ANSWERED, `This is ${wordOf(now)} already; your answer changes nothing.`)
  }
  const before = await found(parts, id)
  if (before.state !== 'pending') throw await tooLate(before)
  // Written down before it counts. Of two in this very moment the one that lost is written down as failed besides.
  await record(parts, approval, { what, ...told })
  const to = { state, by: by.userId, via: by.via, at: clock.now() }
  if (!(await store.answer(id, to))) throw await tooLate(await found(parts, id))
  parts.metrics.approval(state)
  parts.pending.count = await store.countPending(clock.now())
  await parts.links.remove(id)
  await parts.waiting.tell(id)
  return shown(await found(parts, id))
}

function wordOf({ state, answeredBy }: StoredApproval): string {
  return state === 'expired' || answeredBy === null ? state : `${state} (by ${answeredBy})`
}

async function list(parts: Parts, request: Parameters<Approvals['list']>[0]) {
  const stored = await parts.store.list({ ...request, limit: request.limit + 1 })
  const approvals = stored.slice(0, request.limit).map(shown)
  return { approvals, next: stored.length > request.limit ? (approvals.at(-1)?.id ?? null) : null }
}

async function makeLink(parts: Parts, id: string, by: Answerer): Promise<string> {
  const approval = await found(parts, id)
  if (!mayAnswer(parts, approval, by.userId, by.via)) {
    throw new Problem(NOT_AN_APPROVER, 'Whoever makes the call does not hand out its approval.')
  }
  if (approval.state !== 'pending') throw new Problem(ALREADY_ANSWERED, `This is ${wordOf(approval)} already.`)
  const token = randomBytes(32).toString('base64url')
  await record(parts, approval, { what: 'approval.link-made', userId: by.userId, keyId: by.keyId ?? null, via: by.via })
  await parts.links.insert({ token_hash: hashToken(token), approval: id, expires_at: approval.expiresAt })
  return `${parts.publicUrl()}/approve/link/${token}`
}

function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

async function found({ store }: Parts, id: string): Promise<StoredApproval> {
  const approval = await store.find(id.slice(0, 64))
  if (approval) return approval
  throw new Problem(NO_SUCH_APPROVAL, `There is no approval "${id.slice(0, 64)}".`)
}

function withArguments({ seal }: Parts, approval: StoredApproval): ShownApproval & { arguments: Json } {
  const opened = seal.open(PURPOSE, approval.sealed)
  const text = opened?.['text']
  if (opened?.['id'] !== approval.id || typeof text !== 'string')
    throw new Error(`the arguments of approval ${approval.id} cannot be read`)
  // Written by `ask` above.
  return { ...shown(approval), arguments: JSON.parse(text) as Json }
}

/** Without the binding and what is sealed. */
function shown(approval: StoredApproval): ShownApproval {
  return shownApproval.parse(approval)
}

function ticketOf(approval: StoredApproval, state: Ticket['state']): Ticket {
  return { approval: shown(approval), state }
}

type Told = {
  readonly what: string
  readonly userId: string | null
  readonly keyId?: string | null
  readonly via?: Way
  readonly decision?: 'denied' | 'failed'
  readonly reason?: string
}

async function record({ audit }: Parts, approval: StoredApproval, told: Told): Promise<void> {
  const { what, userId, keyId = null, via, decision = 'allowed', reason } = told
  const { id, gateway, server, tool, rule } = approval
  const extra = { approval: id, rule, user: approval.userId, ...(via === undefined ? {} : { via }) }
  const said = reason === undefined ? {} : { reason }
  await audit.record({ what, decision, userId, keyId, gateway, server, tool, extra, ...said })
}

/** Writes down what nobody answered, and forgets what is old. */
async function sweep(parts: Parts): Promise<void> {
  const { store, clock, log } = parts
  try {
    for (const id of await parts.old.due(clock.now(), 100)) await expire(parts, await found(parts, id), 'pending')
    await parts.links.removeOld(clock.now())
    await parts.old.removeOld(clock.now() - KEPT_MS)
    parts.pending.count = await store.countPending(clock.now())
  } catch (error) {
    log.warn({ err: error }, 'old approvals could not be looked through')
  }
}
