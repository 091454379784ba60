import type { Ticket } from '#approvals'
import { isJsonObject, type JsonObject } from '#kernel'
import type { AskRequest } from '../source.ts'
import type { Attempt } from './attempt.ts'
import type { CallDeps } from './deps.ts'

/** The question with which a caller who may decide is asked, in their own client, and what they said to it. */
export const QUESTION = 'approval'

/** `put-away`: they closed it without an answer. */
export type Said = 'approve' | 'deny' | 'put-away'

export function questionOf({ server, tool, note }: Ticket['approval']): AskRequest {
  const message = `Allow the call of "${tool}" at "${server}" with exactly the arguments that were sent?${note ? ` ${note}` : ''}`
  const decision = { type: 'string', title: 'Decision', enum: ['approve', 'deny'] }
  const requestedSchema = { type: 'object', properties: { decision }, required: ['decision'] }
  return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } }
}

/** Null where there is no answer. Whatever is not clearly a yes is none. */
export function readSaid(answers: JsonObject | undefined): Said | null {
  const answer = answers?.[QUESTION]
  if (!isJsonObject(answer)) return null
  const action: unknown = answer['action']
  switch (action) {
    case 'accept': {
      const content = isJsonObject(answer['content']) ? answer['content'] : {}
      return content['decision'] === 'approve' ? 'approve' : 'deny'
    }
    case 'decline':
      return 'deny'
    case 'cancel':
      return 'put-away'
    default:
      return null
  }
}

export function takesForms({ request }: Attempt): boolean {
  const { elicitation } = request.session.clientCapabilities
  if (!isJsonObject(elicitation)) return false
  // 2025-11-25: a bare `elicitation: {}` means forms.
  return isJsonObject(elicitation['form']) || elicitation['url'] === undefined
}

/** Answers as the caller. Somebody who was faster is right. */
export async function answerAsCaller(
  { approvals, log }: Pick<CallDeps, 'approvals' | 'log'>,
  attempt: Attempt,
  { id, said }: { id: string; said: 'approve' | 'deny' },
): Promise<void> {
  const { userId, keyId } = attempt.request.admission
  await approvals.answer(id, said, { userId, keyId, via: 'client' }).catch((error: unknown) => {
    log.info({ err: error, approval: id }, 'an answer of a caller came too late')
  })
}
