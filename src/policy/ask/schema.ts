import * as z from 'zod'
import { grant } from '../grants/schema.ts'
import { HOOK_POINTS } from '../hooks/schema.ts'

const kind = z.enum(['tool', 'prompt', 'resource'])

export const explainRequest = z.strictObject({
  user: z.string().min(1).max(256),
  gateway: z.string().min(1).max(63),
  kind: kind.default('tool'),
  name: z.string().min(1).max(8_192).meta({ description: 'As the gateway shows it, or `server/name`.' }),
  args: z
    .record(z.string().max(1_024), z.json())
    .optional()
    .meta({ description: 'Without: whether a call could be allowed with any arguments.' }),
})
export type ExplainRequest = z.input<typeof explainRequest>

const explanation = z.object({
  user: z.string(),
  groups: z.array(z.string()),
  gateway: z.string(),
  access: z.enum(['all', 'grants']),
  thing: z.object({ kind, server: z.string(), name: z.string() }),
  effect: z.enum(['allow', 'deny']),
  summary: z.string(),
  deciding: z.array(z.object({ id: z.string(), words: z.string() })),
  approval: z.object({ id: z.string(), words: z.string() }).nullable().meta({
    description: 'The rule that wants a person to approve the call first.',
  }),
  near: z
    .array(z.object({ id: z.string(), words: z.string() }))
    .meta({ description: 'Grants that do not do it, and why.' }),
  depends: z.array(z.string()).meta({ description: 'Rules whose answer hangs on arguments, time or network.' }),
  advice: z.array(z.string()).meta({ description: 'What would have to change.' }),
  policyVersion: z.string(),
})
export type Explanation = Readonly<z.output<typeof explanation>>

/** With the hooks that a call would be put to as well; what they say is not asked. */
export const explanationWithHooks = explanation.extend({
  hooks: z
    .array(z.object({ name: z.string(), points: z.array(z.enum(HOOK_POINTS)), failure: z.enum(['closed', 'open']) }))
    .meta({ description: 'Hooks that a call of this would be put to as well; they may still say no.' }),
})

export const replayRequest = z.strictObject({
  since: z.int().min(0).meta({ description: 'Milliseconds since 1970.' }),
  text: z
    .string()
    .max(1_000_000)
    .nullable()
    .default(null)
    .meta({ description: 'Policies in the place of the version in force; null: as everything is now.' }),
  records: z.int().min(1).max(1_000_000).default(200_000).meta({ description: 'At most so many, the newest.' }),
})
export type ReplayRequest = z.input<typeof replayRequest>

const change = z.object({
  user: z.string(),
  gateway: z.string(),
  server: z.string(),
  tool: z.string(),
  what: z.string(),
  before: z.enum(['allow', 'deny']),
  after: z.enum(['allow', 'deny', 'depends']),
  calls: z.int(),
  first: z.int(),
  last: z.int(),
  example: z.string().meta({ description: 'The newest of these records: `chain/seq`.' }),
})
export type Change = z.output<typeof change>

export const replayReply = z.object({
  records: z.int().meta({ description: 'Calls that were looked at.' }),
  changed: z.int().meta({ description: 'Of these, calls whose outcome would be another one.' }),
  unknown: z.int().meta({ description: 'Calls of what the gateway shows no more.' }),
  depends: z
    .int()
    .meta({ description: 'Calls whose outcome hangs on what the trail does not keep: arguments, addresses.' }),
  hooks: z.int().meta({ description: 'Calls that a hook decided; they are left as they were recorded.' }),
  complete: z.boolean(),
  changes: z.array(change).meta({ description: 'By user and tool, most calls first.' }),
})
export type ReplayReply = Readonly<z.output<typeof replayReply>>

export const usageRequest = z.strictObject({
  days: z.coerce.number().int().min(1).max(3_650).default(30),
})

const usage = z.object({
  grant,
  verdict: z.enum(['unused', 'wide', 'used']),
  calls: z.int(),
  lastUsedAt: z.int().nullable(),
  covers: z.int().meta({ description: 'Tools it lets use now.' }),
  used: z.array(z.string()).meta({ description: 'Tools that were called by it: `server/tool`.' }),
  isYoung: z.boolean().meta({ description: 'Made within these days, so there was less time to use it.' }),
})
export const usageReply = z.object({ since: z.int(), records: z.int(), complete: z.boolean(), grants: z.array(usage) })
export type UsageReply = Readonly<z.output<typeof usageReply>>
