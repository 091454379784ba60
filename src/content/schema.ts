import * as z from 'zod'
import { DETECTOR_NAMES } from './detect/detectors.ts'
import { whyNotARule } from './why-not-a-rule.ts'

/** The `[[content_rules]]` section of gatehouse.toml; the admin API takes the same shape. */

const pattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(tag:[^/]+|[^/]+\/.+|\*)$/, 'write it as server/tool, server/*, */name* or tag:NAME')
const texts = (length: number) => z.array(z.string().min(1).max(length)).max(1_000).default([])

const keys = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use 1–63 of a–z, 0–9 and "-", starting with a letter or digit'),
  description: z.string().max(1_000).optional(),
  enabled: z.boolean().default(true),
  /** `input`: what goes to the tool. `output`: what comes back, progress, logs and questions included. */
  phase: z.enum(['input', 'output', 'both']).default('both'),
  /** Smaller numbers come first; equal ones in the order of their names. */
  order: z.int().min(0).max(1_000_000).default(100),
  /** Slugs; none: every gateway. */
  gateways: texts(63),
  /** `server/tool` patterns as in gateways; none: every tool, resource and prompt. */
  tools: z.array(pattern).max(1_000).default([]),
  /** User ids and groups; none of both: everybody. */
  users: texts(256),
  groups: texts(256),
  /** Where to look; unset: everywhere. */
  path: z.string().min(1).max(512).optional(),
  pattern: z.string().min(1).max(512).optional(),
  detect: z.array(z.enum(DETECTOR_NAMES)).max(32).default([]),
  /** Also looks into base64 inside of texts. */
  decode_base64: z.boolean().default(false),
  /** Bytes of the value at `path`, or of the whole message without one. */
  larger_than: z.int().min(0).max(1_073_741_824).optional(),
  /** URLs of these hosts (`name`, `*.name`) … */
  url_hosts: texts(253),
  /** … and with these beginnings of the path. */
  url_paths: texts(2_048),
  /** SQL that does one of these things. */
  sql_verbs: z
    .array(z.string().regex(/^[A-Za-z_]{1,32}$/, 'write one word, such as "delete"'))
    .max(1_000)
    .default([]),
  effect: z.enum(['block', 'approve', 'redact', 'replace', 'tokenise', 'truncate', 'annotate']),
  /** What stands in the place of what was found. */
  with: z.string().max(256).optional(),
  /** For `truncate`. */
  max_chars: z.int().min(0).max(10_000_000).optional(),
  /** For `annotate`: what is said. For `block` and `approve`: why, told to the caller. */
  note: z.string().min(1).max(1_000).optional(),
  /** For `tokenise`: tools that get the value back for its token; none: those of `tools`. */
  reveal_to: z.array(pattern).max(1_000).default([]),
})

export const contentRule = keys.superRefine((rule, context) => {
  for (const { key, message } of whyNotARule(rule)) context.addIssue({ code: 'custom', path: [key], message })
})
export type ContentRule = z.output<typeof contentRule>
export type ContentRuleInput = z.input<typeof contentRule>

/** Which rule, and in which form of it. */
export type RuleRef = {
  readonly name: string
  /** `crule_…`, or `file:NAME` for one of the config file. */
  readonly id: string
  /** `1`, `2`, … for a stored rule; for one of the file a short hash of what it says. */
  readonly version: string
}

export type VersionedRule = { readonly ref: RuleRef; readonly rule: ContentRule }

const ruleRef = { id: z.string(), version: z.string(), origin: z.enum(['file', 'api']) }

/** A rule as it is shown. */
export const shownRule = keys.extend(ruleRef)
export type ShownRule = z.output<typeof shownRule>

const applied = z.object({
  rule: z.string(),
  id: z.string(),
  version: z.string(),
  effect: z.string(),
  found: z.int(),
})

/** What a rule would do, for `rule test`. */
export const trialRequest = z.strictObject({
  rule: contentRule.optional().meta({ description: 'A rule that is not stored; without it, a stored one.' }),
  name: z.string().min(1).max(63).optional().meta({ description: 'A stored rule; without both, all rules together.' }),
  phase: z.enum(['input', 'output']),
  value: z.record(z.string().max(4_096), z.unknown()).meta({
    description: 'The arguments of a tool, or with `output` its whole result.',
  }),
  gateway: z.string().max(63).optional(),
  tool: z.string().max(512).optional().meta({ description: '`server/tool`; without it, rules of every tool apply.' }),
  user: z.string().max(256).optional(),
})
export type TrialRequest = z.input<typeof trialRequest>

export const trialResult = z.object({
  outcome: z.enum(['passes', 'changed', 'blocked', 'needs-approval', 'withheld']),
  by: z.string().nullable().meta({ description: 'The rule that decided.' }),
  value: z.record(z.string(), z.unknown()).nullable().meta({ description: 'What would go on.' }),
  applied: z.array(applied),
})
export type TrialResult = z.output<typeof trialResult>
