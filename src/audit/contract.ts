import * as z from 'zod'
import { defineContract } from '#http'
import { BAD_CURSOR } from './problems.ts'
import { auditFilter, auditPage, auditPageRequest, auditRecord, auditVerdict } from './schema.ts'

export const auditContract = defineContract({
  searchAudit: {
    method: 'GET',
    path: '/api/v1/audit',
    summary: 'Records of the audit trail, newest first',
    access: 'admin',
    query: z.strictObject({ ...auditFilter.shape, ...auditPageRequest.shape }),
    reply: auditPage,
    errors: [BAD_CURSOR],
  },
  followAudit: {
    method: 'GET',
    path: '/api/v1/audit/follow',
    summary: 'Records as they are written, from now on',
    access: 'admin',
    query: auditFilter.strict(),
    reply: auditRecord.meta({ id: 'AuditRecord' }),
    stream: 'ndjson',
  },
  verifyAudit: {
    method: 'GET',
    path: '/api/v1/audit/verify',
    summary: 'Read the whole trail and name the first record that is not as it was written',
    access: 'admin',
    query: z.strictObject({
      from: z.coerce.number().int().min(0).optional().meta({ description: 'Trust what was signed before this time.' }),
    }),
    reply: auditVerdict,
  },
})
