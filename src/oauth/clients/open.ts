import type Provider from 'oidc-provider'
import type { Audit } from '#audit'
import type { Directory } from '#identity'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { createAdapter, type AdapterDeps } from '../provider/adapter.ts'
import type { EndedGrants } from '../ended-grants.ts'
import type { ExchangeRights } from '../house-grants/schema.ts'
import type { GatewayResource } from '../resources.ts'
import type { Sealed } from '../sealed.ts'
import type { OauthStore } from '../store.ts'
import { KnownClients } from './known.ts'
import { createClients, rightsOf, type Clients } from './service.ts'
import { createClientStore } from './store.ts'

type Deps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record'>
  readonly directory: () => Directory
  readonly gateways: () => readonly GatewayResource[]
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly ended: EndedGrants
  readonly unusedMs: number
}

export type ClientRolls = {
  readonly known: KnownClients
  /** With what the library keeps its things, so that every client that it stores is written down too. */
  readonly adapter: AdapterDeps
  /** The id of the system account that a client acts as; null of all others. */
  accountOf(clientId: string): Promise<string | null>
  /** What an admin let a client exchange. */
  rightsOf(clientId: string): Promise<ExchangeRights>
  clients(provider: () => Provider): Clients
  close(): Promise<void>
}

/** Which clients there are, and how the library stores them. */
export function openClients(deps: Deps): ClientRolls {
  const { storage, sealed, ended } = deps
  const clients = createClientStore(storage)
  const known = new KnownClients({ ...deps, clients })
  const adapter: AdapterDeps = {
    ...deps,
    onClientStored: (clientId, metadata) => known.note(clientId, metadata),
    onClientGone: async (clientId) => {
      await ended.add(clientId)
      await clients.remove(sealed.refOf(clientId))
    },
    onGrantEnded: (grantId) => ended.add(grantId),
  }
  return {
    known,
    adapter,
    accountOf: async (clientId) => (await clients.find(clientId))?.account_id ?? null,
    rightsOf: async (clientId) => rightsOf(await clients.find(clientId)),
    clients: (provider) => createClients({ ...deps, provider, clients, records: createAdapter(adapter)('Client') }),
    close: () => known.close(),
  }
}
