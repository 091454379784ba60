import * as z from 'zod'
import { defineContract } from '#http'
import { exportLine } from './export.ts'
import { BAD_CURSOR, NO_PAYLOAD, NO_RECORD, PAYLOAD_DAMAGED } from './problems.ts'
import {
  auditFilter,
  auditPage,
  auditPageRequest,
  auditRecord,
  auditVerdict,
  shownPayload,
  shownRecord,
} from './schema.ts'

const place = z.object({ chain: z.string().min(1).max(64), seq: z.coerce.number().int().min(1) })

export const auditContract = defineContract({
  searchAudit: {
    method: 'GET',
    path: '/api/v1/audit',
    summary: 'Records of the audit trail, newest first',
    access: 'admin',
    about: { kind: 'gateway', part: 'query', member: 'gateway' },
    query: z.strictObject({ ...auditFilter.shape, ...auditPageRequest.shape }),
    reply: auditPage,
    errors: [BAD_CURSOR],
  },
  showAuditRecord: {
    method: 'GET',
    path: '/api/v1/audit/records/{chain}/{seq}',
    summary: 'One record, with its hash',
    access: 'admin',
    params: place,
    reply: shownRecord,
    errors: [NO_RECORD],
  },
  readAuditPayload: {
    method: 'GET',
    path: '/api/v1/audit/records/{chain}/{seq}/payload',
    summary: 'What a call was made with and what came back',
    description: 'Only where a rule of `[[audit.payloads]]` had it recorded. Each reading is itself recorded.',
    access: 'admin',
    params: place,
    reply: shownPayload,
    errors: [NO_RECORD, NO_PAYLOAD, PAYLOAD_DAMAGED],
  },
  exportAudit: {
    method: 'GET',
    path: '/api/v1/audit/export',
    summary: 'All matching records with their hashes and signatures, to be kept and verified elsewhere',
    description: 'Chain by chain, oldest first; the last line is `end`. That somebody exported is recorded.',
    access: 'admin',
    query: auditFilter.strict(),
    reply: exportLine.meta({ id: 'AuditExportLine' }),
    stream: 'ndjson',
  },
  listAuditKeys: {
    method: 'GET',
    path: '/api/v1/audit/keys',
    summary: 'The public keys that sign the trail, to be kept where this house cannot reach them',
    access: 'admin',
    reply: z.object({ keys: z.array(z.object({ publicKey: z.string().meta({ description: 'PEM, Ed25519.' }) })) }),
  },
  followAudit: {
    method: 'GET',
    path: '/api/v1/audit/follow',
    summary: 'Records as they are written, from now on',
    access: 'admin',
    about: { kind: 'gateway', part: 'query', member: 'gateway' },
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
