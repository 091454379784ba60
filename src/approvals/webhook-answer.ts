import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { Problem, type Clock } from '#kernel'
import { BAD_WEBHOOK_ANSWER } from './problems.ts'
import { answer, type Answer, type ApprovalsConfig } from './schema.ts'

/** So far may the clock of whoever answers be off, and so long can an answer be on its way. */
const MAX_AGE_SECONDS = 300

/** `by`: who decided there, as the webhook's service calls them. */
const webhookAnswer = z.strictObject({
  id: z.string().min(1).max(64),
  answer,
  by: z
    .string()
    .max(240)
    .regex(/^[^\p{C}]+$/u),
})

export type SignedAnswer = { readonly signature: string; readonly body: string }

/**
 * What a webhook's service decided, signed with the secret that we sign with when we tell it: `t=SECONDS,v1=HEX`, an
 * HMAC-SHA256 over the time, a dot and the body. Throws `approvals/bad-webhook-answer`. The id is part of what is
 * signed and the first answer counts, so that one which was overheard changes nothing.
 */
export function readSignedAnswer(
  { signature, body }: SignedAnswer,
  { webhook, clock }: { webhook: ApprovalsConfig['webhook']; clock: Clock },
): { id: string; answer: Answer; by: string } {
  if (webhook === undefined) throw refuse('no webhook is configured in [approvals], so nobody may answer by one')
  const [, seconds = '', mac = ''] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature) ?? []
  const wanted = createHmac('sha256', webhook.signing_secret).update(`${seconds}.${body}`).digest()
  if (mac === '' || !timingSafeEqual(wanted, Buffer.from(mac, 'hex')))
    throw refuse('the header gatehouse-signature is not there, or not right')
  if (Math.abs(clock.now() / 1_000 - Number(seconds)) > MAX_AGE_SECONDS)
    throw refuse('the signature is more than five minutes old, or from the future')
  const parsed = webhookAnswer.safeParse(jsonOf(body))
  if (!parsed.success)
    throw refuse(
      'the body must be {"id": …, "answer": "approve" or "deny", "by": who decided, in printable characters}',
    )
  return parsed.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function refuse(why: string): Problem {
  return new Problem(BAD_WEBHOOK_ANSWER, `This answer does not count: ${why}.`)
}
