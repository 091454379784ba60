import * as z from 'zod'
import { isUserId } from '../user-id.ts'

const userId = z
  .string()
  .max(256)
  .refine(isUserId, 'use 1 to 256 printable characters without a space at either end, such as an e-mail address')
const role = z.enum(['admin', 'user', 'guest'])
const name = z.string().min(1).max(200).nullable()
const email = z.email().max(254).nullable()
/** Of accounts that are written here, or by a SCIM client. */
export const accountSource = z
  .string()
  .regex(/^(local|scim:.{1,200})$/, 'use "local", or "scim:" and the name of the key')
export const groupName = z.string().max(200).refine(isUserId, 'use 1 to 200 printable characters')

/** An account as it may be shown. */
export const account = z
  .object({
    id: z.string(),
    userId: z.string(),
    kind: z.enum(['person', 'system']),
    role: role.nullable().meta({ description: 'null: a system account, which policy alone authorizes.' }),
    name: z.string().nullable(),
    email: z.string().nullable(),
    groups: z.array(z.string()),
    source: z.string().meta({ description: '`local`, `scim`, or the name of the upstream source it came from.' }),
    isActive: z.boolean(),
    createdAt: z.int(),
    changedAt: z.int(),
  })
  .meta({ id: 'Account' })
export type Account = Readonly<z.output<typeof account>>

export const createAccountRequest = z.strictObject({
  userId,
  kind: z.enum(['person', 'system']).default('person'),
  role: role.nullable().optional().meta({ description: 'Of a person; `user` when absent.' }),
  name: name.default(null),
  email: email.default(null),
  isActive: z.boolean().default(true),
})
export type CreateAccountRequest = z.input<typeof createAccountRequest>

export const updateAccountRequest = z.strictObject({
  role: role.optional(),
  name: name.optional(),
  email: email.optional(),
  isActive: z.boolean().optional(),
})
export type UpdateAccountRequest = z.input<typeof updateAccountRequest>

export const listAccountsRequest = z.object({
  cursor: z.string().max(100).optional().meta({ description: 'The `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
export type ListAccountsRequest = { readonly cursor?: string | undefined; readonly limit?: number | undefined }

export const accountPage = z.object({ accounts: z.array(account), next: z.string().nullable() })
export type AccountPage = Readonly<z.output<typeof accountPage>>

export const group = z
  .object({ name: z.string(), source: z.string(), members: z.int(), createdAt: z.int() })
  .meta({ id: 'Group' })
export type Group = Readonly<z.output<typeof group>>
