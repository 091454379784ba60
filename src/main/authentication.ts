import type { IncomingMessage } from 'node:http'
import type { Audit } from '#audit'
import { createEgress } from '#http'
import type { Authentication, Identity, Principal } from '#identity'
import { Problem, type Clock } from '#kernel'
import { LOGIN_REFUSED, type LoginFactor, type LoginPolicy } from '#login'
import { createIdentitySigner, createOauth, type AuthServer, type KeyRing, type Oauth } from '#oauth'
import { logoutPage, openBrowserSessions, troublePage, type AuthorizationServer, type SignIn } from '#signin'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import type { House } from '#tools'

export type AuthenticationDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  readonly metrics: Metrics
  readonly identity: Identity
  readonly loginPolicy: LoginPolicy
  readonly house: House
  readonly keyRing: KeyRing
  readonly publicUrl: () => string
  readonly allowHosts: readonly string[]
  readonly unusedMs: number
  /** Of the identity sources, which are opened after the authorization server. */
  readonly assertions: () => SignIn['sources']['assertions']
  readonly addressOf: (req: IncomingMessage) => string
}

/** The authorization server over this house's gateways, with the login policy asked at every use of a token. */
export function openOauth(deps: AuthenticationDeps): Promise<Oauth> {
  const { identity, loginPolicy, house, log } = deps
  return createOauth({
    ...deps,
    issuer: () => issuerOf(deps.publicUrl()),
    egress: createEgress({ log }),
    troublePage,
    logoutPage,
    browsers: openBrowserSessions(deps),
    directory: () => identity.directory(),
    onDirectoryChange: (listener) => identity.onChange(listener),
    assertions: { hear: (assertion, audience) => deps.assertions().hear(assertion, audience) },
    gateways: () =>
      [...house.snapshot().views.values()]
        .filter(({ config }) => config.auth === 'oauth' || config.auth === 'both')
        .map(({ config }) => ({
          slug: config.slug,
          title: config.title ?? config.slug,
          scopes: config.step_up.map(({ scope, tools, allows = `Use ${tools.join(', ')}` }) => ({ scope, allows })),
        })),
    whyNot: ({ member, claims, gateway, address }) => {
      const decision = loginPolicy.mayEnter({
        user: member.userId,
        account: member.kind,
        role: member.role ?? 'none',
        groups: member.groups,
        services: [...(gateway === null ? [] : [gateway]), `client:${claims.clientId}`],
        address,
        factor: toFactor(claims.factor),
      })
      return decision.effect === 'allow' ? null : decision.reason
    },
  })
}

/** Says to servers who calls, as this house. */
export function openIdentitySigner(deps: { keyRing: KeyRing; clock: Clock; publicUrl: () => string }) {
  return createIdentitySigner({ ...deps, issuer: () => issuerOf(deps.publicUrl()) })
}

function issuerOf(publicUrl: string): string {
  return publicUrl.replace(/\/$/, '')
}

const FACTORS = ['password', 'upstream', 'token', 'two-factor', 'passkey'] as const satisfies readonly LoginFactor[]

function toFactor(name: string | null): LoginFactor | null {
  return FACTORS.find((factor) => factor === name) ?? null
}

/** Keys and access tokens behind one question; whoever was let in is asked again when anything about either changes. */
export function joinAuthentication(deps: { identity: Identity; oauth: Oauth; loginPolicy: LoginPolicy }) {
  const { identity, oauth, loginPolicy } = deps
  return {
    authenticate: (credentials: Parameters<Oauth['authenticate']>[0]): Authentication => {
      if (/^bearer +eyJ/i.test(credentials.authorization ?? '')) return oauth.authenticate(credentials)
      const answer = identity.authenticate(credentials)
      const why = answer.ok ? whyNotWithKey(loginPolicy, answer.principal, credentials) : null
      return why === null ? answer : { ok: false, problem: new Problem(LOGIN_REFUSED, why), keyId: answer.keyId }
    },
    onChange: (listener: () => void): (() => void) => {
      const ends = [identity.onChange(listener), oauth.onChange(listener), loginPolicy.onChange(listener)]
      return () => ends.forEach((end) => end())
    },
  }
}

/** A key signs its account in as a password does. Of a name that no account has, the policy could say nothing. */
function whyNotWithKey(
  loginPolicy: LoginPolicy,
  { userId, kind, role, groups }: Principal,
  { gateway, remoteAddress }: { gateway: string; remoteAddress?: string | undefined },
): string | null {
  if (kind !== 'person' && kind !== 'system') return null
  const { effect, reason } = loginPolicy.mayEnter({
    user: userId,
    account: kind,
    role: role ?? 'none',
    groups,
    services: [gateway],
    address: remoteAddress ?? null,
    factor: 'token',
  })
  return effect === 'allow' ? null : `The login policy does not let this account in here: ${reason}`
}

/** The authorization server as the sign-in pages know it. */
export function toAuthorizationServer(server: AuthServer): AuthorizationServer {
  const cookieOf = (request: Request): string => request.headers.get('cookie') ?? ''
  const by = ({ session }: { session: { accountId: string; factor: string; signedInAt: number } }) => session
  return {
    findInteraction: (request, uid) => server.findInteraction(cookieOf(request), uid),
    allow: async (request, { uid, ...answer }) => ({
      location: await server.allow(cookieOf(request), { uid, by: by(answer) }),
      cookies: [],
    }),
    deny: async (request, uid) => ({ location: await server.deny(cookieOf(request), uid), cookies: [] }),
    findDevice: (userCode) => server.findDevice(userCode),
    allowDevice: ({ userCode, ...answer }) => server.allowDevice({ userCode, by: by(answer) }),
    denyDevice: (userCode) => server.denyDevice(userCode),
    signOut: (request) => server.signOut(cookieOf(request)),
    grants: (accountId) => server.grants(accountId),
    revokeGrant: (accountId, grantId) => server.revokeGrant(accountId, grantId),
    notices: (accountId) => server.notices(accountId),
    dismissNotice: (accountId, id) => server.dismissNotice(accountId, id),
  }
}
