import * as z from 'zod'

/** `[approvals]` of gatehouse.toml. */
export const approvalsConfig = z.strictObject({
  /** Who may answer: also the caller, in their client; or others only. */
  who: z.enum(['caller', 'approvers']).default('approvers'),
  /** Members of these groups may answer, besides admins. */
  groups: z.array(z.string().min(1).max(256)).max(100).default([]),
  /** Unanswered, it ends after this; answered, it can be used until then. */
  expires_ms: z.int().min(1_000).max(604_800_000).default(900_000),
  /** So long a call waits for its answer before it ends as pending. */
  wait_ms: z.int().min(0).max(600_000).default(60_000),
  /** Told of each new one; its service may answer. */
  webhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }).max(2048),
      /** Signs what is told and what is answered; may be `${env:…}` or `${file:…}`. */
      signing_secret: z.string().min(16, 'use at least 16 characters').max(4096),
    })
    .optional(),
})
export type ApprovalsConfig = Readonly<z.output<typeof approvalsConfig>>

export const STATES = ['pending', 'approved', 'denied', 'expired', 'used'] as const
/** By which way it was answered. */
const WAYS = ['client', 'page', 'link', 'cli', 'rest', 'webhook'] as const
export type Way = (typeof WAYS)[number]

/** An approval as those may see it who can answer it. */
export const shownApproval = z
  .object({
    id: z.string(),
    state: z.enum(STATES),
    userId: z.string().meta({ description: 'For whom the call is made.' }),
    gateway: z.string(),
    server: z.string(),
    tool: z.string().meta({ description: "The server's own name." }),
    rule: z.string().meta({ description: 'What asked for it.' }),
    note: z.string().nullable(),
    createdAt: z.int(),
    expiresAt: z.int(),
    answeredAt: z.int().nullable(),
    answeredBy: z.string().nullable(),
    answeredVia: z.enum(WAYS).nullable(),
    usedAt: z.int().nullable(),
  })
  .meta({ id: 'Approval' })
export type ShownApproval = z.output<typeof shownApproval>

export const fullApproval = shownApproval
  .extend({ arguments: z.unknown().meta({ description: 'As the tool will get them; tokens stay tokens.' }) })
  .meta({ id: 'ApprovalWithArguments' })

export const answer = z.enum(['approve', 'deny'])
export type Answer = z.output<typeof answer>
