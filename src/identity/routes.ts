import { isLoopbackAddress, type Access, type Caller, type Handlers } from '#http'
import { isProblem, type Problem } from '#kernel'
import type { AdminToken } from './admin-token.ts'
import type { identityContract } from './contract.ts'
import { FORBIDDEN } from './problems.ts'
import type { Identity } from './service.ts'

/** Answers the operations of `identityContract`. */
export function identityRoutes(identity: Identity): Handlers<typeof identityContract> {
  return {
    createKey: ({ body }, { caller }) => identity.createKey(body, caller),
    listKeys: ({ query }) => identity.listKeys(query),
    revokeKey: ({ params }, { caller }) => identity.revokeKey(params.id, caller),
  }
}

/**
 * Lets callers of the API in. Admin operations take the local admin token or an admin key; operations of a gateway
 * also take whatever its own admission accepts, which is asked there.
 */
export function authorizeApi(
  deps: { identity: Pick<Identity, 'authenticateAdmin'>; adminToken: Pick<AdminToken, 'matches'> },
  access: Access,
  request: { headers: Headers; remoteAddress: string },
): Caller {
  const authorization = request.headers.get('authorization') ?? undefined
  if (deps.adminToken.matches(authorization)) return { kind: 'admin', userId: LOCAL_ADMIN, keyId: null, face: 'cli' }
  const answer = deps.identity.authenticateAdmin({ authorization })
  if (answer.ok) return { kind: 'admin', userId: answer.userId ?? LOCAL_ADMIN, keyId: answer.keyId, face: 'rest' }
  switch (access) {
    case 'open':
      return { kind: 'anybody' }
    case 'gateway':
      // Before the body: a stranger may not fill our memory. Gateways without keys serve this machine only.
      if (isStrange(answer.problem) && !isNear(request.remoteAddress) && !isAccessToken(authorization))
        throw answer.problem
      return { kind: 'key', authorization }
    case 'admin':
      throw answer.problem
  }
}

/** No valid key at all, where a key that is for no admin is one. */
function isStrange(problem: Problem): boolean {
  return !isProblem(problem, FORBIDDEN)
}

function isNear(address: string): boolean {
  return address === '' || isLoopbackAddress(address)
}

/** Whoever works with the local admin token, or with an admin key that belongs to no user. */
const LOCAL_ADMIN = 'admin'

/** An access token is judged by the gateway it was made for; it never opens the admin API. */
function isAccessToken(authorization: string | undefined): boolean {
  return authorization !== undefined && /^bearer +eyJ/i.test(authorization)
}
