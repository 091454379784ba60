import { Problem, type Json } from '#kernel'
import { BROKEN_REPLY } from '../problems.ts'
import type { Seal } from '../seal.ts'
import type { CallRequest } from '../tools.ts'
import type { Attempt, Target } from './attempt.ts'
import type { OpenedTask } from './resolve.ts'

/** Task ids as callers see them: sealed with the server they live at and the account they belong to. */
const PURPOSE = 'task-id'
const MAX_ID_CHARS = 1_024

/** The id that the caller gets. Refuses a server's that is no text, or a very long one. */
export function sealTaskId(seal: Seal, attempt: Attempt, target: Target, id: Json | undefined): string {
  const { userId, gateway } = attempt.request.admission
  const server = target.server.config.name
  // Callers keep ids and send them back, as headers too.
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_CHARS) {
    throw new Problem(BROKEN_REPLY, `server "${server}" made a task without an id that can be used`)
  }
  return seal.seal(PURPOSE, {
    server,
    id,
    user: userId,
    gateway,
    tool: target.tool ?? target.original,
  })
}

const HELD_PURPOSE = 'held-call'

/** The id of a call that waits here for its approval. */
export function sealHeldId(seal: Seal, attempt: Attempt, target: Target, id: string): string {
  const { userId, gateway } = attempt.request.admission
  const server = target.server.config.name
  return seal.seal(HELD_PURPOSE, { server, id, user: userId, gateway, tool: target.tool ?? target.original })
}

/** The server and its own id of a task, or null when the id is not this caller's. */
export function openTaskId(seal: Seal, taskId: string, request: CallRequest): OpenedTask | null {
  const held = seal.open(HELD_PURPOSE, taskId)
  const opened = held ?? seal.open(PURPOSE, taskId)
  const { userId, gateway } = request.admission
  if (!opened || opened['user'] !== userId || opened['gateway'] !== gateway) return null
  const { server, id, tool } = opened
  if (typeof server !== 'string' || typeof id !== 'string') return null
  return { server, id, isHeld: held !== null, ...(typeof tool === 'string' ? { tool } : {}) }
}
