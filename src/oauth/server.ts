import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type Provider from 'oidc-provider'
import { Problem, type Clock } from '#kernel'
import { BAD_DEVICE_CODE, NO_SUCH_GRANT } from './problems.ts'
import { openRecord } from './adapter.ts'
import { endSession } from './logout.ts'
import { COOKIES } from './provider.ts'
import { SCOPE, scopesOf, type GatewayResource, type Resources } from './resources.ts'
import type { Log } from '#telemetry'
import type { Sealed } from './sealed.ts'
import type { OauthStore } from './store.ts'

/** Who answers for a person: the pages, which have seen them. */
export type Answerer = { readonly accountId: string; readonly factor: string; readonly signedInAt: number }

/** What a program asks a person for. Its name and id are its own words. */
export type Question = {
  readonly clientId: string
  readonly clientName: string
  readonly redirectUri: string
  readonly gateway: GatewayResource | null
  readonly scopes: readonly string[]
  readonly signedInAfter: number | null
  readonly isKnown: boolean
}

export type ConnectedClient = {
  readonly grantId: string
  readonly name: string
  readonly gateways: readonly string[]
  readonly grantedAt: number
}

/** That something of a client's came a second time, so all that it had was ended. */
export type Notice = {
  readonly id: string
  readonly clientName: string
  readonly reused: string
  readonly address: string
  readonly at: number
}

/** The port between the authorization server and the pages on which people answer. */
export type AuthServer = {
  /** Somebody has signed out at this browser: the programs that they signed in to from it are told. */
  signOut(cookie: string): Promise<void>
  findInteraction(cookie: string, uid: string): Promise<Question | null>
  /** Where the browser goes on to. */
  allow(cookie: string, answer: { uid: string; by: Answerer }): Promise<string>
  deny(cookie: string, uid: string): Promise<string>
  /** Null for a code that is unknown, answered or expired. */
  findDevice(userCode: string): Promise<Omit<Question, 'redirectUri' | 'isKnown' | 'signedInAfter'> | null>
  /** A device is answered once: `oauth/bad-device-code` for all but the first who allows or denies it. */
  allowDevice(answer: { userCode: string; by: Answerer }): Promise<void>
  denyDevice(userCode: string): Promise<void>
  grants(accountId: string): Promise<readonly ConnectedClient[]>
  /** Ends all tokens of a grant, on every replica. Someone else's is `oauth/no-such-grant`. */
  revokeGrant(accountId: string, grantId: string): Promise<void>
  /** What the person has not yet said to have read, newest first. */
  notices(accountId: string): Promise<readonly Notice[]>
  dismissNotice(accountId: string, id: string): Promise<void>
}

type Deps = {
  readonly provider: () => Provider
  readonly resources: Resources
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
  readonly log: Log
}

export function createAuthServer(deps: Deps): AuthServer {
  const { provider } = deps
  return {
    findInteraction: async (cookie, uid) => {
      const details = await detailsOf(provider(), cookie, uid)
      return details === null ? null : describe(deps, details)
    },
    allow: async (cookie, { uid, by }) => {
      const details = await detailsOf(provider(), cookie, uid)
      if (details === null) throw new Error('the interaction ended in between')
      const { params } = details
      const grantId = await saveGrant(deps, { params, accountId: by.accountId })
      const login = {
        accountId: by.accountId,
        amr: [by.factor],
        remember: false,
        ts: Math.floor(by.signedInAt / 1_000),
      }
      const { req, res } = asNode(cookie)
      return provider().interactionResult(req, res, { login, consent: { grantId } }, { mergeWithLastSubmission: false })
    },
    deny: async (cookie) => {
      const { req, res } = asNode(cookie)
      const result = { error: 'access_denied', error_description: 'the person said no' }
      return provider().interactionResult(req, res, result, { mergeWithLastSubmission: false })
    },
    signOut: async (cookie) => {
      const id = new RegExp(`(?:^|; *)${COOKIES.session}=([\\w-]+)`).exec(cookie)?.[1]
      const session = id === undefined ? undefined : await provider().Session.find(id)
      if (session !== undefined) await endSession(provider(), session, deps.log)
    },
    ...deviceVerbs(deps),
    grants: (accountId) => listGrants(deps, accountId),
    notices: async (accountId) =>
      (await deps.store.notices.ofAccount(accountId)).map(({ id, client_name: clientName, reused, address, at }) => ({
        id,
        clientName,
        reused,
        address,
        at,
      })),
    dismissNotice: (accountId, id) => deps.store.notices.remove(accountId, id),
    revokeGrant: async (accountId, grantId) => {
      const grant = await provider().Grant.find(grantId)
      if (grant === undefined || grant.accountId !== accountId)
        throw new Problem(NO_SUCH_GRANT, 'There is no such connected client (any more).')
      await provider().RefreshToken.revokeByGrantId(grantId)
      await grant.destroy()
    },
  }
}

function deviceVerbs(deps: Deps): Pick<AuthServer, 'findDevice' | 'allowDevice' | 'denyDevice'> {
  const { provider } = deps
  const find = async (userCode: string) => {
    const plain = userCode.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
    const code = plain.length === 8 ? await provider().DeviceCode.findByUserCode(plain) : undefined
    const isOpen = code?.isExpired === false && code.error === undefined && code.accountId === undefined
    return isOpen ? code : null
  }
  /** Whoever is first, on whatever replica, answers it. What comes after may fail; then nobody has answered. */
  const claim = async (userCode: string) => {
    const code = await find(userCode)
    if (code !== null && (await deps.store.answer('DeviceCode', deps.sealed.refOf(code.jti), deps.clock.now())))
      return code
    throw new Problem(BAD_DEVICE_CODE, 'This code is not valid (any more). Start again on the device.')
  }
  return {
    findDevice: async (userCode) => {
      const code = await find(userCode)
      if (code === null) return null
      const {
        redirectUri: _,
        isKnown: __,
        signedInAfter: ___,
        ...question
      } = await describe(deps, {
        params: { ...code.params, client_id: code.clientId },
      })
      return question
    },
    allowDevice: async ({ userCode, by }) => {
      const code = await claim(userCode)
      const params = { ...code.params, client_id: code.clientId }
      const grantId = await saveGrant(deps, { params, accountId: by.accountId })
      const { scopes, indicator } = wishesOf(params)
      Object.assign(code, {
        accountId: by.accountId,
        grantId,
        amr: [by.factor],
        authTime: Math.floor(by.signedInAt / 1_000),
        scope: scopes.join(' '),
        ...(indicator === null ? {} : { resource: indicator }),
      })
      await code.save()
    },
    denyDevice: async (userCode) => {
      const code = await claim(userCode)
      Object.assign(code, { error: 'access_denied', errorDescription: 'the person said no' })
      await code.save()
    },
  }
}

type Params = Readonly<Record<string, unknown>>
type Asked = { readonly params: Params }

/** The interaction that this browser began, when it is the one that is meant. */
async function detailsOf(provider: Provider, cookie: string, uid: string): Promise<Asked | null> {
  const { req, res } = asNode(cookie)
  const details = await provider.interactionDetails(req, res).catch(() => null) // none, ended, or another browser's
  return details?.uid === uid ? details : null
}

async function describe(deps: Deps, { params }: Asked): Promise<Question> {
  const clientId = textOf(params['client_id'])
  const client = await deps.provider().Client.find(clientId)
  const { scopes, indicator } = wishesOf(params)
  const maxAge = Number(params['max_age'] ?? NaN)
  const mustSignIn = textOf(params['prompt']).split(' ').includes('login')
  return {
    clientId,
    clientName: client?.clientName ?? clientId,
    redirectUri: textOf(params['redirect_uri']),
    gateway: indicator === null ? null : deps.resources.find(indicator),
    scopes,
    signedInAfter: mustSignIn ? Date.now() - JUST_NOW_MS : Number.isFinite(maxAge) ? Date.now() - maxAge * 1_000 : null,
    isKnown: false,
  }
}

/** Whoever signed in so shortly before has just done what `prompt=login` asks for. */
const JUST_NOW_MS = 120_000

function wishesOf(params: Params): { scopes: string[]; indicator: string | null } {
  const resource = params['resource']
  const indicator: unknown = Array.isArray(resource) ? resource[0] : resource
  const scopes = textOf(params['scope']).split(' ').filter(Boolean)
  return { scopes, indicator: typeof indicator === 'string' && indicator !== '' ? indicator : null }
}

async function saveGrant(deps: Deps, wish: { params: Params; accountId: string }): Promise<string> {
  const provider = deps.provider()
  const grant = new provider.Grant({ accountId: wish.accountId, clientId: textOf(wish.params['client_id']) })
  const { scopes, indicator } = wishesOf(wish.params)
  grant.addOIDCScope(scopes.join(' '))
  const gateway = indicator === null ? null : deps.resources.find(indicator)
  if (indicator !== null && gateway !== null) {
    // Nothing is done at a gateway without the scope that opens it, asked for or not.
    const given = scopesOf(gateway).filter((scope) => scope === SCOPE || scopes.includes(scope))
    grant.addResourceScope(indicator, given)
  }
  return grant.save()
}

async function listGrants({ store, sealed, resources, provider }: Deps, accountId: string): Promise<ConnectedClient[]> {
  const rows = await store.ofAccount('Grant', accountId)
  const now = Date.now()
  return Promise.all(
    rows
      .filter(({ expires_at }) => expires_at === null || expires_at > now)
      .map(async (row) => {
        const payload = openRecord(sealed, row)
        const client = await provider().Client.find(payload.clientId ?? '')
        const indicators = Object.keys(payload.resources ?? {})
        return {
          grantId: payload.jti ?? '',
          name: client?.clientName ?? payload.clientId ?? '',
          gateways: indicators.flatMap((indicator) => resources.find(indicator)?.slug ?? []),
          grantedAt: row.created_at,
        }
      }),
  )
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The library reads its cookies from Node's own request; the pages have only the header. */
function asNode(cookie: string): { req: IncomingMessage; res: ServerResponse } {
  const req = new IncomingMessage(new Socket())
  req.headers = { cookie }
  req.method = 'GET'
  req.url = '/'
  return { req, res: new ServerResponse(req) }
}
