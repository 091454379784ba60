import * as z from 'zod'
import { defineContract } from '#http'
import { ALREADY_ANSWERED, NO_SUCH_APPROVAL, NOT_AN_APPROVER } from './problems.ts'
import { answer, fullApproval, shownApproval, STATES } from './schema.ts'

const id = z.strictObject({ id: z.string().min(1).max(64) })

export const approvalsContract = defineContract({
  listApprovals: {
    method: 'GET',
    path: '/api/v1/approvals',
    summary: 'Approvals, newest first',
    access: 'admin',
    query: z.strictObject({
      state: z.enum(STATES).optional(),
      cursor: z.string().max(64).optional(),
      limit: z.coerce.number().int().min(1).max(1_000).default(100),
    }),
    reply: z.object({ approvals: z.array(shownApproval), next: z.string().nullable() }),
  },
  getApproval: {
    method: 'GET',
    path: '/api/v1/approvals/{id}',
    summary: 'One approval, with the arguments of its call',
    access: 'admin',
    params: id,
    reply: fullApproval,
    errors: [NO_SUCH_APPROVAL],
  },
  answerApproval: {
    method: 'POST',
    path: '/api/v1/approvals/{id}/answer',
    summary: 'Approve or deny a call that waits; the first answer wins',
    access: 'admin',
    params: id,
    body: z.strictObject({ answer }),
    reply: shownApproval,
    errors: [NO_SUCH_APPROVAL, ALREADY_ANSWERED, NOT_AN_APPROVER],
  },
  linkApproval: {
    method: 'POST',
    path: '/api/v1/approvals/{id}/link',
    summary: 'Make a link with which somebody without an account answers it, once',
    access: 'admin',
    params: id,
    reply: z.object({ link: z.string() }),
    status: 201,
    errors: [NO_SUCH_APPROVAL, ALREADY_ANSWERED, NOT_AN_APPROVER],
  },
})
