import * as z from 'zod'
import type { Storage } from '#storage'

type PasskeyRow = {
  id: string
  account_id: string
  credential_id: string
  public_key: Uint8Array
  counter: number
  transports: string
  name: string
  is_backed_up: number
  created_at: number
  last_used_at: number | null
}
type PasskeyTables = { identity_passkey: PasskeyRow }

export type Passkey = {
  readonly id: string
  readonly accountId: string
  /** As the authenticator names it, in base64url. */
  readonly credentialId: string
  /** In COSE. */
  readonly publicKey: Uint8Array<ArrayBuffer>
  readonly counter: number
  readonly transports: string[]
  readonly name: string
  readonly isBackedUp: boolean
  readonly createdAt: number
  readonly lastUsedAt: number | null
}

const transportsText = z.array(z.string())

export type PasskeyStore = ReturnType<typeof createPasskeyStore>

/** Every query about passkeys, of which only the public halves are here. */
export function createPasskeyStore(storage: Storage) {
  const db = storage.tables<PasskeyTables>()
  return {
    /** False when a passkey of this credential is there already, of whichever account. */
    insert: async (made: Passkey): Promise<boolean> => {
      const query = db.insertInto('identity_passkey').values(toRow(made))
      const done = await query.onConflict((conflict) => conflict.column('credential_id').doNothing()).executeTakeFirst()
      return done.numInsertedOrUpdatedRows === 1n
    },
    list: async (accountId: string): Promise<Passkey[]> => {
      const query = db.selectFrom('identity_passkey').selectAll().where('account_id', '=', accountId)
      return (await query.orderBy('id').execute()).map(toPasskey)
    },
    findByCredential: async (credentialId: string): Promise<Passkey | undefined> => {
      const query = db.selectFrom('identity_passkey').selectAll().where('credential_id', '=', credentialId)
      const row = await query.executeTakeFirst()
      return row === undefined ? undefined : toPasskey(row)
    },
    /** False when the counter did not go up; authenticators that do not count say 0 each time. */
    use: async (use: { id: string; counter: number; isBackedUp: boolean; at: number }): Promise<boolean> => {
      const done = await db
        .updateTable('identity_passkey')
        .set({ counter: use.counter, is_backed_up: use.isBackedUp ? 1 : 0, last_used_at: use.at })
        .where('id', '=', use.id)
        .where((eb) => eb.or([eb('counter', '<', use.counter), eb('counter', '=', use.counter === 0 ? 0 : -1)]))
        .executeTakeFirst()
      return done.numUpdatedRows === 1n
    },
    remove: async (id: string): Promise<void> => {
      await db.deleteFrom('identity_passkey').where('id', '=', id).execute()
    },
  }
}

function toRow(made: Passkey): PasskeyRow {
  return {
    id: made.id,
    account_id: made.accountId,
    credential_id: made.credentialId,
    public_key: made.publicKey,
    counter: made.counter,
    transports: JSON.stringify(made.transports),
    name: made.name,
    is_backed_up: made.isBackedUp ? 1 : 0,
    created_at: made.createdAt,
    last_used_at: made.lastUsedAt,
  }
}

function toPasskey(row: PasskeyRow): Passkey {
  return {
    id: row.id,
    accountId: row.account_id,
    credentialId: row.credential_id,
    publicKey: Uint8Array.from(row.public_key),
    counter: row.counter,
    transports: transportsText.parse(JSON.parse(row.transports)),
    name: row.name,
    isBackedUp: row.is_backed_up === 1,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}
