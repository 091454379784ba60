import * as z from 'zod'

/** Whom a grant is for. `everyone`: whoever the gateway admits. */
const SUBJECTS = ['user', 'group', 'role', 'account', 'client', 'key', 'everyone'] as const

const pattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(tag:[^/]+|[^/]+\/.+|\*)$/, 'write it as server/tool, server/*, */name*, tag:NAME or *')
const patterns = z.array(pattern).max(100)

const gateway = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'name a gateway by its slug')
  .nullable()

const subject = z.strictObject({
  kind: z.enum(SUBJECTS),
  /** A user id, a group's name, a role …; empty for everyone. */
  id: z.string().max(256),
})
export type Subject = Readonly<z.output<typeof subject>>

const wish = {
  subject,
  gateway: gateway.meta({ description: 'null: at every gateway.' }),
  tools: patterns.meta({ description: 'As in a gateway: `server/tool*`, `tag:NAME`, `*`.' }),
  prompts: patterns.nullable().meta({ description: 'null: those of servers that `tools` picks whole.' }),
  resources: patterns.nullable().meta({ description: 'null: those of servers that `tools` picks whole.' }),
  only: z
    .enum(['read-only', 'not-destructive'])
    .nullable()
    .meta({ description: 'Only tools that say so of themselves (annotations).' }),
  note: z.string().max(1_000).nullable(),
  expiresAt: z.int().min(0).nullable().meta({ description: 'Milliseconds since 1970.' }),
}

/** Someone may use something. It never changes; another one is made and this one removed. */
export const grant = z.object({
  id: z.string(),
  ...wish,
  createdAt: z.int(),
  createdBy: z.string().nullable(),
})
export type Grant = Readonly<z.output<typeof grant>>

export const addGrantRequest = z
  .strictObject({
    ...wish,
    gateway: wish.gateway.default(null),
    tools: wish.tools.default([]),
    prompts: wish.prompts.default(null),
    resources: wish.resources.default(null),
    only: wish.only.default(null),
    note: wish.note.default(null),
    expiresAt: wish.expiresAt.default(null),
  })
  .refine(({ subject: { kind, id } }) => (kind === 'everyone') === (id === ''), 'name whom the grant is for')
  .refine(
    ({ tools, prompts, resources }) => tools.length + (prompts?.length ?? 0) + (resources?.length ?? 0) > 0,
    'name at least one pattern of tools, prompts or resources',
  )
export type AddGrantRequest = z.input<typeof addGrantRequest>

export const addedGrant = z.object({
  grant,
  effects: z.array(z.string()).meta({ description: 'What changes by it, in words.' }),
})
export type AddedGrant = Readonly<z.output<typeof addedGrant>>

export const listGrantsRequest = z.object({
  subject: z
    .string()
    .max(256)
    .optional()
    .meta({ description: 'The id of a user, group, role, account, client or key.' }),
  gateway: z.string().max(63).optional(),
  cursor: z.string().max(100).optional().meta({ description: 'The `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
export type ListGrantsRequest = z.output<typeof listGrantsRequest>

export const grantPage = z.object({ grants: z.array(grant), next: z.string().nullable() })
export type GrantPage = Readonly<z.output<typeof grantPage>>
