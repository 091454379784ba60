import * as z from 'zod'
import { defineContract } from '#http'
import { HOOK_IN_FILE, NO_SUCH_HOOK, TOO_MANY_HOOKS } from './problems.ts'
import { HOOK_POINTS, hookConfig } from './schema.ts'

/** A hook as it may be shown: without its token and its secret. */
const shownHook = z
  .object({
    name: z.string(),
    url: z.string(),
    points: z.array(z.enum(HOOK_POINTS)),
    phase: z.enum(['before', 'after']),
    priority: z.int(),
    failure: z.enum(['closed', 'open']),
    timeoutMs: z.int(),
    gateways: z.array(z.string()),
    tools: z.array(z.string()),
    origin: z.enum(['file', 'api']),
    isSigned: z.boolean(),
    state: z.enum(['unknown', 'healthy', 'degraded', 'unhealthy', 'unreachable']),
    reason: z.string().meta({ description: 'In words; empty when healthy.' }),
  })
  .meta({ id: 'Hook' })
export type ShownHook = z.output<typeof shownHook>

const name = z.strictObject({ name: z.string().min(1).max(63) })
const hooks = z.object({ hooks: z.array(shownHook) })

export const hooksContract = defineContract({
  listHooks: {
    method: 'GET',
    path: '/api/v1/hooks',
    summary: 'All hooks, in the order in which they are asked',
    access: 'admin',
    reply: hooks,
  },
  addHook: {
    method: 'POST',
    path: '/api/v1/hooks',
    summary: 'Add a hook, or put it in the place of the one with its name',
    description: 'It is reached through the guarded way out: inside addresses only where `allow_addresses` names them.',
    access: 'admin',
    body: hookConfig.meta({ id: 'HookConfig' }),
    reply: shownHook,
    status: 201,
    errors: [HOOK_IN_FILE, TOO_MANY_HOOKS],
  },
  checkHooks: {
    method: 'POST',
    path: '/api/v1/hooks/check',
    summary: 'Ask hooks how they are',
    access: 'admin',
    body: z.strictObject({ name: z.string().min(1).max(63).optional() }),
    reply: hooks,
    errors: [NO_SUCH_HOOK],
  },
  removeHook: {
    method: 'DELETE',
    path: '/api/v1/hooks/{name}',
    summary: 'Take a hook away',
    access: 'admin',
    params: name,
    errors: [NO_SUCH_HOOK, HOOK_IN_FILE],
  },
})
