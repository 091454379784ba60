/**
 * What happened. Every attempt at anything (a call, a change, a sign-in) leaves one record, and it is durable before
 * the answer leaves the house.
 *
 * - `recorder.ts` gathers events while a commit runs (*group commit*); `ledger.ts` seals them into this process's
 *   *chain*, in which each record's hash covers the one before it, and stores them, or spools them to disk
 *   (`spool.ts`) while the store is down.
 * - `checkpointer.ts` signs the end of the chain now and then, in the database and in a file beside it.
 * - `verify.ts` reads it all again and names the first record that was edited, removed, reordered or inserted.
 * - `retention.ts` removes what is old, in whole signed segments, so that the rest still verifies.
 * - `search.ts` and `follow.ts` are for people who look for something; `export.ts` is for files that leave the house,
 *   which `verify-export.ts` reads elsewhere.
 * - `forwarder.ts` sends every record to a collector of OpenTelemetry logs, where there is one.
 * - `witness.ts` stands around every operation of the API, so that no attempt is without a record.
 *
 * A record never holds a body or a secret: `AuditEvent` in `schema.ts` has no place for one. What a call was made with
 * and what came back are kept only where a rule says so, apart from the record and encrypted (`payload.ts`).
 */
export { createAudit, type Audit } from './service.ts'
export type { AuditEvent, AuditRecord, Decision } from './schema.ts'
export { AUDIT_MIGRATIONS } from './migrations.ts'
export {
  BAD_CURSOR,
  BAD_PUBLIC_KEY,
  NO_PAYLOAD,
  NO_RECORD,
  OVERLOADED,
  PAYLOAD_DAMAGED,
  UNAVAILABLE,
} from './problems.ts'
export type { ExportLine } from './export.ts'
export { csvHeading, csvLine } from './csv.ts'
export { toOtlp } from './otlp.ts'
export { verifyExport, type ExportVerdict } from './verify-export.ts'
export { auditContract } from './contract.ts'
export { auditRoutes } from './routes.ts'
export { createWitness } from './witness.ts'
