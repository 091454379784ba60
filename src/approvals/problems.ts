import type { ProblemKind } from '#kernel'

/** Nobody has answered yet; the call was not made. */
export const APPROVAL_PENDING = {
  code: 'approvals/pending',
  status: 409,
  title: 'This call waits for an approval',
} as const satisfies ProblemKind
export const APPROVAL_DENIED = {
  code: 'approvals/denied',
  status: 403,
  title: 'This call was not approved',
} as const satisfies ProblemKind
export const APPROVAL_EXPIRED = {
  code: 'approvals/expired',
  status: 410,
  title: 'Nobody approved this call in time',
} as const satisfies ProblemKind
export const NO_SUCH_APPROVAL = {
  code: 'approvals/not-found',
  status: 404,
  title: 'There is no such approval',
} as const satisfies ProblemKind
/** Somebody was faster, or it is too late. */
export const ALREADY_ANSWERED = {
  code: 'approvals/already-answered',
  status: 409,
  title: 'This was answered already',
} as const satisfies ProblemKind
export const NOT_AN_APPROVER = {
  code: 'approvals/not-an-approver',
  status: 403,
  title: 'Somebody else has to approve this',
} as const satisfies ProblemKind
export const BAD_WEBHOOK_ANSWER = {
  code: 'approvals/bad-webhook-answer',
  status: 401,
  title: 'This answer is not from the webhook',
} as const satisfies ProblemKind
export const TOO_MANY_PENDING = {
  code: 'approvals/too-many-pending',
  status: 429,
  title: 'Too many calls wait for an approval',
} as const satisfies ProblemKind
export const TOO_LARGE = {
  code: 'approvals/too-large',
  status: 413,
  title: 'The arguments are too large to be approved',
} as const satisfies ProblemKind
