import * as z from 'zod'
import { defineContract } from '#http'
import { NO_SUCH_SOURCE } from './problems.ts'

const sourceName = z.strictObject({ name: z.string().min(1).max(40) })

const shownSource = z.object({
  name: z.string(),
  title: z.string(),
  kind: z.string(),
  issuer: z.string(),
  enabled: z.boolean(),
  redirectUri: z.string().meta({ description: 'To be registered at the provider.' }),
})

export const signInContract = defineContract({
  listIdentitySources: {
    method: 'GET',
    path: '/api/v1/identity-sources',
    summary: 'The identity providers whose word is taken',
    access: 'admin',
    reply: z.object({ sources: z.array(shownSource) }),
  },
  previewIdentity: {
    method: 'POST',
    path: '/api/v1/identity-sources/{name}/preview',
    summary: 'Who somebody with these claims would be',
    description: 'Nothing is checked and nothing changes; it also works for a source that is switched off.',
    access: 'admin',
    params: sourceName,
    body: z.strictObject({ claims: z.record(z.string().max(200), z.json()) }),
    reply: z.object({
      outcome: z.enum(['known', 'must-link', 'created', 'refused']),
      userId: z.string().nullable(),
      reason: z.string().nullable(),
      subject: z.string().nullable(),
      name: z.string().nullable(),
      groups: z.array(z.string()),
    }),
    errors: [NO_SUCH_SOURCE],
  },
})
