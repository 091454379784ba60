import type { ResourceServer } from 'oidc-provider'
import { errors } from './library.ts'
import { scopesOf, type Resources } from '../resources.ts'

export const ACCESS_TOKEN_SECONDS = 600

/** How access tokens for this gateway are made. Throws what the client is told where there is none. */
export function resourceServerOf(resources: Resources, indicator: string): ResourceServer {
  const gateway = resources.find(indicator)
  if (gateway === null) throw new errors.InvalidTarget()
  return {
    audience: indicator.replace(/\/$/, ''),
    scope: scopesOf(gateway).join(' '),
    accessTokenFormat: 'jwt',
    accessTokenTTL: ACCESS_TOKEN_SECONDS,
    jwt: { sign: { alg: 'ES256' } },
  }
}
