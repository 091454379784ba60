import * as z from 'zod'

const MAX_CHARS = 1_000_000

const text = z.string().max(MAX_CHARS).meta({ description: 'Policies of Cedar.' })
const note = z.string().max(1_000).nullable()

const finding = z.object({
  level: z.enum(['error', 'warning']),
  source: z.string(),
  line: z.int(),
  message: z.string(),
})

const ruleSummary = z.object({
  id: z.string(),
  effect: z.enum(['permit', 'forbid']),
  note: z.string().nullable(),
})

export const checkRequest = z.strictObject({
  name: z.string().min(1).max(256).default('policy'),
  text,
})

export const checkReply = z.object({
  ok: z.boolean(),
  rules: z.array(ruleSummary),
  findings: z.array(finding),
})
export type CheckReply = z.output<typeof checkReply>

export const putRequest = z.strictObject({ text, note: note.default(null) })
export type PutRequest = z.input<typeof putRequest>

export const versionInfo = z.object({
  version: z.int(),
  note,
  createdAt: z.int(),
  createdBy: z.string().nullable(),
})
export type VersionInfo = Readonly<z.output<typeof versionInfo>>

export const versionText = versionInfo.extend({ text: z.string() })
export type VersionText = Readonly<z.output<typeof versionText>>

const versionOrNone = z.int().min(1).nullable()
export const chooseRequest = z.strictObject({ version: versionOrNone.meta({ description: 'null: none.' }) })

export const policyState = z.object({
  active: versionOrNone,
  shadow: versionOrNone,
  label: z.string().meta({ description: 'What audit records name as `policyVersion` now.' }),
  files: z.array(z.string()),
  rules: z.array(ruleSummary).meta({ description: 'All that are in force, of the files and the active version.' }),
  versions: z.array(versionInfo),
})
export type PolicyState = Readonly<z.output<typeof policyState>>
