import { isIP } from 'node:net'
import * as z from 'zod'
import { isNetwork } from '#http'

/**
 * How somebody proved who they are, weakest first. `upstream`: another identity provider vouches. `token`: the secret of
 * a system account or of a client, or an API key.
 */
const FACTORS = ['password', 'upstream', 'token', 'two-factor', 'passkey'] as const
export type LoginFactor = (typeof FACTORS)[number]
export const loginFactor = z.enum(FACTORS)

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use 1 to 63 of a-z, 0-9 and "-"')
/** A name with `*` for any run of characters. */
const namePattern = z.string().min(1).max(256)
const network = z
  .string()
  .max(64)
  .refine(isNetwork, 'write an address range such as 10.0.0.0/8 or 2001:db8::/32, or one address')

/** One rule. Every condition that is given must be met; one that is left out is met by all. */
export const loginRule = z.strictObject({
  id: name,
  priority: z.int().min(0).max(1_000_000).default(100).meta({ description: 'The smallest is looked at first.' }),
  effect: z.enum(['allow', 'deny']),
  note: z.string().max(500).optional(),
  users: z.array(namePattern).max(200).optional(),
  roles: z
    .array(z.enum(['admin', 'user', 'guest']))
    .max(3)
    .optional(),
  groups: z.array(namePattern).max(200).optional(),
  accounts: z
    .array(z.enum(['person', 'system']))
    .max(2)
    .optional(),
  services: z.array(namePattern).max(200).optional().meta({
    description: 'Slugs of gateways, "account" for the pages of this house, or "client:ID" for an OAuth client.',
  }),
  service_tags: z.array(name).max(50).optional(),
  networks: z.array(network).max(200).optional(),
  factors: z.array(z.enum(FACTORS)).max(FACTORS.length).optional(),
})
export type LoginRule = Readonly<z.output<typeof loginRule>>

export const MAX_RULES = 500

/** `[login_policy]` of the config file. */
export const loginPolicyConfig = z.strictObject({
  /** What happens to a sign-in that no rule decides. */
  default: z.enum(['allow', 'deny']).default('allow'),
  /** Names for groups of services, for the condition `service_tags`. */
  service_tags: z.record(name, z.array(namePattern).max(200)).default({}),
  rules: z.array(loginRule).max(MAX_RULES).default([]),
})
export type LoginPolicyConfig = z.output<typeof loginPolicyConfig>

const shownRule = loginRule.extend({ source: z.enum(['file', 'database']) })

export const shownPolicy = z.object({
  version: z.int().meta({ description: 'Grows with each change of the rules in the database.' }),
  default: z.enum(['allow', 'deny']),
  serviceTags: z.record(z.string(), z.array(z.string())),
  rules: z.array(shownRule).meta({ description: 'In the order in which they are looked at.' }),
})
export type ShownPolicy = Readonly<z.output<typeof shownPolicy>>

export const policyVersion = z.object({
  version: z.int(),
  at: z.int(),
  by: z.string().nullable(),
  change: z.string(),
  rules: z.array(loginRule),
})
export type PolicyVersion = Readonly<z.output<typeof policyVersion>>

export const testRequest = z.strictObject({
  user: z.string().min(1).max(256),
  service: z.string().min(1).max(256),
  client: z.string().min(1).max(2_048).optional(),
  from: z
    .string()
    .max(64)
    .refine((text) => isIP(text) !== 0, 'write an IP address')
    .optional(),
  factor: z.enum(FACTORS).optional(),
})
export type TestRequest = z.output<typeof testRequest>

const verdict = z.enum(['hit', 'miss', 'unknown'])

export const decisionReply = z.object({
  effect: z.enum(['allow', 'deny']),
  winner: z.string().nullable().meta({ description: 'The deciding rule; null: the default.' }),
  reason: z.string(),
  account: z
    .enum(['active', 'inactive', 'none'])
    .meta({ description: 'Whoever has no active account signs in to nothing, whatever the rules say.' }),
  rules: z.array(
    z.object({
      id: z.string(),
      priority: z.int(),
      effect: z.enum(['allow', 'deny']),
      verdict,
      because: z.array(z.string()).meta({ description: 'Conditions that are not met, or not known to be.' }),
    }),
  ),
})
