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
  askHooks: z.boolean().default(false).meta({
    description:
      'Ask the hooks as well, marked as a question: `/access`, and with `args` also `/pre`. What they say counts in `effect`.',
  }),
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
    description:
      'What wants a person to approve the call first: a rule, a content rule (`content:NAME`) or the gateway.',
  }),
  content: z
    .array(z.object({ rule: z.string(), effect: z.string(), found: z.int() }))
    .meta({ description: 'Content rules that find something in these arguments.' }),
  near: z
    .array(z.object({ id: z.string(), words: z.string() }))
    .meta({ description: 'Grants that do not do it, and why.' }),
  depends: z.array(z.string()).meta({ description: 'Rules whose answer hangs on arguments, time or network.' }),
  advice: z.array(z.string()).meta({ description: 'What would have to change.' }),
  policyVersion: z.string(),
})
export type Explanation = Readonly<z.output<typeof explanation>>

const hookSaid = z.object({
  point: z.enum(['access', 'pre']),
  outcome: z.enum(['agreed', 'changed', 'denied', 'failed', 'resting']),
  words: z.string().meta({ description: 'Why; empty where it agreed.' }),
})

/** With the hooks that a call would be put to as well. */
export const explanationWithHooks = explanation.extend({
  hooks: z
    .array(
      z.object({
        name: z.string(),
        points: z.array(z.enum(HOOK_POINTS)),
        failure: z.enum(['closed', 'open']),
        said: z.array(hookSaid).meta({ description: 'What it said to the question; empty where it was not asked.' }),
      }),
    )
    .meta({ description: 'Hooks that a call of this would be put to as well; what was not asked may still say no.' }),
})
export type ExplanationWithHooks = Readonly<z.output<typeof explanationWithHooks>>

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
  covers: z.int().meta({ description: 'Tools, prompts and resources it lets use now.' }),
  used: z
    .object({ tools: z.array(z.string()), prompts: z.array(z.string()), resources: z.array(z.string()) })
    .meta({ description: 'What was used by it, as `server/name`.' }),
  isYoung: z.boolean().meta({ description: 'Made within these days, so there was less time to use it.' }),
})
export const usageReply = z.object({ since: z.int(), records: z.int(), complete: z.boolean(), grants: z.array(usage) })
export type UsageReply = Readonly<z.output<typeof usageReply>>
