/**
 * A person decides a call that waits. A content rule, a gateway or a rule in Cedar asks for it; the call is stored with its arguments
 * sealed, bound to exactly these arguments, this user, tool, gateway and server, and ends after a while unanswered.
 *
 * Whoever may answer does so once: the first answer wins on all replicas (`store.ts` compares and sets). An approved call
 * runs once: making it uses the approval up, in the same way. `may-answer.ts` says who may; a service
 * outside is told by `notify.ts` and answers by `webhook-answer.ts`. Where the call waits, and how its caller is asked,
 * is in `tools/call/approve.ts`; the page for people is in `signin`.
 */
export { createApprovals, type Approvals, type Ticket } from './service.ts'
export { approvalsConfig, type ShownApproval } from './schema.ts'
export { readableArguments } from './readable.ts'
export { APPROVALS_MIGRATIONS } from './migrations.ts'
export { APPROVAL_DENIED, APPROVAL_EXPIRED, APPROVAL_PENDING } from './problems.ts'
export { approvalsContract } from './contract.ts'
export { approvalsRoutes } from './routes.ts'
