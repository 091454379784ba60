import * as z from 'zod'
import { defineContract } from '#http'
import { rotateRequest, shownKey } from './schema.ts'

const keys = z.object({ keys: z.array(shownKey) })

export const signingKeysContract = defineContract({
  listSigningKeys: {
    method: 'GET',
    path: '/api/v1/signing-keys',
    summary: 'The keys that sign tokens, those that sign now first',
    access: 'admin',
    reply: keys,
  },
  rotateSigningKeys: {
    method: 'POST',
    path: '/api/v1/signing-keys/rotate',
    summary: 'Make new signing keys; they sign in ten minutes, when everybody who verifies can have them',
    access: 'admin',
    body: rotateRequest,
    reply: keys,
  },
})
