import type { ServerMessage } from '../link.ts'
import type { WireMessage } from '../wire/message.ts'

/** A server's request or notification as links hand it up; undefined for responses. */
export function toServerMessage(message: WireMessage): ServerMessage | undefined {
  switch (message.kind) {
    case 'request':
      return { id: message.id, method: message.method, params: message.params }
    case 'notification':
      return { method: message.method, params: message.params }
    case 'result':
    case 'error':
      return undefined
  }
}
