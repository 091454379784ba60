import { isJsonObject, type JsonObject } from '#kernel'
import type { CallerPort } from '../../source.ts'
import { stringAt, without } from './json.ts'

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** True when a message of `level` is wanted by someone who asked for `wanted` and worse. Unknown levels pass. */
function isWanted(level: string | undefined, wanted: string | undefined): boolean {
  if (wanted === undefined) return false
  return level === undefined || rank(level) >= rank(wanted)
}

/** The one of two levels that lets more through. */
export function moreVerbose(a: string | undefined, b: string): string {
  return a !== undefined && rank(a) <= rank(b) ? a : b
}

function rank(level: string): number {
  const at = LEVELS.indexOf(level)
  return at === -1 ? LEVELS.length : at
}

/** What a caller wants to hear, and under which token its call runs upstream. */
export type Listening = { readonly token: number | undefined; readonly logLevel: string | undefined }

/** Passes a notification of a call's own stream to its caller, less what the caller did not ask for. */
export function relayNotification(
  notification: { readonly method: string; readonly params: JsonObject },
  port: CallerPort,
  { token, logLevel }: Listening,
): void {
  const { method, params } = notification
  switch (method) {
    case 'notifications/progress':
      if (token !== undefined && params['progressToken'] === token) port.progress(without(params, 'progressToken'))
      return
    case 'notifications/message':
      if (isWanted(stringAt(params, 'level'), logLevel)) port.message(params)
      return
    case 'notifications/cancelled':
      return
    default:
      port.notify(method, params)
  }
}

/** The members of `inputRequests`, or of `-32042` data, that are requests. */
export function isRequestLike(value: unknown): value is JsonObject & { readonly method: string } {
  return isJsonObject(value) && typeof value['method'] === 'string'
}
