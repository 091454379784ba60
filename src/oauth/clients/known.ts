import type { AdapterPayload, ClientMetadata } from 'oidc-provider'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { Sealed } from '../sealed.ts'
import { facts, GRANT_TYPES, type Facts, type Origin } from './schema.ts'
import { earlierSecretsEnd } from './secret.ts'
import type { ClientRow, ClientStore } from './store.ts'

const EVERY_MS = 60_000
const MAX_REMEMBERED = 10_000
/** Ids that admins' clients have. The library makes other ones, and those of documents are addresses. */
export const REGISTERED = 'client'

type Deps = {
  readonly clients: ClientStore
  readonly sealed: Sealed
  readonly clock: Clock
  readonly log: Log
}

/** What the library tells of a client, in either of its two shapes. */
type Told = Pick<ClientMetadata, 'client_name'> &
  Pick<AdapterPayload, 'redirect_uris' | 'grant_types'> & {
    readonly post_logout_redirect_uris?: readonly string[] | undefined
    readonly backchannel_logout_uri?: string | undefined
    readonly token_endpoint_auth_method?: string | undefined
    readonly client_secret?: string | undefined
  }

/** Writes down which clients there are and when they got a token last, whoever made them. */
export class KnownClients {
  readonly #deps: Deps
  #used = new Map<string, number>()
  readonly #writing = new Set<Promise<void>>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Durable when it resolves; without it a client that registered itself would be there and in no list. */
  async note(clientId: string, told: Told): Promise<void> {
    const { clients, sealed, clock } = this.#deps
    await clients.note(rowOf({ clientId, told, recordId: sealed.refOf(clientId), now: clock.now() }))
  }

  /** Not waited for: a client gets its token although nobody could write down that it did. */
  used(clientId: string, told: Told): void {
    const now = this.#deps.clock.now()
    if (now - (this.#used.get(clientId) ?? -Infinity) < EVERY_MS) return
    if (this.#used.size >= MAX_REMEMBERED) this.#used = new Map()
    this.#used.set(clientId, now)
    const writing = this.#write(clientId, told, now).finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  async close(): Promise<void> {
    await Promise.all(this.#writing)
  }

  async #write(clientId: string, told: Told, now: number): Promise<void> {
    const { clients, log } = this.#deps
    try {
      // All others are noted when they are stored; one that is removed at this moment shall not come back.
      if (originOf(clientId) === 'metadata-document') await this.note(clientId, told)
      await clients.markUsed(clientId, now)
    } catch (err) {
      log.warn({ err, client: clientId }, 'the last use of an OAuth client could not be saved')
    }
  }
}

/** From the id alone, which nobody chooses but by where their own document is. */
export function originOf(clientId: string): Origin {
  if (clientId.startsWith(`${REGISTERED}_`)) return 'registered'
  return clientId.startsWith('https://') ? 'metadata-document' : 'self-registered'
}

function factsOf(told: Told): Facts {
  const names = Object.entries(GRANT_TYPES)
  return {
    redirectUris: [...(told.redirect_uris ?? [])],
    postLogoutRedirectUris: [...(told.post_logout_redirect_uris ?? [])],
    backchannelLogoutUri: told.backchannel_logout_uri ?? null,
    grants: (told.grant_types ?? []).map((type) => names.find(([, urn]) => urn === type)?.[0] ?? type),
    isPublic: told.token_endpoint_auth_method === 'none',
    earlierSecretsEnd: earlierSecretsEnd(told.client_secret),
    authMethod: told.token_endpoint_auth_method ?? 'client_secret_basic',
  }
}

function rowOf(known: { clientId: string; told: Told; recordId: string; now: number }): ClientRow {
  const { clientId, told, recordId, now } = known
  return {
    client_id: clientId,
    record_id: recordId,
    origin: originOf(clientId),
    name: told.client_name ?? clientId,
    account_id: null,
    facts: JSON.stringify(facts.parse(factsOf(told))),
    rights: null,
    created_at: now,
    last_used_at: null,
  }
}
