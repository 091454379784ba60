import { sql, type QueryExecutorProvider } from 'kysely'

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
