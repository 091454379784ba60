import { createPublicKey, randomUUID } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import * as z from 'zod'
import type { Directory, Member } from '#identity'
import type { Clock } from '#kernel'
import type { KeyRing } from '../signing-keys/ring.ts'
import type { VerifierDeps } from '../verifier.ts'
import { refuse, requireLetIn } from './house-grant.ts'
import type { VouchedAt } from './schema.ts'

export const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
const LIFETIME_SECONDS = 300

export type IdJagDeps = {
  readonly issuer: string
  readonly keyRing: Pick<KeyRing, 'all' | 'signer'>
  readonly clock: Clock
  readonly directory: () => Directory
  readonly whyNot: VerifierDeps['whyNot']
  /** Whether a person still lets a client act for them. */
  readonly hasGrant: (accountId: string, clientId: string) => Promise<boolean>
}

export type IdJagWish = {
  readonly clientId: string
  /** The ID token that the client got when the person signed in. */
  readonly idToken: string
  readonly audience: string
  readonly resource: string
  readonly scope: string
  readonly address: string
  readonly places: readonly VouchedAt[]
}

/**
 * Vouches for a person at another authorization server: an identity assertion authorization grant for one client and
 * one resource there, good for five minutes (draft-ietf-oauth-identity-assertion-authz-grant §4). Only where an admin
 * said so, only while the person lets the client act for them here, and only if the login policy lets them in.
 */
export async function issueIdJag(deps: IdJagDeps, wish: IdJagWish): Promise<{ token: string; member: Member }> {
  const { clientId, audience, resource, scope, address } = wish
  const member = await personOf(deps, wish)
  const place = wish.places.find((one) => one.audience === audience && one.resources.includes(resource))
  if (place === undefined) throw refuse('InvalidTarget', 'this client may not take our word to that server')
  requireLetIn(deps.whyNot, { member, claims: { clientId, factor: null }, gateway: null, address }, 'InvalidTarget')
  const { kid, privateKey } = deps.keyRing.signer('ES256')
  const iat = Math.floor(deps.clock.now() / 1_000)
  const { userId } = member
  const claims = {
    resource,
    client_id: place.clientId,
    ...(scope === '' ? {} : { scope }),
    // An address that a source or an admin gave: whether the other server believes it is its own to decide.
    ...(userId.includes('@') ? { email: userId } : {}),
  }
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'oauth-id-jag+jwt', kid })
    .setIssuer(deps.issuer)
    .setSubject(member.accountId)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(iat)
    .setExpirationTime(iat + LIFETIME_SECONDS)
    .sign(privateKey)
  return { token, member }
}

export const ID_JAG_SECONDS = LIFETIME_SECONDS

const idTokenHeader = z.object({ kid: z.string(), alg: z.string(), typ: z.literal('JWT').optional() })

async function personOf(deps: IdJagDeps, { clientId, idToken }: IdJagWish): Promise<Member> {
  const accountId = await subjectOf(deps, { clientId, idToken }).catch(() => null)
  const member = accountId === null ? null : deps.directory().findByAccountId(accountId)
  if (member?.isActive === true && (await deps.hasGrant(member.accountId, clientId))) return member
  throw refuse(
    'InvalidRequest',
    'the subject token is no ID token of this server for this client that counts (any more)',
  )
}

async function subjectOf(deps: IdJagDeps, { clientId, idToken }: Pick<IdJagWish, 'clientId' | 'idToken'>) {
  const findKey = (header: unknown) => {
    const { kid, alg } = idTokenHeader.parse(header)
    const key = deps.keyRing.all().find((one) => one.kid === kid && one.alg === alg)
    if (key === undefined) throw new Error('none of our keys')
    return createPublicKey(key.privateKey)
  }
  const { payload } = await jwtVerify(idToken, findKey, {
    issuer: deps.issuer,
    audience: clientId,
    algorithms: ['RS256', 'ES256'],
    requiredClaims: ['sub', 'exp'],
    currentDate: new Date(deps.clock.now()),
  })
  return payload.sub ?? null
}
