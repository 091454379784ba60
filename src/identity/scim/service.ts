import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { ScimAuthentication } from '../keyring.ts'
import type { Identity } from '../service.ts'
import { createPace } from './pace.ts'
import { createScimStore } from './store.ts'
import type { Parts } from './users.ts'

/** People and groups as identity providers write them; every one of them sees its own only. */
export type Scim = Parts & {
  authenticate(credentials: { readonly authorization?: string | undefined }): ScimAuthentication
  /** False when the client of this source asks too often. */
  mayGoOn(source: string): boolean
}

export type ScimDeps = {
  readonly storage: Storage
  readonly identity: Pick<Identity, 'accounts' | 'keyring'>
  readonly clock: Clock
}

export function createScim(deps: ScimDeps): Scim {
  return {
    accounts: deps.identity.accounts,
    store: createScimStore(deps.storage),
    authenticate: (credentials) => deps.identity.keyring().authenticateScim(credentials),
    mayGoOn: createPace(deps.clock),
  }
}
