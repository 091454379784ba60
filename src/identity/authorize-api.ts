import { isLoopbackAddress, type Access, type AdminAction, type Admission, type Grounds } from '#http'
import { isProblem, Problem } from '#kernel'
import type { AdminToken } from './admin-token.ts'
import { LOCAL_ADMIN, type AdminAuthentication } from './keyring.ts'
import type { Principal } from './principal.ts'
import { FORBIDDEN } from './problems.ts'
import type { Identity } from './service.ts'

/** May they do this at the admin API? */
export type AdminQuestion = {
  readonly principal: Principal
  /** By role, so that only a rule that forbids it is in the way. */
  readonly isAdmin: boolean
  readonly action: AdminAction
  readonly remoteAddress: string
}

/** `isFinal`: false where it may yet be told otherwise, once it is known what it is about. */
export type AdminVerdict = Grounds & { readonly reason: string; readonly isFinal: boolean }

export type AuthorizeDeps = {
  readonly identity: Pick<Identity, 'authenticateAdmin'>
  readonly adminToken: Pick<AdminToken, 'matches'>
  readonly policy: { administer(question: AdminQuestion): AdminVerdict }
}

type From = { readonly headers: Headers; readonly remoteAddress: string }

/**
 * Lets callers of the API in. The admin token of this machine may do everything, and no rule is asked. An admin key is
 * let in if its account is an admin and no rule forbids it, or if a rule permits it. Operations of a gateway also take
 * whatever its own admission accepts, which is asked there.
 */
export function authorizeApi(deps: AuthorizeDeps, access: Access, from: From, action: AdminAction): Admission {
  const authorization = from.headers.get('authorization') ?? undefined
  if (deps.adminToken.matches(authorization)) return THIS_MACHINE
  const admission = asAdmin(deps, { access, from, action }, deps.identity.authenticateAdmin({ authorization }))
  if ('caller' in admission) return admission
  switch (access) {
    case 'open':
      return { caller: { kind: 'anybody' } }
    case 'gateway':
      // Before the body: a stranger may not fill our memory. Gateways without keys serve this machine only.
      if (isStrange(admission.refused) && !isNear(from.remoteAddress) && !isAccessToken(authorization)) return admission
      return { caller: { kind: 'key', authorization } }
    case 'admin':
      return admission
  }
}

const THIS_MACHINE: Admission = {
  caller: { kind: 'admin', userId: LOCAL_ADMIN, keyId: null, face: 'cli' },
  grounds: { effect: 'allow', rule: 'admin-token' },
}

type Wish = { readonly access: Access; readonly from: From; readonly action: AdminAction }

function asAdmin({ policy }: AuthorizeDeps, { access, from, action }: Wish, who: AdminAuthentication): Admission {
  const by = { userId: who.userId ?? null, keyId: who.keyId, face: 'rest' } as const
  if (!who.ok) return { refused: who.problem, ...(who.keyId === null ? {} : { by }) }
  const { principal, isAdmin } = who
  // What rules permit are operations of the admin API: nobody acts for others at a gateway by them.
  if (!isAdmin && access !== 'admin') return { refused: new Problem(FORBIDDEN, 'This takes an admin.'), by }
  const { reason, isFinal, ...grounds } = policy.administer({
    principal,
    isAdmin,
    action,
    remoteAddress: from.remoteAddress,
  })
  const known = isFinal ? { grounds } : {}
  const caller = {
    kind: 'admin',
    ...by,
    userId: principal.userId,
    ...(isAdmin ? {} : { byRule: true as const }),
  } as const
  if (grounds.effect === 'allow') return { caller, ...known }
  return { refused: new Problem(FORBIDDEN, whyNot({ principal, action }, reason)), by, ...known }
}

function whyNot({ principal, action }: Pick<AdminQuestion, 'principal' | 'action'>, reason: string): string {
  const what = `${action.operation} (admin:${action.module})`
  return `"${principal.userId}" may not use ${what}: ${reason}.`
}

/** No valid key at all, where a key that is for no admin is one. */
function isStrange(problem: Problem): boolean {
  return !isProblem(problem, FORBIDDEN)
}

function isNear(address: string): boolean {
  return address === '' || isLoopbackAddress(address)
}

/** An access token is judged by the gateway it was made for; it never opens the admin API. */
function isAccessToken(authorization: string | undefined): boolean {
  return authorization !== undefined && /^bearer +eyJ/i.test(authorization)
}
