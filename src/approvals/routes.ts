import type { AdminCaller, Handlers } from '#http'
import type { approvalsContract } from './contract.ts'
import type { Answerer, Approvals } from './service.ts'

/** Answers the operations of `approvalsContract`. */
export function approvalsRoutes(approvals: Approvals): Handlers<typeof approvalsContract> {
  return {
    listApprovals: ({ query }) => approvals.list(query),
    getApproval: ({ params }) => approvals.show(params.id),
    answerApproval: ({ params, body }, { caller }) => approvals.answer(params.id, body.answer, answererOf(caller)),
    linkApproval: async ({ params }, { caller }) => ({
      link: await approvals.makeLink(params.id, answererOf(caller)),
    }),
  }
}

function answererOf({ userId, keyId, face }: AdminCaller): Answerer {
  return { userId, keyId, via: face }
}
