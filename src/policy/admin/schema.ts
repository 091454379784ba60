import * as z from 'zod'

const said = z.array(z.object({ id: z.string(), words: z.string() }))
const effect = z.enum(['allow', 'deny', 'depends'])
const rules = z.array(z.string())

export const explainAdminRequest = z.strictObject({
  user: z.string().min(1).max(256),
  module: z.string().min(1).max(64).meta({ description: 'What follows `admin:` in the name of the action.' }),
  operation: z.string().min(1).max(64).optional().meta({ description: 'Only this one.' }),
  writes: z.boolean().optional().meta({ description: 'Only those that change something, or that do not.' }),
  gateway: z.string().min(1).max(63).optional().meta({ description: 'As far as they are about this gateway.' }),
  server: z.string().min(1).max(40).optional().meta({ description: 'As far as they are about this server.' }),
})
export type ExplainAdminRequest = z.input<typeof explainAdminRequest>

export const adminExplanation = z.object({
  user: z.string(),
  groups: z.array(z.string()),
  isAdmin: z.boolean(),
  module: z.string(),
  summary: z.string(),
  operations: z.array(z.object({ operation: z.string(), writes: z.boolean(), effect, rules })).meta({
    description: '`depends`: on the time, or on the address it comes from.',
  }),
  deciding: said,
  near: said.meta({ description: 'Rules that permit something of this module, but nothing of this to them.' }),
  warnings: z.array(z.string()).meta({ description: 'What they could give themselves by it.' }),
  advice: z.array(z.string()).meta({ description: 'What would have to change.' }),
  policyVersion: z.string(),
})
export type AdminExplanation = Readonly<z.output<typeof adminExplanation>>

export const adminHolders = z.object({
  holders: z.array(
    z.object({
      user: z.string(),
      kind: z.enum(['person', 'system']),
      modules: z.array(
        z.object({
          module: z.string(),
          mayRead: effect,
          mayWrite: effect,
          escalation: z.string().nullable().meta({ description: 'What they could give themselves by it.' }),
        }),
      ),
      rules: rules.meta({ description: 'Rules that permit it.' }),
    }),
  ),
  complete: z.boolean(),
  policyVersion: z.string(),
})
export type AdminHolders = Readonly<z.output<typeof adminHolders>>
