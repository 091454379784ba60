/**
 * Another house's identity provider, made of `oidc-provider`: whoever comes is signed in as the person it was told, with
 * the claims that Entra, Okta or Google would send. Can be made to misbehave.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider from 'oidc-provider'
import { listen } from './listen.ts'

export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string }

export type IdentityProvider = {
  readonly issuer: string
  /** Where its client is sent back to. */
  redirectUris: readonly string[]
  /** Whom the next visitor is. */
  person: Claims
  /** What of a person it says in an ID token, and what at its UserInfo endpoint. */
  told: (person: Claims, where: string) => Claims
  /** Changes its metadata on the way out. */
  metadata: (published: Record<string, unknown>) => Record<string, unknown>
  /** Parameters of the requests for authorization. */
  readonly asked: URLSearchParams[]
  [Symbol.asyncDispose](): Promise<void>
}

const CLAIMS = [
  'sub',
  'oid',
  'tid',
  'groups',
  'hasgroups',
  '_claim_names',
  'preferred_username',
  'department',
  'xms_edov',
]

export async function startIdentityProvider(person: Claims): Promise<IdentityProvider> {
  let provider: Provider | undefined
  const listening = await listen((req, res) => void answer(req, res), { path: '' })
  const fake: IdentityProvider = {
    issuer: listening.url,
    redirectUris: [],
    person,
    told: (claims) => claims,
    metadata: (published) => published,
    asked: [],
    [Symbol.asyncDispose]: () => listening.close(),
  }
  const answer = async (req: Exchange['req'], res: Exchange['res']): Promise<void> => {
    // Made at the first request, when it is known where its client lives.
    provider ??= makeProvider(fake)
    const { pathname, searchParams } = new URL(req.url ?? '/', fake.issuer)
    if (pathname === '/auth') fake.asked.push(searchParams)
    // As Entra says it.
    if (searchParams.has('resource')) return void res.writeHead(400).end('AADSTS901002: "resource" is not supported.')
    if (pathname.startsWith('/interaction/')) await letIn(provider, fake, { req, res })
    else if (pathname === '/.well-known/openid-configuration') tell(fake, res)
    else await provider.callback()(req, res)
  }
  return fake
}

type Exchange = { readonly req: IncomingMessage; readonly res: ServerResponse }

async function letIn(provider: Provider, fake: IdentityProvider, { req, res }: Exchange): Promise<void> {
  const { params } = await provider.interactionDetails(req, res)
  const accountId = fake.person.sub
  const grant = new provider.Grant({ accountId, clientId: String(params['client_id']) })
  grant.addOIDCScope(String(params['scope']))
  const grantId = await grant.save()
  await provider.interactionFinished(req, res, { login: { accountId }, consent: { grantId } })
}

function tell(fake: IdentityProvider, res: ServerResponse): void {
  const at = (path: string): string => `${fake.issuer}${path}`
  const published = fake.metadata({
    issuer: fake.issuer,
    authorization_endpoint: at('/auth'),
    token_endpoint: at('/token'),
    jwks_uri: at('/jwks'),
    userinfo_endpoint: at('/me'),
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    authorization_response_iss_parameter_supported: true,
  })
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify(published))
}

function makeProvider(fake: IdentityProvider): Provider {
  return new Provider(fake.issuer, {
    clients: [
      { client_id: 'gatehouse', client_secret: 'a-long-secret-of-the-client', redirect_uris: [...fake.redirectUris] },
    ],
    claims: { openid: CLAIMS, email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    cookies: { keys: ['a key of a test'] },
    findAccount: (_, sub) => ({ accountId: sub, claims: (use) => fake.told({ ...fake.person, sub }, use) }),
    responseTypes: ['code'],
  })
}
