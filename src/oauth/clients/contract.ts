import * as z from 'zod'
import { defineContract } from '#http'
import { BAD_CLIENT, NO_SUCH_CLIENT } from '../problems.ts'
import {
  client,
  clientPage,
  createClientRequest,
  createdClient,
  listClientsRequest,
  rotateSecretRequest,
} from './schema.ts'

const one = z.strictObject({ client: z.string().min(1).max(2_048).meta({ description: 'Its id.' }) })

export const clientsContract = defineContract({
  createClient: {
    method: 'POST',
    path: '/api/v1/clients',
    summary: 'Register an OAuth client',
    description: 'Its secret is in the answer, once and never again.',
    access: 'admin',
    body: createClientRequest,
    reply: createdClient,
    status: 201,
    errors: [BAD_CLIENT],
  },
  listClients: {
    method: 'GET',
    path: '/api/v1/clients',
    summary: 'All OAuth clients, oldest first, whoever registered them',
    access: 'admin',
    query: listClientsRequest,
    reply: clientPage,
  },
  showClient: {
    method: 'GET',
    path: '/api/v1/clients/{client}',
    summary: 'One OAuth client',
    access: 'admin',
    params: one,
    reply: client,
    errors: [NO_SUCH_CLIENT],
  },
  rotateClientSecret: {
    method: 'POST',
    path: '/api/v1/clients/{client}/secret',
    summary: 'Give an OAuth client a new secret',
    description:
      'It is in the answer, once and never again. Those from before are taken beside it for `overlapSeconds`, so that nothing stops while it is carried to where it is used.',
    access: 'admin',
    params: one,
    body: rotateSecretRequest,
    reply: createdClient,
    errors: [NO_SUCH_CLIENT, BAD_CLIENT],
  },
  removeClient: {
    method: 'DELETE',
    path: '/api/v1/clients/{client}',
    summary: 'End an OAuth client for good, and all that people let it do',
    description:
      'Its tokens are refused at once. A client with a metadata document can come again, and people are asked again.',
    access: 'admin',
    params: one,
    errors: [NO_SUCH_CLIENT],
  },
})
