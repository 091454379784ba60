import type { Json } from '#kernel'
import type { Seal } from '../seal.ts'
import type { CallRequest } from '../tools.ts'
import type { Attempt, Target } from './attempt.ts'

/** Task ids as callers see them: sealed with the server they live at and the account they belong to. */
const PURPOSE = 'task-id'

export function sealTaskId(seal: Seal, attempt: Attempt, target: Target, id: Json | undefined): string {
  const { userId, gateway } = attempt.request.admission
  return seal.seal(PURPOSE, {
    server: target.server.config.name,
    id: typeof id === 'string' ? id : '',
    user: userId,
    gateway,
  })
}

/** The server and its own id of a task, or null when the id is not this caller's. */
export function openTaskId(seal: Seal, taskId: string, request: CallRequest): { server: string; id: string } | null {
  const opened = seal.open(PURPOSE, taskId)
  const { userId, gateway } = request.admission
  if (!opened || opened['user'] !== userId || opened['gateway'] !== gateway) return null
  const { server, id } = opened
  return typeof server === 'string' && typeof id === 'string' ? { server, id } : null
}
