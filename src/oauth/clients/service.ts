import type Provider from 'oidc-provider'
import type { Adapter, ClientMetadata } from 'oidc-provider'
import type { Directory } from '#identity'
import { newId, Problem, type Secret } from '#kernel'
import type { EndedGrants } from '../ended-grants.ts'
import { exchangeRights, NO_RIGHTS, type ExchangeRights } from '../house-grants/schema.ts'
import { BAD_CLIENT, NO_SUCH_CLIENT } from '../problems.ts'
import type { GatewayResource } from '../resources.ts'
import type { Sealed } from '../sealed.ts'
import { REGISTERED } from './known.ts'
import {
  facts,
  GRANT_TYPES,
  origin,
  type Client,
  type ClientPage,
  type CreateClientRequest,
  type CreatedClient,
  type ListClientsRequest,
  type RotateSecretRequest,
} from './schema.ts'
import { earlierSecretsEnd, hashSecret, mintSecret, rotateSecret } from './secret.ts'
import type { ClientRow, Place } from './store.ts'
import { removeUnused, type UnusedDeps } from './unused.ts'

type Actor = { readonly userId?: string | null; readonly keyId?: string | null; readonly face?: string }

export type Clients = {
  /** Registers a client that people can let in. Its secret is in the answer and nowhere else. */
  create(request: CreateClientRequest, by: Actor): Promise<CreatedClient>
  /** Throws a Problem where there is none. */
  get(id: string): Promise<Client>
  /** All there are, oldest first. */
  list(request: ListClientsRequest): Promise<ClientPage>
  /** A new secret, told once; those from before are taken for so long beside it. What the client was given stays. */
  rotateSecret(id: string, request: RotateSecretRequest, by: Actor): Promise<CreatedClient>
  /** Ends a client and all that it was given: here at once, on every replica within a second. */
  remove(id: string, by: Actor): Promise<void>
  /** Removes those that registered themselves and were not used for so long, once among all replicas. */
  removeUnused(): Promise<void>
}

type Deps = UnusedDeps & {
  readonly provider: () => Provider
  readonly directory: () => Directory
  /** Those that take access tokens. */
  readonly gateways: () => readonly Pick<GatewayResource, 'slug'>[]
  /** Where the library looks for clients. */
  readonly records: Pick<Adapter, 'upsert'>
  readonly sealed: Sealed
  readonly ended: EndedGrants
}

const MAX_GRANTS = 10_000

export function createClients(deps: Deps): Clients {
  return {
    create: (request, by) => createClient(deps, request, by),
    get: async (id) => toClient(deps, await rowOf(deps, id)),
    list: (request) => listClients(deps, request),
    remove: (id, by) => removeClient(deps, id, by),
    rotateSecret: (id, request, by) => rotateClientSecret(deps, id, { ...request, by }),
    removeUnused: () => removeUnused(deps),
  }
}

async function createClient(deps: Deps, request: CreateClientRequest, by: Actor): Promise<CreatedClient> {
  const id = newId(REGISTERED)
  const account = accountFor(deps, request)
  const rights = rightsFor(deps, request)
  const metadata = checked(deps.provider(), toMetadata(id, request))
  const secret = metadata.client_secret === undefined ? null : mintSecret()
  const { name, grants } = request
  const event = {
    what: 'oauth.client-created',
    ...actorOf(by),
    client: id,
    extra: { client: id, name, grants, ...rights, ...(account === null ? {} : { account }) },
  }
  await deps.audit.record({ ...event, decision: 'allowed' })
  try {
    await deps.records.upsert(id, {
      ...metadata,
      ...(secret === null ? {} : { client_secret: hashSecret(secret.reveal()) }),
    })
    // Last: a client that is stored and may nothing yet does no harm.
    await deps.clients.allow(id, { rights: rights && JSON.stringify(rights), account_id: account })
  } catch (cause) {
    await deps.audit.record({ ...event, decision: 'failed', reason: 'the change could not be stored' })
    throw new Error('could not store an OAuth client', { cause })
  }
  return { ...toClient(deps, await rowOf(deps, id)), secret: secret?.reveal() ?? null }
}

async function rotateClientSecret(
  deps: Deps,
  id: string,
  { overlapSeconds, by }: RotateSecretRequest & { by: Actor },
): Promise<CreatedClient> {
  const { name } = await rowOf(deps, id)
  const secret = mintSecret()
  const now = deps.clock.now()
  const until = now + overlapSeconds * 1_000
  const extra = { client: id, name, earlierSecretsEnd: until }
  const event = { what: 'oauth.client-secret-rotated', ...actorOf(by), client: id, extra }
  await deps.audit.record({ ...event, decision: 'allowed' })
  try {
    // Whoever rotates at the same moment comes before or after: nobody is told a secret that never counts.
    while (!(await tryRotate(deps, id, { secret, now, until })));
  } catch (cause) {
    await deps.audit.record({ ...event, decision: 'failed', reason: 'the change could not be stored' })
    throw cause
  }
  return { ...toClient(deps, await rowOf(deps, id)), secret: secret.reveal() }
}

type Rotation = { readonly secret: Secret; readonly now: number; readonly until: number }

/** False where somebody else changed the client in between. */
async function tryRotate(deps: Deps, id: string, { secret, now, until }: Rotation): Promise<boolean> {
  const { clients, sealed } = deps
  const row = await rowOf(deps, id)
  const before = row.origin === 'registered' ? await clients.recordOf(row.record_id) : undefined
  const label = `Client/${row.record_id}`
  const metadata = before === undefined ? {} : sealed.open(label, before)
  const kept = metadata['client_secret']
  if (before === undefined || typeof kept !== 'string')
    throw new Problem(BAD_CLIENT, 'Only a client that an admin made, and that has a secret, can be given another one.')
  const client_secret = rotateSecret(kept, secret, { now, until })
  const known = { ...facts.parse(JSON.parse(row.facts)), earlierSecretsEnd: earlierSecretsEnd(client_secret) }
  const after = sealed.seal(label, { ...metadata, client_secret })
  return clients.change(row, { before, after, facts: JSON.stringify(known) })
}

/** The id of the account that it acts as. Only machines do: a person has to be asked. */
function accountFor({ directory }: Deps, { account, grants, isPublic }: CreateClientRequest): string | null {
  if (grants.includes('client_credentials') !== (account !== null))
    throw new Problem(
      BAD_CLIENT,
      'The grant client_credentials and a system account belong together: give both, or none.',
    )
  if (account === null) return null
  if (isPublic)
    throw new Problem(BAD_CLIENT, 'A public client cannot prove that it is itself, so it acts for people only.')
  const member = directory().findByUserId(account) ?? directory().findByAccountId(account)
  if (member?.kind === 'system') return member.accountId
  const what = member === null ? 'There is no account' : 'That is no system account:'
  throw new Problem(BAD_CLIENT, `${what} "${account}"; \`account add NAME --system\` makes one.`)
}

/** What goes beyond what people are asked for is given by whoever makes the client, all of it at once. */
function rightsFor(deps: Deps, { exchange, idJag, grants, isPublic }: CreateClientRequest): ExchangeRights | null {
  const isForIt = grants.includes('token_exchange')
  const hasSome = exchange.length + idJag.length > 0
  if (isForIt !== hasSome)
    throw new Problem(BAD_CLIENT, 'The grant token_exchange goes with what may be exchanged: give both, or none.')
  if (isPublic && (isForIt || grants.includes('jwt_bearer')))
    throw new Problem(BAD_CLIENT, 'A public client cannot prove that it is itself, so it gets tokens from people only.')
  const slugs = new Set(deps.gateways().map(({ slug }) => slug))
  const unknown = exchange.flatMap(({ from, to }) => [from, to]).find((slug) => !slugs.has(slug))
  if (unknown !== undefined)
    throw new Problem(
      BAD_CLIENT,
      `There is no gateway "${unknown}" that takes access tokens, so none can be exchanged for it.`,
    )
  return hasSome ? { exchange, idJag } : null
}

function toMetadata(id: string, request: CreateClientRequest): ClientMetadata {
  const { name, redirectUris, postLogoutRedirectUris, backchannelLogoutUri: logout, grants } = request
  const isAsked = grants.includes('authorization_code')
  if (isAsked && redirectUris.length === 0)
    throw new Problem(BAD_CLIENT, 'A client that people let in needs an address to which answers go: a redirect.')
  return {
    client_id: id,
    client_name: name,
    application_type: redirectUris.every(isOfTheWeb) ? 'web' : 'native',
    redirect_uris: [...redirectUris],
    post_logout_redirect_uris: [...postLogoutRedirectUris],
    ...(logout === null ? {} : { backchannel_logout_uri: logout, backchannel_logout_session_required: true }),
    grant_types: grants.map((grant) => GRANT_TYPES[grant]),
    response_types: isAsked ? ['code'] : [],
    ...proofOf(request),
  }
}

/** How it proves who it is: with nothing, with its key, or with a secret. */
function proofOf({ isPublic, jwks }: CreateClientRequest): Partial<ClientMetadata> {
  if (isPublic && jwks !== null) throw new Problem(BAD_CLIENT, 'A public client has no keys: say one of the two.')
  if (isPublic) return { token_endpoint_auth_method: 'none' }
  // Of the form of keys the library knows all; it refuses private ones.
  if (jwks !== null) return { token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.parse(JSON.stringify(jwks)) }
  return { token_endpoint_auth_method: 'client_secret_basic', client_secret: PLACEHOLDER }
}

/** While the rest is checked; what is stored has the hash of a real one. */
const PLACEHOLDER = 'to-be-made'

/** Answers of other clients go to an app on the person's own computer, whose port is free (RFC 8252 §7). */
function isOfTheWeb(uri: string): boolean {
  return uri.startsWith('https:')
}

/** The library knows what goes together; what it says is said to whoever asked. */
function checked(provider: Provider, metadata: ClientMetadata): ClientMetadata {
  try {
    // The types do not tell that the library's class can be made; its own registration makes it like this.
    const client: InstanceType<Provider['Client']> = Reflect.construct(provider.Client, [metadata])
    return client.metadata()
  } catch (error) {
    const { error_description: why } = Object(error)
    if (typeof why !== 'string') throw error
    throw new Problem(BAD_CLIENT, `The client cannot be like this: ${why}.`)
  }
}

async function rowOf({ clients }: Deps, id: string): Promise<ClientRow> {
  const row = await clients.find(id)
  if (row !== undefined) return row
  const what = `There is no OAuth client "${id.slice(0, 200)}"; \`client list\` shows those there are.`
  throw new Problem(NO_SUCH_CLIENT, what)
}

async function listClients(deps: Deps, { cursor, limit }: ListClientsRequest): Promise<ClientPage> {
  const found = await deps.clients.list({ after: placeOf(cursor), limit: limit + 1 })
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return {
    clients: shown.map((row) => toClient(deps, row)),
    next: found.length > limit && last !== undefined ? `${last.created_at} ${last.client_id}` : null,
  }
}

function placeOf(cursor: string | undefined): Place | null {
  const [, createdAt, id = ''] = /^(\d{1,15}) (.+)$/.exec(cursor ?? '') ?? []
  return createdAt === undefined ? null : { createdAt: Number(createdAt), id }
}

/** Ended first: whoever asks between the two steps is refused, and a crash there leaves nothing that still counts. */
async function removeClient(deps: Deps, id: string, by: Actor): Promise<void> {
  const row = await rowOf(deps, id)
  const extra = { client: id, name: row.name, origin: row.origin }
  const event = { what: 'oauth.client-removed', ...actorOf(by), client: id, extra }
  await deps.audit.record({ ...event, decision: 'allowed' })
  try {
    await deps.ended.add(...(await endsOf(deps, row)))
    await deps.clients.remove(row.record_id)
  } catch (cause) {
    await deps.audit.record({ ...event, decision: 'failed', reason: 'the change could not be stored' })
    throw new Error('could not remove an OAuth client', { cause })
  }
}

/** An id that is never given again ends by itself; a client with a document may come again, so its grants are ended. */
async function endsOf({ clients, sealed }: Deps, row: ClientRow): Promise<string[]> {
  if (row.origin !== 'metadata-document') return [row.client_id]
  const grants = await clients.grantsOf(row.record_id, MAX_GRANTS)
  return grants.flatMap(({ id, payload }) => {
    const { ownId } = sealed.open(`Grant/${id}`, payload)
    return typeof ownId === 'string' ? [ownId] : []
  })
}

function toClient({ directory, clock }: Deps, row: ClientRow): Client {
  const { account_id: account } = row
  const known = facts.parse(JSON.parse(row.facts))
  const { earlierSecretsEnd: end } = known
  return {
    id: row.client_id,
    name: row.name,
    origin: origin.parse(row.origin),
    ...known,
    earlierSecretsEnd: end !== null && end > clock.now() ? end : null,
    ...rightsOf(row),
    account: account === null ? null : (directory().findByAccountId(account)?.userId ?? account),
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}

/** What a client may exchange. */
export function rightsOf(row: Pick<ClientRow, 'rights'> | undefined): ExchangeRights {
  const rights = row?.rights ?? null
  return rights === null ? NO_RIGHTS : exchangeRights.parse(JSON.parse(rights))
}

function actorOf({ userId = null, keyId = null, face }: Actor) {
  return { userId, keyId, ...(face === undefined ? {} : { face }) }
}
