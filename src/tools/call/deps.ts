import type { Approvals } from '#approvals'
import type { Audit } from '#audit'
import type { Content } from '#content'
import type { Member } from '#identity'
import type { Clock } from '#kernel'
import type { Hooks, Policy } from '#policy'
import type { Log, Metrics } from '#telemetry'
import type { SignIdentity } from '../callers/identity-token.ts'
import type { Buckets } from '../callers/rate.ts'
import type { Seal } from '../seal.ts'
import type { ToolsDb } from '../store.ts'
import type { CallRequest } from '../tools.ts'
import type { HeldCalls } from './held.ts'
import type { PayloadKeeper } from './payload-rules.ts'
import type { ResolveDeps } from './resolve.ts'

/** What the stages are made from. */
export type CallDeps = {
  readonly clock: Clock
  readonly policy: Policy
  readonly content: Pick<Content, 'concerns' | 'asksApproval' | 'screen' | 'screenResult' | 'reveal'>
  readonly hooks: Pick<Hooks, 'concern' | 'before' | 'after' | 'accessKnown'>
  readonly approvals: Pick<Approvals, 'config' | 'present' | 'wait' | 'look' | 'useRound' | 'giveBack' | 'answer'>
  /** Calls that wait for an approval as tasks. */
  readonly held: Pick<HeldCalls, 'hold' | 'answer'>
  readonly audit: Pick<Audit, 'record' | 'state'>
  /** What is kept of a call beside its record. */
  readonly keepPayload: PayloadKeeper
  readonly metrics: Metrics
  readonly log: Log
  readonly seal: Seal
  readonly db: ToolsDb
  readonly replicaId: string
  /** Says to servers that want to know it who calls. */
  readonly signIdentity: SignIdentity
  /** Counts calls for the gateways' rate limits. */
  readonly buckets: Buckets
  /** Calls with an idempotency key that run in this process, so that a repeat can wait for its first. */
  readonly running: Map<string, Promise<unknown>>
  /** Whether another replica has been alive since that time, so that a call it began then may still end. */
  isReplicaAlive(replicaId: string, since: number): Promise<boolean>
  /** Who that is by now, where the house knows them. */
  readonly findMember: (userId: string) => Member | null
  /** The snapshot as this caller's gateway sees it. Reads no database. */
  lookup(request: CallRequest): ResolveDeps
}
