import type { Handlers } from '#http'
import type { auditContract } from './contract.ts'
import type { Audit } from './service.ts'

/** Answers the operations of `auditContract`. */
export function auditRoutes(audit: Audit): Handlers<typeof auditContract> {
  return {
    searchAudit: ({ query: { cursor, limit, ...filter } }) => audit.search(filter, { cursor, limit }),
    showAuditRecord: ({ params }) => audit.show(params),
    readAuditPayload: ({ params }, { caller }) => audit.readPayload(caller, params),
    exportAudit: ({ query }, { caller }) => audit.export(caller, query),
    listAuditKeys: async () => ({ keys: await audit.publicKeys() }),
    followAudit: ({ query }, { signal }) => audit.follow({ filter: query, signal }),
    verifyAudit: ({ query }) => audit.verify(query),
  }
}
