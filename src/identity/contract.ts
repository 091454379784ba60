import * as z from 'zod'
import { defineContract } from '#http'
import { BAD_KEY_REQUEST, NO_SUCH_KEY } from './problems.ts'
import { apiKey, createdKey, createKeyRequest, keyPage, listKeysRequest } from './schema.ts'

const keyId = z.strictObject({ id: z.string().min(1).max(64) })

export const identityContract = defineContract({
  createKey: {
    method: 'POST',
    path: '/api/v1/keys',
    summary: 'Make an API key',
    description: 'The key itself is in the answer, once and never again.',
    access: 'admin',
    body: createKeyRequest,
    reply: createdKey,
    status: 201,
    errors: [BAD_KEY_REQUEST],
  },
  listKeys: {
    method: 'GET',
    path: '/api/v1/keys',
    summary: 'All API keys, oldest first',
    access: 'admin',
    query: listKeysRequest.strict(),
    reply: keyPage,
  },
  revokeKey: {
    method: 'DELETE',
    path: '/api/v1/keys/{id}',
    summary: 'End an API key for good',
    access: 'admin',
    params: keyId,
    reply: apiKey.meta({ id: 'Key' }),
    errors: [NO_SUCH_KEY],
  },
})
