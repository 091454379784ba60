import type { Audit, AuditEvent } from '#audit'
import { isProblem } from '#kernel'
import type { Actor } from './schema.ts'

/** Records the change before it is made, and once more if it then fails: a change without its record cannot happen. */
export async function audited<T>(
  { audit }: { readonly audit: Pick<Audit, 'record'> },
  change: { what: string; by: Actor; extra: NonNullable<AuditEvent['extra']> },
  make: () => Promise<T>,
): Promise<T> {
  const { what, by, extra } = change
  const event = { what, userId: by.userId, keyId: by.keyId, face: by.face, extra }
  await audit.record({ ...event, decision: 'allowed' })
  try {
    return await make()
  } catch (cause) {
    const reason = isProblem(cause) ? cause.message : 'the change could not be stored'
    await audit.record({ ...event, decision: 'failed', reason })
    if (isProblem(cause)) throw cause
    throw new Error(`could not store the change ${what}`, { cause })
  }
}
