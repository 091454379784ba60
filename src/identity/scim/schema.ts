import * as z from 'zod'

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User'
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group'
export const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse'
export const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error'

const MAX_MEMBERS = 5_000
const MAX_OPERATIONS = 200

const text = (max: number) => z.string().max(max).nullable()
/** Identity providers send a truth as a word, too. */
export const truth = z.union(
  [
    z.boolean(),
    z
      .string()
      .regex(/^(true|false)$/i)
      .transform((word) => word.toLowerCase() === 'true'),
  ],
  'use true or false',
)
export const userName = z.string().min(1).max(256)
export const externalId = text(256)
export const displayName = text(200)
export const emails = z
  .array(z.object({ value: text(254).optional(), type: text(100).optional(), primary: truth.optional() }))
  .max(100)
  .nullable()
/** Of a path that names one: the address alone, or with what else is said of it. */
export const oneEmail = z.union(
  [text(254), z.object({ value: text(254) }).transform(({ value }) => value)],
  'send an address as a text',
)
export const personName = z
  .object({ formatted: text(200).optional(), givenName: text(200).optional(), familyName: text(200).optional() })
  .nullable()
export const groupDisplayName = z.string().min(1).max(200)
export const members = z
  .array(z.object({ value: z.string().min(1).max(256) }))
  .max(MAX_MEMBERS)
  .nullable()

/** A person as an identity provider sends it. What is not named here is not kept. */
export const userBody = z.object({
  userName,
  externalId: externalId.optional(),
  displayName: displayName.optional(),
  name: personName.optional(),
  emails: emails.optional(),
  active: truth.optional(),
})
export const groupBody = z.object({
  displayName: groupDisplayName,
  externalId: externalId.optional(),
  members: members.optional(),
})

export const patchBody = z.object({
  Operations: z
    .array(
      z.object({
        op: z
          .string()
          .max(10)
          .transform((op) => op.toLowerCase())
          .pipe(z.enum(['add', 'replace', 'remove'])),
        path: z.string().max(1_000).optional(),
        value: z.unknown().optional(),
      }),
    )
    .min(1)
    .max(MAX_OPERATIONS),
})
export type Operation = z.output<typeof patchBody>['Operations'][number]

export const listQuery = z.object({
  filter: z.string().optional(),
  startIndex: z.coerce.number().int().catch(1).default(1),
  count: z.coerce.number().int().catch(100).default(100),
})
export type ListQuery = z.output<typeof listQuery>

/** What a person is, as far as it is kept. */
export type UserState = {
  readonly userName: string
  readonly externalId: string | null
  readonly displayName: string | null
  readonly givenName: string | null
  readonly familyName: string | null
  readonly email: string | null
  readonly isActive: boolean
}
/** `members`: ids of accounts. */
export type GroupState = {
  readonly displayName: string
  readonly externalId: string | null
  readonly members: ReadonlySet<string>
}
