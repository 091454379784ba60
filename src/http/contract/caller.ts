import type { Access } from './contract.ts'

/** Who uses the API, as far as the API looks. */
export type Caller = AdminCaller | KeyCaller | ScimCaller | Anybody

export type AdminCaller = {
  readonly kind: 'admin'
  readonly userId: string
  readonly keyId: string | null
  /** `cli`: the command line of this machine, known by the local admin token. */
  readonly face: 'rest' | 'cli'
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
