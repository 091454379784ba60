import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Audit } from '#audit'
import type { Directory } from '#identity'
import { isJsonObject, type Clock, type JsonObject } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import { DevicePace, POLL_SECONDS } from './device-pace.ts'
import type { KnownClients } from '../clients/known.ts'
import { RegistrationPace } from '../clients/registration-pace.ts'
import type { EndedGrants } from '../ended-grants.ts'
import { TOKEN_EXCHANGE } from '../house-grants/token-exchange.ts'
import { formOf } from './form.ts'
import { introspect } from './introspection.ts'
import { answerOnce } from './replay.ts'
import { tellOfReuse } from './reuse.ts'
import type { Sealed } from '../sealed.ts'
import { askBeforeLogout, NOT_TOLD, type BrowserSessions, type LogoutPage } from './logout.ts'
import { forgetOtherPerson } from './other-person.ts'
import { COOKIES } from '../provider/provider.ts'
import type { OauthStore } from '../store.ts'
import { meterTokens } from './token-meter.ts'
import type { Verifier } from '../verifier.ts'

type Deps = {
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record'>
  readonly metrics: Pick<Metrics, 'registration' | 'tokenRequest' | 'tokenReused'>
  readonly directory: () => Directory
  readonly verifier: Verifier
  readonly ended: EndedGrants
  readonly known: Pick<KnownClients, 'used'>
  readonly issuer: () => string
  readonly browsers: BrowserSessions
  readonly logoutPage: LogoutPage
  readonly paces: Paces
}

/** How often some things may be asked, whichever instance of the library answers. */
export type Paces = { readonly registrations: RegistrationPace; readonly devices: DevicePace }

export function createPaces(): Paces {
  return { registrations: new RegistrationPace(REGISTRATIONS_PER_HOUR), devices: new DevicePace() }
}

const REGISTRATIONS_PER_HOUR = 60
const MAX_REASON_CHARS = 500

type Next = () => Promise<void>
type Context = Parameters<Parameters<Provider['use']>[0]>[0]

/** What the house does around the library's endpoints, each rule a step that a request passes in this order. */
export function addHouseRules(provider: Provider, deps: Deps): void {
  const { registrations, devices } = deps.paces
  provider.use((ctx, next) => meterTokens(ctx, next, deps.metrics))
  provider.use((ctx, next) => paceRegistration(ctx, next, { ...deps, pace: registrations }))
  provider.use((ctx, next) => forgetOtherPerson(ctx, next, { provider, cookies: COOKIES, log: deps.log }))
  provider.use((ctx, next) => askBeforeLogout(ctx, next, deps))
  provider.use((ctx, next) => revokeAccessToken(ctx, next, deps))
  provider.use((ctx, next) => refreshOnce(ctx, next, deps))
  provider.use((ctx, next) => tellOfReuse(ctx, next, { ...deps, provider }))
  provider.use((ctx, next) => paceDevice(ctx, next, { devices, clock: deps.clock }))
  provider.use((ctx, next) => introspectAccessToken(ctx, next, deps))
  listen(provider, deps)
}

async function paceRegistration(
  ctx: Context,
  next: Next,
  { pace, clock, metrics }: { pace: RegistrationPace; clock: Clock; metrics: Pick<Metrics, 'registration'> },
): Promise<void> {
  if (ctx.method !== 'POST' || ctx.path !== '/oauth/register') return next()
  const waitSeconds = pace.take(ctx.ip, clock.now())
  if (waitSeconds > 0) {
    ctx.status = 429
    ctx.set('retry-after', String(waitSeconds))
    ctx.body = { error: 'temporarily_unavailable', error_description: 'too many registrations from this address' }
    return metrics.registration('too-many')
  }
  await next()
  metrics.registration(ctx.status === 201 ? 'made' : 'refused')
}

/** RFC 7009 for access tokens, which the library does not keep: whoever holds one may end the grant it belongs to. */
async function revokeAccessToken(ctx: Context, next: Next, deps: Deps): Promise<void> {
  const form = formOf(ctx)
  const token = form?.get('token') ?? ''
  if (ctx.path !== '/oauth/revoke' || token.split('.').length !== 3) return next()
  const claims = deps.verifier.read(token)
  if (claims !== null) {
    // A client that acts by itself goes on with its next token: nobody has to let it in again.
    await deps.ended.add(claims.grantId === claims.firstClientId ? claims.tokenId : claims.grantId)
    await record(deps, { what: 'oauth.grant-revoked', clientId: claims.clientId, accountId: claims.accountId })
  }
  ctx.status = 200
  ctx.set('cache-control', 'no-store')
  ctx.body = ''
}

async function refreshOnce(ctx: Context, next: Next, deps: Deps): Promise<void> {
  const form = formOf(ctx)
  const token = form?.get('refresh_token') ?? ''
  if (ctx.path !== '/oauth/token' || form?.get('grant_type') !== 'refresh_token' || token === '') return next()
  const answer = await answerOnce(deps, sameRequest(ctx, form), async () => {
    await next()
    return { status: ctx.status, body: isJsonObject(ctx.body) ? ctx.body : {} }
  })
  ctx.status = answer.status
  ctx.set('cache-control', 'no-store')
  ctx.body = answer.body
}

/** The library tells devices no interval and never to slow down. */
async function paceDevice(
  ctx: Context,
  next: Next,
  { devices, clock }: { devices: DevicePace; clock: Clock },
): Promise<void> {
  const form = ctx.path === '/oauth/token' ? formOf(ctx) : null
  const code = form?.get('grant_type') === DEVICE_GRANT ? (form.get('device_code') ?? '') : ''
  if (code !== '' && devices.take(code, clock.now()) === 'too-soon') {
    ctx.status = 400
    ctx.set('cache-control', 'no-store')
    ctx.body = { error: 'slow_down', error_description: 'wait five seconds longer between two questions' }
    return
  }
  await next()
  if (ctx.path === '/oauth/device' && ctx.status === 200 && isJsonObject(ctx.body))
    ctx.body = { ...ctx.body, interval: POLL_SECONDS }
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** The library lets the client prove who it is, and then refuses every JSON Web Token: the rest is ours. */
async function introspectAccessToken(ctx: Context, next: Next, deps: Deps): Promise<void> {
  await next()
  if (ctx.path !== '/oauth/introspect' || !isJsonObject(ctx.body)) return
  if (ctx.body['error'] !== 'unsupported_token_type') return
  const { client } = ctx.oidc
  if (client === undefined) return
  const asker = { clientId: client.clientId, isPublic: client.clientAuthMethod === 'none' }
  ctx.status = 200
  ctx.body = introspect(formOf(ctx)?.get('token') ?? '', asker, deps)
}

/**
 * What has to be the same for the same answer: the token, and all by which the client proved who it is and said what it
 * wants. Whoever holds a used token without the client's secret gets to the library, which refuses it.
 */
function sameRequest(ctx: Context, form: URLSearchParams): string {
  const said = new URLSearchParams(form)
  said.sort()
  return JSON.stringify([ctx.get('authorization'), said.toString()])
}

type Told = {
  readonly what: string
  readonly clientId?: string | undefined
  readonly accountId?: string | undefined
  readonly reason?: string
  readonly more?: JsonObject
}

/** What was asked of the token endpoint, as far as it went; the grants of the house say more of it (`house-grants/`). */
function grantOf(ctx: KoaContextWithOIDC): Told {
  const { Client, Account } = ctx.oidc?.entities ?? {}
  const more: unknown = ctx.state['told']
  const what = ctx.oidc?.params?.['grant_type'] === TOKEN_EXCHANGE ? 'oauth.token-exchanged' : 'oauth.token-issued'
  const who = { clientId: Client?.clientId, accountId: Account?.accountId }
  return { what, ...who, ...(isJsonObject(more) ? { more } : {}) }
}

async function record(
  deps: Pick<Deps, 'audit' | 'log' | 'directory'>,
  told: Told,
  decision: 'allowed' | 'denied' = 'allowed',
) {
  const { what, clientId, accountId, reason, more } = told
  const extra = { ...more, ...(clientId ? { client: clientId } : {}), ...(accountId ? { account: accountId } : {}) }
  const userId = accountId === undefined ? null : deps.directory().findByAccountId(accountId)?.userId
  await deps.audit
    .record({ what, decision, face: 'oauth', userId, client: clientId ?? null, reason: reason ?? null, extra })
    .catch((err: unknown) => deps.log.error({ err, what }, 'an event of the authorization server was not recorded'))
}

function listen(provider: Provider, deps: Deps): void {
  provider.on('registration_create.success', (_ctx, client) => {
    void record(deps, { what: 'oauth.client-registered', clientId: client.clientId })
  })
  provider.on('grant.success', (ctx) => {
    const { Client } = ctx.oidc.entities
    if (Client !== undefined) deps.known.used(Client.clientId, Client.metadata())
    void record(deps, grantOf(ctx))
  })
  provider.on('grant.error', (ctx, error) => {
    if (error.message === 'authorization_pending') return // a device that waits is not refused
    const reason = [error.message, error.error_detail].filter(Boolean).join(': ').slice(0, MAX_REASON_CHARS)
    void record(deps, { ...grantOf(ctx), reason }, 'denied')
  })
  provider.on('grant.revoked', (ctx) => {
    const clientId = ctx.oidc?.entities?.Client?.clientId
    void record(deps, { what: 'oauth.grant-revoked', clientId })
  })
  provider.on('backchannel.error', (_ctx, err) => {
    deps.log.warn({ err }, NOT_TOLD)
  })
  provider.on('server_error', (_ctx, err) => {
    deps.log.error({ err }, 'the authorization server failed')
  })
}
