import type { FindAccount } from 'oidc-provider'
import type { Member } from '#identity'
import { errors } from './library.ts'
import type { Resources } from '../resources.ts'
import type { VerifierDeps } from '../verifier.ts'

/** What a client brings to the token endpoint, or to another one that asks for the account behind it. */
type Brought = NonNullable<Parameters<FindAccount>[2]>

/**
 * The login policy, asked anew whenever tokens are made: a rule that came since the person allowed it refuses. Throws
 * what the client is told. A refresh token is not used up by it, so it is good again when the rule is gone.
 */
export function requireEntry(
  deps: { whyNot: VerifierDeps['whyNot']; resources: Resources },
  wanted: { member: Member; brought: Brought; address: string },
): void {
  const { member, brought, address } = wanted
  const resource: unknown = Reflect.get(brought, 'resource')
  const [indicator]: unknown[] = Array.isArray(resource) ? resource : [resource]
  const gateway = typeof indicator === 'string' ? (deps.resources.find(indicator)?.slug ?? null) : null
  const claims = { clientId: brought.clientId ?? '', factor: factorOf(brought) }
  const why = deps.whyNot({ member, claims, gateway, address })
  if (why !== null) throw refusalOf(brought, `the login policy does not let this account in here: ${why}`)
}

function refusalOf({ kind }: Brought, text: string): Error {
  if (kind === 'AccessToken') return new errors.InvalidToken(text)
  const refusal = kind === 'DeviceCode' ? new errors.AccessDenied(text) : new errors.InvalidGrant(text)
  return Object.assign(refusal, { error_description: text, error_detail: text })
}

/** How the person proved who they are when they allowed it. */
function factorOf(brought: Brought): string | null {
  const amr: unknown = Reflect.get(brought, 'amr')
  const [factor]: unknown[] = Array.isArray(amr) ? amr : []
  return typeof factor === 'string' ? factor : null
}
