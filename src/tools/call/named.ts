import { isJsonObject, type JsonObject } from '#kernel'
import type { CallMethod } from '../source.ts'
import type { Target } from './attempt.ts'

/** What a request names: a tool, a prompt, an address, a task, or what it wants completed. */
export function nameIn({ name, uri, taskId, ref }: JsonObject): string | null {
  const named = name ?? uri ?? taskId ?? (isJsonObject(ref) ? (ref['name'] ?? ref['uri']) : null)
  return typeof named === 'string' ? named : null
}

/** Whether the name may be an address, which can hold what the caller likes and yet be that of something. */
export function isNamedByAddress(method: CallMethod): boolean {
  return method === 'resources/read' || method === 'completion/complete'
}

/** What the server lists that was meant: its own words, not the caller's. */
export function listedNameOf({ things }: Pick<Target, 'things'>): string {
  return things.find(({ key }) => key !== null)?.name ?? '[redacted]'
}
