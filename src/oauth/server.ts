import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type Provider from 'oidc-provider'
import type { InteractionResults } from 'oidc-provider'
import { Problem } from '#kernel'
import { BAD_DEVICE_CODE, NO_SUCH_GRANT } from './problems.ts'
import { listGrants, saveGrant, textOf, wishesOf, type ConnectedClient, type GrantDeps, type Params } from './grants.ts'
import { endSession } from './endpoints/logout.ts'
import { COOKIES } from './provider/provider.ts'
import type { GatewayResource } from './resources.ts'
import type { Log } from '#telemetry'

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
  findDevice(userCode: string): Promise<Omit<Question, 'redirectUri' | 'signedInAfter'> | null>
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

type Deps = GrantDeps & { readonly log: Log }

export function createAuthServer(deps: Deps): AuthServer {
  const { provider } = deps
  return {
    findInteraction: async (cookie, uid) => {
      const details = await detailsOf(provider(), cookie, uid)
      return details === null ? null : describe(deps, details)
    },
    allow: (cookie, { uid, by }) =>
      answerOnce(deps, { cookie, uid }, async (params) => {
        const grantId = await saveGrant(deps, { params, accountId: by.accountId })
        const ts = Math.floor(by.signedInAt / 1_000)
        const login = { accountId: by.accountId, amr: [by.factor], remember: false, ts }
        return { login, consent: { grantId } }
      }),
    deny: (cookie, uid) =>
      answerOnce(deps, { cookie, uid }, async () => ({
        error: 'access_denied',
        error_description: 'the person said no',
      })),
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

const WAIT_MS = 3_000
const POLL_MS = 25

/**
 * The first answer counts, on whatever replica, as when somebody presses a button twice: whoever comes later is led on
 * to where the first one goes, once that is stored.
 */
async function answerOnce(
  deps: Deps,
  asked: { cookie: string; uid: string },
  makeAnswer: (params: Params) => Promise<InteractionResults>,
): Promise<string> {
  const { cookie, uid } = asked
  const details = await detailsOf(deps.provider(), cookie, uid)
  if (details === null) throw new Error('the interaction ended in between')
  if (await deps.store.answer('Interaction', deps.sealed.refOf(uid), deps.clock.now())) {
    const answer = await makeAnswer(details.params)
    const { req, res } = asNode(cookie)
    return deps.provider().interactionResult(req, res, answer, { mergeWithLastSubmission: false })
  }
  for (const until = performance.now() + WAIT_MS; performance.now() < until; await pause(POLL_MS)) {
    const later = await detailsOf(deps.provider(), cookie, uid)
    if (later === null || later.result !== undefined) break
  }
  return details.returnTo
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
        signedInAfter: __,
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

type Asked = { readonly params: Params }
type Interaction = Asked & { readonly returnTo: string; readonly result?: unknown }

/** The interaction that this browser began, when it is the one that is meant. */
async function detailsOf(provider: Provider, cookie: string, uid: string): Promise<Interaction | null> {
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
  }
}

/** Whoever signed in so shortly before has just done what `prompt=login` asks for. */
const JUST_NOW_MS = 120_000

/** The library reads its cookies from Node's own request; the pages have only the header. */
function asNode(cookie: string): { req: IncomingMessage; res: ServerResponse } {
  const req = new IncomingMessage(new Socket())
  req.headers = { cookie }
  req.method = 'GET'
  req.url = '/'
  return { req, res: new ServerResponse(req) }
}
