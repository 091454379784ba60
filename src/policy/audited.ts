import type { Audit, AuditEvent } from '#audit'

/** Who makes a change, for the audit trail. */
export type Actor = {
  readonly userId?: string | null | undefined
  readonly keyId?: string | null | undefined
  readonly face?: string | undefined
}

export type AuditedDeps = { readonly audit: Pick<Audit, 'record'> }

/** Records the change before it is made, and once more if it then fails: a change without its record cannot happen. */
export async function audited(
  { audit }: AuditedDeps,
  change: { what: string; by: Actor; gateway?: string | null; extra: NonNullable<AuditEvent['extra']> },
  make: () => Promise<unknown>,
): Promise<void> {
  const { what, by, gateway, extra } = change
  const event = { what, userId: by.userId, keyId: by.keyId, face: by.face, gateway: gateway ?? null, extra }
  await audit.record({ ...event, decision: 'allowed' })
  try {
    await make()
  } catch (cause) {
    await audit.record({ ...event, decision: 'failed', reason: 'the change could not be stored' })
    throw new Error(`could not store the change ${what}`, { cause })
  }
}
