import type Provider from 'oidc-provider'
import { isJsonObject } from '#kernel'
import type { Metrics, TokenOutcome } from '#telemetry'
import { formOf } from './form.ts'

type Context = Parameters<Parameters<Provider['use']>[0]>[0]

/** What clients bring, as the metrics name it; whatever else they write there is `other`. */
const GRANTS: ReadonlyMap<string, string> = new Map([
  ['authorization_code', 'authorization_code'],
  ['refresh_token', 'refresh_token'],
  ['client_credentials', 'client_credentials'],
  ['urn:ietf:params:oauth:grant-type:device_code', 'device_code'],
  ['urn:ietf:params:oauth:grant-type:token-exchange', 'token_exchange'],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'jwt_bearer'],
])

/** Counts every request for a token by what it brought and how it ended. */
export async function meterTokens(
  ctx: Context,
  next: () => Promise<void>,
  metrics: Pick<Metrics, 'tokenRequest'>,
): Promise<void> {
  if (ctx.path !== '/oauth/token' || ctx.method !== 'POST') return next()
  try {
    await next()
  } finally {
    const grant = GRANTS.get(formOf(ctx)?.get('grant_type') ?? '') ?? 'other'
    metrics.tokenRequest(grant, outcomeOf(ctx))
  }
}

function outcomeOf({ status, body }: Context): TokenOutcome {
  if (status === 200) return 'issued'
  const error = isJsonObject(body) ? body['error'] : null
  return error === 'authorization_pending' || error === 'slow_down' ? 'waiting' : 'refused'
}
