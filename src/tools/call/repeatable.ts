import { isJsonObject } from '#kernel'
import type { CallMethod } from '../source.ts'
import type { Target } from './attempt.ts'

/** True when making the call twice does no more than making it once: reads, and tools that say so of themselves. */
export function isHarmlessToRepeat(method: CallMethod, target: Target): boolean {
  switch (method) {
    case 'resources/read':
    case 'prompts/get':
    case 'completion/complete':
    case 'tasks/get':
      return true
    case 'tasks/update':
    case 'tasks/cancel':
      return false
    case 'tools/call': {
      const annotations = target.binding?.definition['annotations']
      return (
        isJsonObject(annotations) && (annotations['readOnlyHint'] === true || annotations['idempotentHint'] === true)
      )
    }
  }
}
