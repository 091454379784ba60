import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import type { Audit } from '#audit'
import type { Egress } from '#http'
import type { Directory } from '#identity'
import type { Clock, JsonObject } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { openClients, type ClientRolls } from './clients/open.ts'
import { ClosedAccounts } from './closed-accounts.ts'
import type { Clients } from './clients/service.ts'
import { createDocumentFetch } from './provider/documents.ts'
import { EndedGrants, KEPT_MS } from './ended-grants.ts'
import type { KeyRing } from './signing-keys/ring.ts'
import type { SigningKey } from './signing-keys/schema.ts'
import type { Assertions } from './house-grants/jwt-bearer.ts'
import { addHouseRules, createPaces } from './endpoints/house-rules.ts'
import type { BrowserSessions, LogoutPage } from './endpoints/logout.ts'
import { makeProvider, type TroublePage } from './provider/provider.ts'
import { createResources, type GatewayResource, type Resources } from './resources.ts'
import { createSealed, type Sealed } from './sealed.ts'
import { createAuthServer, type AuthServer } from './server.ts'
import { createOauthStore, type OauthStore } from './store.ts'
import { createVerifier, type Verifier, type VerifierDeps } from './verifier.ts'
import { readFormOf } from './endpoints/form.ts'

export type OauthDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record'>
  readonly metrics: Pick<Metrics, 'registration' | 'tokenRequest' | 'tokenReused'>
  readonly egress: Egress
  readonly keyRing: KeyRing
  readonly directory: () => Directory
  /** Told when accounts have changed, here or on another replica. */
  readonly onDirectoryChange: (listener: () => void) => () => void
  /** The public address of the house, to the letter: it is the issuer, and clients compare it as text. */
  readonly issuer: () => string
  /** Gateways that take access tokens. */
  readonly gateways: () => readonly GatewayResource[]
  readonly whyNot: VerifierDeps['whyNot']
  readonly assertions: Assertions
  /** What a browser is shown where an authorization cannot go on. */
  readonly troublePage: TroublePage
  readonly logoutPage: LogoutPage
  /** What browsers are signed in to: this house. */
  readonly browsers: BrowserSessions
  /** Hosts inside that client documents may be fetched from. */
  readonly allowHosts: readonly string[]
  /** So long after its last token a client that registered itself is removed. */
  readonly unusedMs: number
  /** Where a request comes from. */
  readonly addressOf: (req: IncomingMessage) => string
}

export type Oauth = {
  readonly server: AuthServer
  readonly clients: Clients
  authenticate: Verifier['authenticate']
  /** RFC 9728: where clients of this gateway get their tokens. */
  describeResource(slug: string): JsonObject | null
  /** True for a path that `handle` answers. */
  takes(path: string): boolean
  /** The endpoints of the authorization server and its metadata. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  /** Told when a grant ended or a signing key is gone: what was opened with it must be asked again. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

const SWEEP_MS = 600_000
/** For so long, a device still hears that its code has expired. */
const EXPIRED_MS = 600_000

/** Makes the authorization server. It is built with its first request, when the public address is known. */
export async function createOauth(deps: OauthDeps): Promise<Oauth> {
  const { storage, clock, log, keyRing } = deps
  const key = await storage.sharedKey('oauth.records')
  const sealed = createSealed(key)
  const store = createOauthStore(storage)
  const ended = await EndedGrants.open({ storage, store, sealed, clock, log })
  const resources = createResources(deps)
  const rolls = openClients({ ...deps, store, sealed, ended })
  const fetchDocument = createDocumentFetch(deps)
  const verifier = createVerifier({
    ...deps,
    keys: () => keyRing.all(),
    refOf: (id) => sealed.refOf(id),
    isEnded: (ref) => ended.hasRef(ref),
  })
  const built = buildOnce({
    ...deps,
    key,
    store,
    sealed,
    ended,
    resources,
    rolls,
    verifier,
    fetch: fetchDocument.fetch,
  })
  const provider = () => built().provider
  const clients = rolls.clients(provider)
  const stopTidying = tidy({
    ...deps,
    store,
    clients,
    closed: new ClosedAccounts({ ...deps, store, sealed, provider }),
  })
  return {
    server: createAuthServer({ provider, resources, store, sealed, clock, log }),
    clients,
    authenticate: (credentials) => verifier.authenticate(credentials),
    describeResource: (slug) => resources.describe(slug),
    takes: (path) => path.startsWith('/oauth/') || path.startsWith('/.well-known/o'),
    handle: (req, res) => answer({ ...deps, resources, built }, req, res),
    onChange: (listener) => {
      const ends = [ended.onChange(listener), keyRing.onChange(listener)]
      return () => ends.forEach((end) => end())
    },
    close: async () => {
      await stopTidying()
      await rolls.close()
      await ended.close()
      await fetchDocument.close()
    },
  }
}

type Parts = OauthDeps & {
  readonly key: Buffer
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly ended: EndedGrants
  readonly resources: Resources
  readonly rolls: ClientRolls
  readonly verifier: Verifier
  readonly fetch: ReturnType<typeof createDocumentFetch>['fetch']
}

/** The library, made anew when the public address or the signing keys are other ones. */
function buildOnce(parts: Parts): () => Made {
  const { issuer, keyRing, rolls } = parts
  const paces = createPaces()
  let made: Made | undefined
  return () => {
    const keys = keyRing.all()
    // Requests that the old one answers are answered by it to their end: all that it knows is in the store.
    if (made?.issuer === issuer() && made.keys === keys) return made
    const provider = makeProvider({
      ...parts,
      ...rolls.adapter,
      issuer: issuer(),
      keys,
      cookieKey: parts.key,
      accountOf: (clientId) => rolls.accountOf(clientId),
      rightsOf: (clientId) => rolls.rightsOf(clientId),
    })
    addHouseRules(provider, { ...parts, paces, known: rolls.known })
    made = { issuer: issuer(), keys, provider, answer: provider.callback() }
    return made
  }
}

type Tidied = Pick<OauthDeps, 'clock' | 'onDirectoryChange'> & {
  readonly store: OauthStore
  readonly clients: Clients
  readonly closed: ClosedAccounts
}

/** Removes what is over: every ten minutes, and of accounts as soon as they are closed. The returned function ends it. */
function tidy({ clock, onDirectoryChange, store, clients, closed }: Tidied): () => Promise<void> {
  const forget = onDirectoryChange(() => closed.noticed())
  closed.noticed() // what was closed while the house was not there
  const sweep = setInterval(() => {
    sweepOnce({ store, clients, now: clock.now() }).catch(() => {}) // what is missed now goes with the next one
    void closed.look()
  }, SWEEP_MS)
  sweep.unref()
  return async () => {
    clearInterval(sweep)
    forget()
    await closed.close()
  }
}

async function sweepOnce(parts: { store: OauthStore; clients: Clients; now: number }): Promise<void> {
  const { store, clients, now } = parts
  await store.sweep(now - EXPIRED_MS, now - KEPT_MS)
  await clients.removeUnused()
}

async function answer(
  deps: Pick<OauthDeps, 'issuer' | 'addressOf'> & { resources: Resources; built: () => Made },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/'
  const document = metadataPath(path)
  if (document?.kind === 'resource') return answerResource(res, deps.resources.describe(document.slug))
  if (document?.kind === 'server') req.url = document.path
  const read = await readFormOf(req, res, path)
  if (read === null) return
  asSeenFromOutside(read, { issuer: deps.issuer(), address: deps.addressOf(req) })
  // RFC 9700 §4.2.4: no address with a code or a hint in it goes on to another site.
  res.setHeader('referrer-policy', 'no-referrer')
  await deps.built().answer(read, res)
}

type Made = {
  readonly issuer: string
  readonly keys: readonly SigningKey[]
  readonly provider: Provider
  readonly answer: ReturnType<Provider['callback']>
}

type Document = { kind: 'resource'; slug: string } | { kind: 'server'; path: string }

/** RFC 8414 §3.1 and RFC 9728 §3.1 put the well-known part before the path; clients ask in all the ways there are. */
function metadataPath(path: string): Document | null {
  const resource = /^\/\.well-known\/oauth-protected-resource\/mcp\/([^/]+)\/?$/.exec(path)
  if (resource) return { kind: 'resource', slug: resource[1] ?? '' }
  const server = /^\/\.well-known\/(oauth-authorization-server|openid-configuration)(?:\/mcp\/[^/]+)?\/?$/.exec(path)
  return server ? { kind: 'server', path: `/.well-known/${server[1] ?? ''}` } : null
}

function answerResource(res: ServerResponse, document: JsonObject | null): void {
  const body = JSON.stringify(document ?? { error: 'not_found' })
  res.writeHead(document === null ? 404 : 200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'access-control-allow-origin': '*',
    'cache-control': document === null ? 'no-store' : 'public, max-age=300',
  })
  res.end(body)
}

/** The library writes addresses from what the request says; it shall say the public address, whoever asked how. */
function asSeenFromOutside(req: IncomingMessage, seen: { issuer: string; address: string }): void {
  const { host, protocol } = new URL(seen.issuer)
  req.headers['host'] = host
  req.headers['x-forwarded-proto'] = protocol.slice(0, -1)
  req.headers['x-forwarded-host'] = host
  req.headers['x-forwarded-for'] = seen.address
}
