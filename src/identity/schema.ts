import * as z from 'zod'
import { isUserId } from './user-id.ts'

const userId = z
  .string()
  .refine(isUserId, 'use 1 to 256 printable characters without a space at either end, such as an e-mail address')
const gateways = z.union(
  [z.tuple([z.literal('*')]), z.array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)).max(100)],
  'name at most 100 gateways by their slugs, or "*" alone for all of them',
)
const role = z.enum(['user', 'admin', 'scim'])

/** An API key as it may be shown: never the key itself, nor its hash. */
export const apiKey = z.object({
  id: z.string(),
  userId: z.string().nullable().meta({ description: 'null: may name any user of its gateways.' }),
  gateways: z.array(z.string()).meta({ description: 'Slugs, or "*" for all.' }),
  role: role.meta({
    description:
      'admin: may also use the admin API, as far as its account is an admin or rules permit it. scim: opens /scim/v2 and nothing else.',
  }),
  name: z.string().nullable(),
  createdAt: z.int(),
  expiresAt: z.int().nullable(),
  revokedAt: z.int().nullable(),
  lastUsedAt: z.int().nullable().meta({ description: 'Exact to a minute.' }),
})
export type ApiKey = Readonly<z.output<typeof apiKey>>

export const createKeyRequest = z.strictObject({
  userId: userId.nullable().default(null),
  gateways: gateways.meta({ description: 'Of a key for SCIM: none.' }),
  role: role.default('user'),
  name: z.string().min(1).max(200).nullable().default(null),
  expiresAt: z.int().min(0).nullable().default(null).meta({ description: 'Milliseconds since 1970.' }),
})
export type CreateKeyRequest = z.input<typeof createKeyRequest>

/** `key` is told here once and never again. */
export const createdKey = apiKey.extend({ key: z.string() })
export type CreatedKey = Readonly<z.output<typeof createdKey>>

export const listKeysRequest = z.object({
  userId: z.string().max(256).optional(),
  cursor: z.string().max(100).optional().meta({ description: 'The `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
export type ListKeysRequest = {
  readonly userId?: string | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export const keyPage = z.object({ keys: z.array(apiKey), next: z.string().nullable() })
export type KeyPage = Readonly<z.output<typeof keyPage>>

/** Who makes a change, for the audit trail. */
export type Actor = {
  readonly userId?: string | null | undefined
  readonly keyId?: string | null | undefined
  readonly face?: string | undefined
}
