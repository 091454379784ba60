import * as z from 'zod'
import { defineContract } from '../contract/contract.ts'
import { NOT_READY } from '../contract/problems.ts'

const serverState = z.object({
  name: z.string(),
  state: z.enum(['starting', 'healthy', 'degraded', 'unreachable', 'needs_consent']),
  reason: z.string().meta({ description: 'In words; empty when healthy.' }),
  tools: z.int(),
  retryAt: z.int().nullable().meta({ description: 'Milliseconds since 1970: when it is tried again.' }),
})

const hookState = z.object({
  name: z.string(),
  state: z.enum(['unknown', 'healthy', 'degraded', 'unhealthy', 'unreachable']),
  reason: z.string().meta({ description: 'As it was when it was asked last; empty when healthy.' }),
})

const healthReport = z.object({
  status: z.enum(['ok', 'degraded', 'not-ready']),
  version: z.string(),
  reasons: z.array(z.string()).optional(),
  toolCount: z.int().optional(),
  transports: z.array(z.string()).optional().meta({ description: 'How MCP clients may connect.' }),
  servers: z.array(serverState).optional(),
  hooks: z.array(hookState).optional(),
  gateways: z
    .array(z.object({ slug: z.string(), auth: z.enum(['key', 'oauth', 'both', 'none']), tools: z.int() }))
    .optional(),
})
export type HealthReport = z.output<typeof healthReport>

const readyReport = z.object({
  status: z.literal('ready'),
  warnings: z.array(z.string()).optional().meta({
    description: 'What does not work although the house does, in words. For callers on the same machine and admins.',
  }),
})
export type ReadyReport = z.output<typeof readyReport>

const backupReport = z.object({
  path: z.string().meta({ description: 'A file (0600) in the data directory of the process that answered.' }),
  bytes: z.int(),
})
export type BackupReport = z.output<typeof backupReport>

export const systemContract = defineContract({
  livez: {
    method: 'GET',
    path: '/livez',
    summary: 'Is the process alive?',
    access: 'open',
    reply: z.object({ status: z.literal('alive') }),
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    summary: 'Can it serve calls?',
    description:
      'With 503 the problem holds `reasons`: storage or the audit trail cannot be written, or it still starts. A hook that is down leaves it ready, with a warning: every replica would be taken out for the calls of some tools.',
    access: 'open',
    reply: readyReport,
    errors: [NOT_READY],
  },
  health: {
    method: 'GET',
    path: '/health',
    summary: 'How it is: servers, tools and gateways',
    description: 'Callers on the same machine and admins get everything; others `status` and `version`.',
    access: 'open',
    reply: healthReport,
  },
  backup: {
    method: 'POST',
    path: '/api/v1/backup',
    summary: 'Write a consistent copy of everything stored',
    access: 'admin',
    reply: backupReport,
    status: 201,
  },
})
