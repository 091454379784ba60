import { hash } from 'node:crypto'
import type { Applied, Screened } from '#content'
import { canonicalJson, type JsonObject } from '#kernel'
import type { AskedHook, Thing, Verdict } from '#policy'
import type { Trace } from '#telemetry'
import type { GatewayView, ToolBinding } from '../views/view.ts'
import type { KeptServer } from '../servers/kept-server.ts'
import type { CallRequest } from '../tools.ts'

/** One attempt to call, as it is known so far; the stages fill it from top to bottom and `record` writes it down. */
export type Attempt = {
  /** As it was sent; less the answer to a question of ours, once that was taken out. */
  request: CallRequest
  readonly startedAt: number
  readonly traceId: string
  readonly trace: Trace
  target: Target | null
  /** What the policy said, once it was asked. */
  verdict: Verdict | null
  /** SHA-256 over the canonical arguments; never the arguments themselves. */
  argsHash: string | null
  /** The parameters as the content rules let them through, in the server's names; null where they did not. */
  passed: JsonObject | null
  /** How the record names what was asked for, where a content rule found something in the name; null: as it was sent. */
  namedAs: string | null
  /** The content rules that found something, with how often. */
  readonly rules: (Applied & { found: number })[]
  /** The content rule that wants a person to approve this call first. */
  needsApproval: NeedsApproval | null
  /** The approval that was presented for it, and how many rounds were made with it. */
  approval: { readonly id: string; readonly round: number } | null
  /** The hooks that were asked, with what came of it. */
  readonly hooks: AskedHook[]
  /** How hooks know this call before and after; set when the first one is asked. */
  executionId: string | null
  /** True once the server may have begun to work on it. */
  isSent: boolean
}

/** Which rule asks for an approval, and what it says to those who are asked. */
export type NeedsApproval = NonNullable<Screened['by']>

/** Where a call goes. */
export type Target = {
  readonly view: GatewayView
  readonly server: KeptServer
  /** The tool's or prompt's original name, the resource's original URI, the server's own task id. */
  readonly original: string
  readonly binding?: ToolBinding
  /** The tool that made the task, under its original name. */
  readonly tool?: string
  /** A call that waits here for its approval; `original` is the approval's id. */
  readonly isHeld?: boolean
  /** What the policy is asked about: all must be free of a forbid, and one allowed. */
  readonly things: readonly Thing[]
  /** Tools whose page the resource is: who may call one may read it. */
  readonly pages?: readonly Thing[]
  /** Set where the caller's address for a resource is not the server's. */
  readonly alias?: { readonly shown: string; readonly original: string }
}

/** The hash that binds approvals, repeated calls and request states to exactly these arguments. */
export function hashArguments(method: string, params: JsonObject): string {
  const { _meta: _, ...bound } = params
  return hash('sha256', `${method}\0${canonicalJson(bound)}`, 'base64url')
}
