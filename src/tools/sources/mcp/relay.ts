import { isJsonObject, type JsonObject } from '#kernel'
import { isGraveEnough } from '../../log-level.ts'
import type { CallerPort } from '../../source.ts'
import { without } from './json.ts'

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
      if (logLevel !== undefined && isGraveEnough(params['level'], logLevel)) port.message(params)
      return
    case 'notifications/cancelled':
    // Names the server's own id of the task: whoever follows it is told by `followTask`.
    case 'notifications/tasks':
    case 'notifications/tasks/status':
      return
    default:
      port.notify(method, params)
  }
}

/** The members of `inputRequests`, or of `-32042` data, that are requests. */
export function isRequestLike(value: unknown): value is JsonObject & { readonly method: string } {
  return isJsonObject(value) && typeof value['method'] === 'string'
}
