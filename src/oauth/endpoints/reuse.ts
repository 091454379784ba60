import type Provider from 'oidc-provider'
import type { Audit } from '#audit'
import type { Directory } from '#identity'
import { isJsonObject, type Clock } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import { openRecord } from '../provider/adapter.ts'
import type { EndedGrants } from '../ended-grants.ts'
import { formOf } from './form.ts'
import type { Sealed } from '../sealed.ts'
import type { OauthStore } from '../store.ts'

type Deps = {
  readonly provider: Provider
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly log: Log
  readonly metrics: Pick<Metrics, 'tokenReused'>
  readonly directory: () => Directory
  readonly ended: EndedGrants
}

type Context = Parameters<Parameters<Provider['use']>[0]>[0]

/** What is good once, by the field of the form in which it comes. */
const GOOD_ONCE = {
  refresh_token: { model: 'RefreshToken', words: 'refresh token' },
  code: { model: 'AuthorizationCode', words: 'authorization code' },
  device_code: { model: 'DeviceCode', words: 'device code' },
} as const

/**
 * A code or a refresh token that comes a second time is in two hands. The library ends the whole grant then (RFC 9700
 * §4.14.2) and says no more than `invalid_grant`. We see that the grant has ended in this very request, and tell it: in
 * the audit trail, in the metrics, and to the person on their account page. Once, however many replicas saw it.
 */
export async function tellOfReuse(ctx: Context, next: () => Promise<void>, deps: Deps): Promise<void> {
  const brought = ctx.path === '/oauth/token' ? await findBrought(ctx, deps) : null
  if (brought === null) return next()
  const wasOver = deps.ended.has(brought.grantId)
  await next()
  const isOverNow = isJsonObject(ctx.body) && ctx.body['error'] === 'invalid_grant' && deps.ended.has(brought.grantId)
  if (isOverNow && !wasOver) await tell(ctx.ip, brought, deps)
}

type Brought = {
  readonly grantId: string
  readonly clientId: string
  readonly accountId: string
  readonly words: (typeof GOOD_ONCE)[keyof typeof GOOD_ONCE]['words']
}

/** What the client brings, read before the library ends and removes it. */
async function findBrought(ctx: Context, { store, sealed }: Deps): Promise<Brought | null> {
  const form = formOf(ctx)
  for (const [field, { model, words }] of Object.entries(GOOD_ONCE)) {
    const text = form?.get(field) ?? ''
    const row = text === '' ? undefined : await store.find(model, 'id', sealed.refOf(text))
    if (row === undefined) continue
    const { grantId, clientId, accountId } = openRecord(sealed, row)
    if (grantId !== undefined && clientId !== undefined && accountId !== undefined)
      return { grantId, clientId, accountId, words }
  }
  return null
}

async function tell(address: string, brought: Brought, deps: Deps): Promise<void> {
  const { grantId, clientId, accountId, words } = brought
  const client = await deps.provider.Client.find(clientId)
  const isFirst = await deps.store.notices.add({
    id: deps.sealed.refOf(grantId),
    account_id: accountId,
    client_name: client?.clientName ?? clientId,
    reused: words,
    address,
    at: deps.clock.now(),
  })
  if (!isFirst) return
  deps.metrics.tokenReused(words)
  const event = {
    what: 'oauth.token-reused',
    reason: `the ${words} had been used before, so all that came of it has ended`,
    userId: deps.directory().findByAccountId(accountId)?.userId,
    keyId: grantId,
    client: clientId,
    extra: { client: clientId, account: accountId, reused: words, address },
  }
  await deps.audit
    .record({ ...event, decision: 'denied', face: 'oauth' })
    .catch((err: unknown) => deps.log.error({ err, client: clientId }, 'the reuse of a token was not recorded'))
}
