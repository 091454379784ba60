import { decodeJwt } from 'jose'
import { Problem, type JsonObject } from '#kernel'
import type { Accounts } from '../ports.ts'
import { SOURCE_REFUSED } from '../problems.ts'
import type { SignInStore } from '../store.ts'
import { readClaims, type Vouched } from './claims.ts'
import type { IdentitySource } from './config.ts'
import { titleOf, type Upstream } from './upstream.ts'
import type { Arrival } from './service.ts'

const TYP = 'oauth-id-jag+jwt'
const MAX_CHARS = 16_384

/** That a source vouched for somebody, and what else it said. Nobody is let in by it yet. */
export type Heard = {
  readonly claims: JsonObject
  /** The id of the account here, found or made as when that person signs in. Throws a Problem where there is none. */
  admit(): Promise<string>
}

/**
 * The word of an identity provider that a client brings in place of a person with a browser: an identity assertion
 * authorization grant (draft-ietf-oauth-identity-assertion-authz-grant).
 */
export type Assertions = {
  /** Checks who signed it, for whom, and when. Throws a Problem for all that does not count. */
  hear(assertion: string, audience: string): Promise<Heard>
}

type Deps = {
  /** Those of now. */
  readonly sources: () => readonly IdentitySource[]
  readonly accounts: Pick<Accounts, 'find' | 'findByUserId'>
  readonly store: Pick<SignInStore, 'findLink'>
  readonly upstreamOf: (source: IdentitySource) => Pick<Upstream, 'verify'>
  readonly arrive: (source: IdentitySource, person: Vouched) => Promise<Arrival>
}

export function createAssertions(deps: Deps): Assertions {
  return {
    hear: async (assertion, audience) => {
      const source = trustedFor(deps, assertion)
      const claims = await deps.upstreamOf(source).verify(assertion, { typ: TYP, audience }).catch(notGood)
      const reading = readClaims(source, claims)
      if (!reading.ok) throw new Problem(SOURCE_REFUSED, reading.reason)
      return { claims, admit: () => admit(deps, source, reading.person) }
    },
  }
}

function trustedFor({ sources }: Deps, assertion: string): IdentitySource {
  const issuer = issuerOf(assertion)
  const source = sources().find((one) => one.issuer === issuer && one.enabled && one.accept_id_jag)
  if (source !== undefined) return source
  throw new Problem(SOURCE_REFUSED, 'No identity source whose assertions count here has issued it.')
}

/** Only to choose whose keys are asked for. */
function issuerOf(assertion: string): string | null {
  if (assertion.length > MAX_CHARS) return null
  try {
    return decodeJwt(assertion).iss ?? null
  } catch {
    return null // it is no JWT
  }
}

function notGood(cause: unknown): never {
  if (cause instanceof Problem) throw cause
  const why = cause instanceof Error ? cause.message.slice(0, 200) : 'it cannot be read'
  throw new Problem(SOURCE_REFUSED, `The assertion does not count: ${why}.`, { cause })
}

/** Whoever is known comes as they are: an assertion does not list groups, so it takes none away. */
async function admit(deps: Deps, source: IdentitySource, person: Vouched): Promise<string> {
  const linked = await deps.store.findLink(person.issuer, person.subject)
  const account = linked === null ? null : await deps.accounts.find(linked.accountId)
  if (account?.isActive === false) throw new Problem(SOURCE_REFUSED, 'This account is switched off.')
  if (account !== null) return account.accountId
  // With nobody at a browser, no account becomes theirs that may do everything.
  const named = person.userId === null ? null : await deps.accounts.findByUserId(person.userId)
  if (named?.role === 'admin')
    throw new Problem(SOURCE_REFUSED, `An admin links "${titleOf(source)}" on /account first.`)
  const arrival = await deps.arrive(source, person)
  if (arrival.kind === 'known') return arrival.accountId
  const what = `There is an account of this name with a sign-in of its own; its owner links "${titleOf(source)}" first, on /account.`
  throw new Problem(SOURCE_REFUSED, what)
}
