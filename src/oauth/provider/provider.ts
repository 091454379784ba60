import type {
  Configuration,
  ErrorOut,
  interactionPolicy as policies,
  KoaContextWithOIDC,
  Provider as TheProvider,
} from 'oidc-provider'
import type { Directory } from '#identity'
import { newId, type JsonObject } from '#kernel'
import { createAdapter, hasGrant, type AdapterDeps } from './adapter.ts'
import { requireEntry } from './entry.ts'
import { ID_JAG } from '../house-grants/id-jag.ts'
import { addJwtBearer, type JwtBearerDeps } from '../house-grants/jwt-bearer.ts'
import { moreOf } from '../house-grants/house-grant.ts'
import { addTokenExchange, type TokenExchangeDeps } from '../house-grants/token-exchange.ts'
import { errors, interactionPolicy, Provider } from './library.ts'
import { addClientCredentials, type ClientCredentialsDeps } from '../house-grants/client-credentials.ts'
import { originOf } from '../clients/known.ts'
import { limitSecret, teachSecrets } from '../clients/secret.ts'
import { checkClientMetadata } from './registration.ts'
import { ACCESS_TOKEN_SECONDS, resourceServerOf } from './resource-server.ts'
import type { SigningKey } from '../signing-keys/schema.ts'
import { ABOUT_PEOPLE, SCOPE, type Resources } from '../resources.ts'
import type { VerifierDeps } from '../verifier.ts'

export type ProviderDeps = AdapterDeps &
  Omit<TokenExchangeDeps, 'hasGrant'> &
  JwtBearerDeps &
  ClientCredentialsDeps & {
    readonly issuer: string
    readonly keys: readonly SigningKey[]
    readonly cookieKey: Buffer
    readonly directory: () => Directory
    readonly resources: Resources
    readonly whyNot: VerifierDeps['whyNot']
    /** The one way out for every document that a client names. */
    readonly fetch: (url: URL | RequestInfo, options?: RequestInit) => Promise<Response>
    readonly troublePage: TroublePage
  }

/** A page that tells a person what went wrong. */
export type TroublePage = (view: {
  readonly title: string
  readonly text: string
}) => Promise<{ readonly headers: Readonly<Record<string, string>>; readonly body: string }>

const MINUTE = 60
const DAY = 86_400

/** The certified server under our port, told what this house is. Everything with a choice in it is decided here. */
export function makeProvider(deps: ProviderDeps): TheProvider {
  const provider = new Provider(deps.issuer, {
    adapter: createAdapter(deps),
    jwks: { keys: deps.keys.map(toJwk) },
    cookies: cookiesOf(deps),
    clients: [],
    // Not `client_secret_jwt`: it needs the secret itself, and what is kept is a hash.
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    // OAuth 2.1: the code with PKCE, and nothing that passes tokens through the browser.
    responseTypes: ['code'],
    pkce: { required: () => true },
    scopes: [...ABOUT_PEOPLE, SCOPE],
    discovery: ID_JAG_METADATA,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    subjectTypes: ['public'],
    conformIdTokenClaims: false,
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    clientBasedCORS: () => true,
    clientDefaults: CLIENT_DEFAULTS,
    ttl: {
      AccessToken: ACCESS_TOKEN_SECONDS,
      AuthorizationCode: MINUTE,
      DeviceCode: 10 * MINUTE,
      Grant: 90 * DAY,
      IdToken: 10 * MINUTE,
      Interaction: 15 * MINUTE,
      RefreshToken: 30 * DAY,
      // As long as that of a browser with the house, so that programs hear when it ends.
      Session: 7 * DAY,
    },
    routes: ROUTES,
    interactions: { url: (_ctx, interaction) => `/signin/${interaction.uid}`, policy: askTheHouse() },
    features: featuresOf(deps),
    extraClientMetadata: {
      properties: ['gatehouse'],
      validator: (ctx, _key, _value, metadata) => {
        checkClientMetadata(metadata, originOf(metadata.client_id))
        // There is a context when a client registers, and none when it is read again.
        if (ctx !== undefined) limitSecret(metadata, deps.clock.now())
      },
    },
    extraTokenClaims: (ctx, token) => houseClaims(ctx, token),
    findAccount: (ctx, accountId, brought) => {
      const member = deps.directory().findByAccountId(accountId)
      if (!member?.isActive || member.kind !== 'person') return undefined
      // Before anything is brought somebody is still being asked, by the pages, which ask the policy themselves.
      if (brought !== undefined) requireEntry(deps, { member, brought, address: ctx.ip })
      const { userId } = member
      return { accountId, claims: () => ({ sub: accountId, preferred_username: userId, name: userId }) }
    },
    fetch: deps.fetch,
    renderError: (ctx, out) => showError(ctx, out, deps.troublePage),
  } satisfies Configuration)
  teachSecrets(provider, deps.clock)
  addTokenExchange(provider, { ...deps, hasGrant: (accountId, clientId) => hasGrant(deps, { accountId, clientId }) })
  addJwtBearer(provider, deps)
  addClientCredentials(provider, deps)
  provider.proxy = true // the door sets the forwarded headers itself, from the public address
  return provider
}

const CLIENT_DEFAULTS = {
  grant_types: ['authorization_code', 'refresh_token'],
  id_token_signed_response_alg: 'RS256',
  // Editors and command lines mostly do not say their kind; as one of the web, they might use no port of the person's
  // machine but the registered one (RFC 8252 §7.3), and no scheme of their own.
  application_type: 'native',
} as const satisfies Configuration['clientDefaults']

/** That our word is given and others' is taken (draft-ietf-oauth-identity-assertion-authz-grant §6, §7). */
const ID_JAG_METADATA = {
  authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
  identity_chaining_requested_token_types_supported: [ID_JAG],
}

/** Errors are shown here and lead nowhere: a client whose address is in doubt gets no redirect. */
async function showError(ctx: KoaContextWithOIDC, out: ErrorOut, troublePage: TroublePage): Promise<void> {
  if (ctx.accepts('json', 'html') !== 'html') {
    ctx.type = 'application/json'
    ctx.body = out
    return
  }
  const page = await troublePage({ title: 'This cannot go on', text: wordsOf(out) })
  ctx.set({ ...page.headers })
  ctx.body = page.body
}

/** For the person, who can do something about the first two alone. */
function wordsOf({ error, error_description: description }: ErrorOut): string {
  switch (error) {
    case 'invalid_client':
      return 'This house does not know the program that sent you here (any more). In the program, remove the connection to this house and add it again.'
    case 'invalid_redirect_uri':
      return 'The program wants its answer at an address that it has not registered, so nothing was sent there. In the program, remove the connection to this house and add it again; whoever runs the program can have the address registered.'
    default:
      return `The program that sent you here cannot be let in: ${description ?? 'it asked for something that is not right'} (${error}). Go back to it and start again.`
  }
}

/** As the library takes it: a JSON Web Key with its private part. */
function toJwk({ kid, alg, privateKey }: SigningKey): JsonObject {
  return JSON.parse(JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }))
}

const ROUTES = {
  authorization: '/oauth/authorize',
  code_verification: '/device',
  device_authorization: '/oauth/device',
  end_session: '/oauth/end-session',
  introspection: '/oauth/introspect',
  jwks: '/oauth/jwks',
  pushed_authorization_request: '/oauth/request',
  registration: '/oauth/register',
  revocation: '/oauth/revoke',
  token: '/oauth/token',
  userinfo: '/oauth/userinfo',
}

/** Their names, by what they are for. */
export const COOKIES = { session: 'gh_oauth', interaction: 'gh_oauth_asked', resume: 'gh_oauth_resume' }

function cookiesOf({ cookieKey }: ProviderDeps): Configuration['cookies'] {
  const common = { signed: true, httpOnly: true, sameSite: 'lax', overwrite: true } as const
  return {
    keys: [cookieKey.toString('base64url')],
    names: COOKIES,
    long: common,
    short: common,
  }
}

/** Every authorization passes the house's own pages, which know the session, the login policy and the consent. */
function askTheHouse(): policies.DefaultPolicy {
  const policy = interactionPolicy.base()
  const asked = new interactionPolicy.Check('house_not_asked', 'The house has to be asked', (ctx) => {
    const isAnswered = ctx.oidc.result?.login !== undefined
    return isAnswered ? interactionPolicy.Check.NO_NEED_TO_PROMPT : interactionPolicy.Check.REQUEST_PROMPT
  })
  policy.get('login')?.checks.add(asked)
  return policy
}

function featuresOf({ resources, troublePage }: ProviderDeps): NonNullable<Configuration['features']> {
  return {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****' },
    // Of what the library keeps itself, refresh tokens among it, nobody but its own client learns anything: a service
    // that asks about a token takes "active" for an access token. Those are answered for in `introspection.ts`.
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
    },
    revocation: { enabled: true },
    // The library's own ids may begin with a dash, which the command line takes for an option.
    registration: { enabled: true, initialAccessToken: false, idFactory: () => newId('app') },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: () => {}, // `endpoints/logout.ts` shows the page of the house in its place
      postLogoutSuccessSource: async (ctx) => {
        const page = await troublePage({ title: 'You are signed out', text: 'You can close this window.' })
        ctx.set({ ...page.headers })
        ctx.body = page.body
      },
    },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Clients that were let in for one gateway and do not name it again at the token endpoint mean that one.
      useGrantedResource: () => true,
      defaultResource: ({ oidc }, _client, oneOf) => oneOf?.[0] ?? meantResource(resources, oidc),
      getResourceServerInfo: ({ oidc }, indicator) => {
        const gateway = resources.find(indicator)
        if (gateway === null || Array.isArray(oidc.params?.['resource'])) throw new errors.InvalidTarget(NAME_ONE)
        return resourceServerOf(resources, indicator)
      },
    },
  }
}

const NAME_ONE =
  'send as resource the address of one gateway that takes access tokens, as its protected resource metadata tells it'

/** A token that opens nothing helps nobody: whoever asks for more than who somebody is gets one for a gateway, or none. */
function meantResource(resources: Resources, { params }: KoaContextWithOIDC['oidc']): string | string[] {
  const scope = params?.['scope']
  const meant = resources.meantBy(typeof scope === 'string' ? scope.split(' ') : [SCOPE])
  if (meant === 'unclear') throw new errors.InvalidTarget(NAME_ONE)
  return meant === 'none' ? [] : meant.indicator
}

/** The grant, by which a token is revoked, and how the person proved who they are, for the login policy. */
function houseClaims(ctx: KoaContextWithOIDC, token: object): JsonObject {
  const grantId: unknown = Reflect.get(token, 'grantId')
  const { AuthorizationCode, RefreshToken, DeviceCode } = ctx.oidc.entities
  const amr = AuthorizationCode?.amr ?? RefreshToken?.amr ?? DeviceCode?.amr
  const known = { ...(typeof grantId === 'string' ? { gid: grantId } : {}), ...(amr === undefined ? {} : { amr }) }
  return { ...known, ...moreOf(token) }
}
