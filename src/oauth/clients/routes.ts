import type { Handlers } from '#http'
import type { clientsContract } from './contract.ts'
import type { Clients } from './service.ts'

/** Answers the operations of `clientsContract`. */
export function clientsRoutes(clients: Clients): Handlers<typeof clientsContract> {
  return {
    createClient: ({ body }, { caller }) => clients.create(body, caller),
    listClients: ({ query }) => clients.list(query),
    showClient: ({ params }) => clients.get(params.client),
    rotateClientSecret: ({ params, body }, { caller }) => clients.rotateSecret(params.client, body, caller),
    removeClient: ({ params }, { caller }) => clients.remove(params.client, caller),
  }
}
