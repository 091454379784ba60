import { hash } from 'node:crypto'
import { APPROVAL_DENIED, APPROVAL_EXPIRED, APPROVAL_PENDING, type Ticket } from '#approvals'
import { canonicalJson, isJsonObject, Problem, type JsonObject } from '#kernel'
import { fingerprint } from '../catalog/fingerprint.ts'
import { INPUT_EXPIRED } from '../problems.ts'
import { wantsApproval } from '../views/view.ts'
import { answerAsCaller, QUESTION, questionOf, readSaid, takesForms, type Said } from './approval-question.ts'
import type { Attempt } from './attempt.ts'
import { openState, roundOf } from './request-state.ts'
import type { Place } from './content.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'

type ApproveDeps = Pick<CallDeps, 'approvals' | 'held' | 'seal' | 'clock' | 'log'>

/**
 * Where a content rule or the gateway wants a person to approve the call, it goes no further before that: it waits, or
 * ends and is made again. An approval is used up before the call is made, so that no two can be made with it; it is
 * given back only where nothing was sent.
 */
export async function onceApproved(deps: ApproveDeps, at: Place, make: () => Promise<Ending>): Promise<Ending> {
  const { attempt } = at
  const asksCaller = await approve(deps, at)
  if (asksCaller) return asksCaller
  try {
    return await make()
  } finally {
    if (attempt.approval?.round === 0 && !attempt.isSent) await deps.approvals.giveBack(attempt.approval.id)
  }
}

/** An ending where the caller is to be asked with its next request (2026-07-28); null when the call may be made. */
async function approve(deps: ApproveDeps, at: Place): Promise<Ending | null> {
  const need = needOf(at)
  if (need === null) return null
  const { attempt } = at
  if (await isFurtherRound(deps, at)) return null
  const said = takeAnswer(deps, attempt)
  // A state that is not this call's is refused before an approval is used up.
  openState(deps, attempt, at.target)
  const ticket = await deps.approvals.present(wantedOf(at, need))
  const { id } = ticket.approval
  attempt.approval = { id, round: 0 }
  if (mayHold(attempt, ticket)) return hold(deps, at, ticket)
  if (ticket.state === 'pending' && !isHeld(attempt))
    return waitFor(deps, at, { ticket, said: said?.id === id ? said.action : null })
  return settle(ticket)
}

type Need = { readonly rule: string; readonly note: string | null }

function needOf({ attempt, target }: Place): Need | null {
  const { needsApproval: by, verdict, request } = attempt
  if (by !== null) return { rule: `content:${by.name}`, note: by.note }
  // A task belongs to a call that was approved when it was made.
  const isTask = request.method.startsWith('tasks/')
  if (verdict?.approval && !isTask) return { ...verdict.approval, rule: `policy:${verdict.approval.rule}` }
  if (request.method !== 'tools/call' || target.binding === undefined) return null
  return wantsApproval(target.view.approve, target.binding.thing) ? { rule: 'gateway:approve', note: null } : null
}

/** The server asks its caller: the call was approved before its first round, and each round is made once. */
async function isFurtherRound(deps: ApproveDeps, { attempt, target }: Place): Promise<boolean> {
  const round = roundOf(deps, attempt, target)
  if (round === null) return false
  if (!(await deps.approvals.useRound(round.id, round.round))) {
    throw new Problem(INPUT_EXPIRED, 'This requestState was used already. Make the call anew, without it.')
  }
  attempt.approval = { id: round.id, round: round.round + 1 }
  return true
}

/** Stands for exactly this call: what goes to the tool, who sent it and where, and what the tool says of itself. */
function wantedOf({ attempt, target }: Place, { rule, note }: Need) {
  const { admission, method, params } = attempt.request
  const { config } = target.server
  const sent = attempt.passed ?? params
  const { _meta: _, ...bound } = sent
  const place = config.transport === 'stdio' ? config.command : 'url' in config ? config.url : config.transport
  const parts: JsonObject = {
    user: admission.userId,
    gateway: admission.gateway,
    server: config.name,
    place,
    method,
    tool: target.original,
    definition: target.binding ? fingerprint(target.binding.definition) : null,
    params: bound,
  }
  const args = isJsonObject(bound['arguments']) ? bound['arguments'] : bound
  return {
    binding: hash('sha256', canonicalJson(parts), 'base64url'),
    userId: admission.userId,
    gateway: admission.gateway,
    server: config.name,
    tool: target.original,
    rule,
    note,
    arguments: args,
  }
}

/** A caller that follows tasks gets one at once; one that asked for a task (2025-11-25) gets nothing else. */
function mayHold({ request: { task } }: Attempt, { state }: Ticket): boolean {
  if (task === undefined || task.isHeld === true) return false
  return task.mode === 'must' || state === 'pending'
}

function isHeld({ request }: Attempt): boolean {
  return request.task?.isHeld === true
}

async function hold(deps: ApproveDeps, at: Place, ticket: Ticket): Promise<Ending> {
  // The call is made when its caller next looks.
  if (ticket.state === 'approved') await deps.approvals.giveBack(ticket.approval.id)
  return deps.held.hold(at, ticket.approval)
}

type Pending = { readonly ticket: Ticket; readonly said: Said | null }

/** Asks the caller where it may answer itself, and waits for whoever is faster. */
async function waitFor(deps: ApproveDeps, at: Place, { ticket, said }: Pending): Promise<Ending | null> {
  const { attempt } = at
  const { request } = attempt
  const { id } = ticket.approval
  const mayAsk = deps.approvals.config.who === 'caller' && takesForms(attempt)
  if (said !== null && mayAsk) return takeSaid(deps, attempt, { ticket, said })
  if (mayAsk && request.ask === undefined) return askNextTime(deps, attempt, ticket)
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  let heard: Said | null = null
  const asked = async (): Promise<void> => {
    heard = await askNow(deps, attempt, { ticket, signal })
    // Only the waiting uses an approval up: of two that look, one would find it gone.
    if (heard === null || heard === 'put-away') stop.abort()
  }
  if (mayAsk) void asked()
  const atMostMs = mayAsk ? ASKED_MS : deps.approvals.config.wait_ms
  try {
    const waited = await keepAlive(attempt, deps.approvals.wait(id, { atMostMs, signal }))
    if (waited.state === 'pending' && heard === 'put-away') throw putAway(attempt, waited)
    return settle(waited)
  } finally {
    stop.abort()
  }
}

async function takeSaid(
  deps: ApproveDeps,
  attempt: Attempt,
  { ticket, said }: { ticket: Ticket; said: Said },
): Promise<null> {
  if (said === 'put-away') throw putAway(attempt, ticket)
  const { id } = ticket.approval
  await answerAsCaller(deps, attempt, { id, said })
  return settle(await deps.approvals.wait(id, { atMostMs: 0, signal: attempt.request.signal }))
}

/** Closing the question decides nothing, so the next call asks again, and this one is not made. */
function putAway({ request }: Attempt, { approval }: Ticket): Problem {
  const { id, rule } = approval
  const who = request.admission.userId
  const why = `This call was not made: ${who} closed the question whether to allow it without an answer. Make it again to be asked again.`
  return new Problem(APPROVAL_PENDING, why, { approval: id, asked: rule })
}

/** So long a person may look at the question before the call ends as pending. */
const ASKED_MS = 300_000

/** Asks a session-era client in the middle of its call; null where it cannot be asked. */
async function askNow(
  deps: ApproveDeps,
  attempt: Attempt,
  { ticket, signal }: { ticket: Ticket; signal: AbortSignal },
): Promise<Said | null> {
  const { id } = ticket.approval
  try {
    const said = readSaid(await attempt.request.ask?.({ [QUESTION]: questionOf(ticket.approval) }, signal))
    if (said === 'approve' || said === 'deny') await answerAsCaller(deps, attempt, { id, said })
    return said
  } catch (error) {
    if (!signal.aborted) deps.log.warn({ err: error, approval: id }, 'a client could not be asked for an approval')
    return null
  }
}

const ASKED_PURPOSE = 'approval-asked'

/** The state of our own question is no server's: it goes no further than this. */
function askNextTime({ seal }: ApproveDeps, attempt: Attempt, ticket: Ticket): Ending {
  const { id } = ticket.approval
  const requestState = seal.seal(ASKED_PURPOSE, { id, user: attempt.request.admission.userId })
  return {
    outcome: { kind: 'input', requests: { [QUESTION]: questionOf(ticket.approval) }, requestState },
    decision: 'denied',
    rule: ticket.approval.rule,
    reason: `the caller is asked for approval ${id}`,
    responseBytes: 0,
  }
}

/** Takes the answer to our question out of a request, which is then the call as it was made first. */
function takeAnswer({ seal }: ApproveDeps, attempt: Attempt): { id: string; action: Said | null } | null {
  const { requestState, inputResponses, ...call } = attempt.request
  const opened = requestState === undefined ? null : seal.open(ASKED_PURPOSE, requestState)
  const { id, user } = opened ?? {}
  if (typeof id !== 'string' || user !== call.admission.userId) return null
  attempt.request = call
  return { id, action: readSaid(inputResponses) }
}

const ALIVE_MS = 10_000

/** Tells a caller who wants to hear of progress that the call still waits. */
async function keepAlive({ request }: Attempt, waited: Promise<Ticket>): Promise<Ticket> {
  if (!request.wantsProgress) return waited
  let progress = 0
  const timer = setInterval(() => {
    request.port.progress({ progress: (progress += 1), message: 'The call waits for an approval.' })
  }, ALIVE_MS)
  return waited.finally(() => clearInterval(timer))
}

/** Null when the call may be made; throws the reason why not. */
function settle({ approval, state }: Ticket): null {
  const { id: which, rule, answeredBy, expiresAt } = approval
  const told = { approval: which, asked: rule }
  switch (state) {
    case 'approved':
      return null
    case 'denied':
      throw new Problem(
        APPROVAL_DENIED,
        `This call was not made: ${answeredBy ?? 'somebody'} did not approve it.`,
        told,
      )
    case 'expired':
      throw new Problem(APPROVAL_EXPIRED, 'This call was not made: nobody approved it in time. Make it anew.', told)
    case 'pending': {
      const until = new Date(expiresAt).toISOString()
      const how = `Make it again with exactly the same arguments when ${which} is approved, until ${until}.`
      throw new Problem(APPROVAL_PENDING, `This call was not made yet: a person has to approve it. ${how}`, told)
    }
  }
}
