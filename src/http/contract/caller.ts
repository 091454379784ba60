import type { Problem } from '#kernel'
import type { Access } from './contract.ts'

/** Who uses the API, as far as the API looks. */
export type Caller = AdminCaller | KeyCaller | ScimCaller | Anybody

/** An admin, or somebody whom a rule permits this one operation. */
export type AdminCaller = {
  readonly kind: 'admin'
  readonly userId: string
  readonly keyId: string | null
  /** `cli`: the command line of this machine, known by the local admin token. */
  readonly face: 'rest' | 'cli'
  /** Let in by a rule, without being an admin. */
  readonly byRule?: true
}
/** Whoever may hold a key of one gateway: that gateway's own admission finds out. */
export type KeyCaller = { readonly kind: 'key'; readonly authorization: string | undefined }
/** An identity provider, which uses SCIM only. */
export type ScimCaller = {
  readonly kind: 'scim'
  readonly userId: null
  readonly keyId: string
  readonly face: 'scim'
}
export type Anybody = { readonly kind: 'anybody' }

/** The callers that an operation can meet. */
export type CallerFor<A extends Access> = A extends 'admin'
  ? AdminCaller
  : A extends 'gateway'
    ? AdminCaller | KeyCaller
    : AdminCaller | Anybody

/** Why the admin API lets somebody in or does not. */
export type Grounds = {
  readonly effect: 'allow' | 'deny'
  /** `admin-token`, `admin-role`, or the rule that decided; null where none did, which is a no. */
  readonly rule: string | null
  /** All rules that decided, where there were several. */
  readonly rules?: readonly string[]
  /** Which policies were asked; absent where none was. */
  readonly policyVersion?: string
  /** What rules that are only tried would have said, where that is something else. */
  readonly shadow?: { readonly effect: 'allow' | 'deny'; readonly policy: string; readonly rule: string | null }
}

/** `grounds`: only where what decides is known in full. `by`: whose credential was refused, where it is one of ours. */
export type Admission = { readonly grounds?: Grounds | undefined } & (
  | { readonly caller: Caller }
  | { readonly refused: Problem; readonly by?: Refused | undefined }
)

export type Refused = { readonly userId: string | null; readonly keyId: string | null; readonly face: 'rest' }
