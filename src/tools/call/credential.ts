import type { Target } from './attempt.ts'

/** Which credential goes to the server. For now each server has its own (`headers`, `secret`), which its source holds. */
export type Credential = { readonly kind: 'server' }

/** Chooses the credential of this call. A caller's own credential for the gateway never goes to a server. */
export function chooseCredential(_target: Target): Credential {
  return { kind: 'server' }
}
