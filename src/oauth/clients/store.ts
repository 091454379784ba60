import type { Kysely } from 'kysely'
import type { Storage } from '#storage'

export type ClientRow = {
  client_id: string
  /** Where the authorization server keeps what it knows of it. */
  record_id: string
  origin: string
  name: string
  account_id: string | null
  /** JSON. */
  facts: string
  /** JSON: what an admin let it exchange. */
  rights: string | null
  created_at: number
  last_used_at: number | null
}
type Tables = {
  oauth_client: ClientRow
  oauth_record: { model: string; id: string; client_ref: string | null; payload: Uint8Array; created_at: number }
}

export type ClientStore = ReturnType<typeof createClientStore>
export type Place = { readonly createdAt: number; readonly id: string }

/** Every query about who the clients are. What the library keeps of them is in `oauth_record`, as all it keeps. */
export function createClientStore(storage: Storage) {
  const db = storage.tables<Tables>()
  return {
    /** Writes down that there is a client, or what has changed about it; when it came and was used stays. */
    note: async (row: ClientRow): Promise<void> => {
      const { name, facts } = row
      await db
        .insertInto('oauth_client')
        .values(row)
        .onConflict((conflict) => conflict.column('client_id').doUpdateSet({ name, facts }))
        .execute()
    },
    /** What it may do beyond what people are asked for. */
    allow: async (clientId: string, may: Pick<ClientRow, 'rights' | 'account_id'>): Promise<void> => {
      await db.updateTable('oauth_client').set(may).where('client_id', '=', clientId).execute()
    },
    markUsed: async (clientId: string, at: number): Promise<void> => {
      await db.updateTable('oauth_client').set({ last_used_at: at }).where('client_id', '=', clientId).execute()
    },
    find: (clientId: string): Promise<ClientRow | undefined> =>
      db.selectFrom('oauth_client').selectAll().where('client_id', '=', clientId).executeTakeFirst(),
    list: ({ after, limit }: { after: Place | null; limit: number }): Promise<ClientRow[]> =>
      db
        .selectFrom('oauth_client')
        .selectAll()
        .$if(after !== null, (query) =>
          query.where((row) =>
            row.or([
              row('created_at', '>', after?.createdAt ?? 0),
              row.and([row('created_at', '=', after?.createdAt ?? 0), row('client_id', '>', after?.id ?? '')]),
            ]),
          ),
        )
        .orderBy('created_at')
        .orderBy('client_id')
        .limit(limit)
        .execute(),
    /** What people let this client do. */
    grantsOf: (recordId: string, limit: number) =>
      db
        .selectFrom('oauth_record')
        .select(['id', 'payload'])
        .where('client_ref', '=', recordId)
        .where('model', '=', 'Grant')
        .limit(limit)
        .execute(),
    ...createKeptStore(db),
    ...createUnusedStore(db),
    /** The client with all that it was given. True for the one who removes it. */
    remove: (recordId: string): Promise<boolean> =>
      db.transaction().execute(async (tx) => {
        const gone = await tx.deleteFrom('oauth_client').where('record_id', '=', recordId).executeTakeFirst()
        await removeRecords(tx, recordId)
        return gone.numDeletedRows > 0n
      }),
  }
}

function createKeptStore(db: Kysely<Tables>) {
  return {
    /** What the library keeps of a client, sealed. */
    recordOf: async (recordId: string): Promise<Uint8Array | undefined> => {
      const query = db.selectFrom('oauth_record').select('payload').where('model', '=', 'Client')
      return (await query.where('id', '=', recordId).executeTakeFirst())?.payload
    },
    /** Changes what is kept of a client. False where it is not (any more) as it was before. */
    change: (row: ClientRow, kept: { before: Uint8Array; after: Uint8Array; facts: string }): Promise<boolean> =>
      db.transaction().execute(async (tx) => {
        const changed = await tx
          .updateTable('oauth_record')
          .set({ payload: kept.after })
          .where('model', '=', 'Client')
          .where('id', '=', row.record_id)
          .where('payload', '=', kept.before)
          .executeTakeFirst()
        if (changed.numUpdatedRows === 0n) return false
        await tx.updateTable('oauth_client').set({ facts: kept.facts }).where('client_id', '=', row.client_id).execute()
        return true
      }),
  }
}

function createUnusedStore(db: Kysely<Tables>) {
  return {
    /** Those that registered themselves and have got no token since. */
    unusedSince: (since: number, limit: number) =>
      db
        .selectFrom('oauth_client')
        .select(['client_id', 'record_id', 'name'])
        .where('origin', '=', 'self-registered')
        .where((row) => row(row.fn.coalesce('last_used_at', 'created_at'), '<', since))
        .limit(limit)
        .execute(),
    /** One of them, unless it is used at this moment. True for the one who removes it. */
    removeUnused: (recordId: string, since: number): Promise<boolean> =>
      db.transaction().execute(async (tx) => {
        const gone = await tx
          .deleteFrom('oauth_client')
          .where('record_id', '=', recordId)
          .where((row) => row(row.fn.coalesce('last_used_at', 'created_at'), '<', since))
          .executeTakeFirst()
        if (gone.numDeletedRows === 0n) return false
        await removeRecords(tx, recordId)
        return true
      }),
  }
}

async function removeRecords(tx: Kysely<Tables>, recordId: string): Promise<void> {
  await tx.deleteFrom('oauth_record').where('model', '=', 'Client').where('id', '=', recordId).execute()
  await tx.deleteFrom('oauth_record').where('client_ref', '=', recordId).execute()
}
