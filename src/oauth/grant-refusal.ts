import { errors } from './library.ts'

type Refusal = 'InvalidRequest' | 'InvalidGrant' | 'InvalidTarget' | 'UnauthorizedClient' | 'InvalidScope'

/** Said to the client, which has proved who it is, and to the audit trail. `detail` is for the trail alone. */
export function refuse(kind: Refusal, text: string, detail = text): Error {
  const refusal = kind === 'InvalidScope' ? new errors.InvalidScope(text, '') : new errors[kind](text)
  return Object.assign(refusal, { error_description: text, error_detail: detail })
}
