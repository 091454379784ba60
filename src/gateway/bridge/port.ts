import { isGraveEnough, type CallerPort } from '#tools'
import type { Answer } from '../answer.ts'
import { notificationMessage } from '../write.ts'

export type PortOptions = {
  readonly progressToken: string | number | undefined
  /** Absent: the client wants no log messages. */
  readonly logLevel: string | undefined
  readonly era: 'legacy' | 'modern'
}

/** Notifications that have a stream of their own, or no meaning any more, in the modern era. */
const NOT_ON_MODERN_CALLS: ReadonlySet<string> = new Set([
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
  'notifications/elicitation/complete',
])

/** What a source says while a call runs, onto that call's own response. */
export function callPort(answer: Answer, options: PortOptions): CallerPort {
  const { progressToken, logLevel, era } = options
  return {
    progress(params) {
      if (progressToken === undefined) return
      answer.say(notificationMessage('notifications/progress', { ...params, progressToken }), 'droppable')
    },
    message(params) {
      if (logLevel === undefined || !isGraveEnough(params.level, logLevel)) return
      answer.say(notificationMessage('notifications/message', params), 'droppable')
    },
    notify(method, params) {
      if (era === 'modern' && NOT_ON_MODERN_CALLS.has(method)) return
      answer.say(notificationMessage(method, params), 'droppable')
    },
  }
}
