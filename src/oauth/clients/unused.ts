import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import type { ClientStore } from './store.ts'

const AT_ONCE = 500

export type UnusedDeps = {
  readonly clients: ClientStore
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  /** So long after its last token a client that registered itself is removed. */
  readonly unusedMs: number
}

/**
 * Anybody may register a client, and most are used for one afternoon: those that got no token for so long are removed.
 * By then all tokens that they had have run out, so there is nothing to end.
 */
export async function removeUnused({ clients, audit, clock, unusedMs }: UnusedDeps): Promise<void> {
  const since = clock.now() - unusedMs
  for (const { client_id: id, record_id, name } of await clients.unusedSince(since, AT_ONCE)) {
    if (!(await clients.removeUnused(record_id, since))) continue // another replica was faster, or it was used
    const days = Math.round(unusedMs / 86_400_000)
    await audit.record({
      what: 'oauth.client-removed',
      decision: 'allowed',
      userId: null,
      keyId: null,
      client: id,
      reason: `not used for ${days} days`,
      extra: { client: id, name, origin: 'self-registered' },
    })
  }
}
