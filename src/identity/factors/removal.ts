import { sql, type QueryExecutorProvider } from 'kysely'
import { Problem } from '#kernel'
import type { Storage } from '#storage'
import { audited } from '../audited.ts'
import { NO_SUCH_ACCOUNT } from '../problems.ts'
import type { Actor } from '../schema.ts'
import type { FactorParts } from './parts.ts'

const TABLES = [
  'identity_password',
  'identity_totp',
  'identity_recovery',
  'identity_recovery_code',
  'identity_passkey',
  'identity_ceremony',
] as const

/** Takes everything that an account could prove itself with, in the transaction in which the account goes. */
export async function removeFactors(tx: QueryExecutorProvider, accountId: string): Promise<void> {
  for (const table of TABLES) await sql`delete from ${sql.table(table)} where account_id = ${accountId}`.execute(tx)
}

/** For somebody who lost what they sign in with, or from whom it was taken: nothing of it is good any more. */
export async function resetFactors(
  deps: FactorParts & { readonly storage: Storage },
  accountId: string,
  by: Actor,
): Promise<void> {
  const userId = deps.userIdOf(accountId)
  if (userId === null) throw new Problem(NO_SUCH_ACCOUNT, 'There is no such account (any more).')
  await audited(deps, { what: 'factor.reset', by, extra: { account: accountId, userId } }, () =>
    deps.storage
      .tables()
      .transaction()
      .execute((tx) => removeFactors(tx, accountId)),
  )
}
