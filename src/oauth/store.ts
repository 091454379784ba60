import type { Kysely } from 'kysely'
import type { Storage } from '#storage'

export type RecordRow = {
  model: string
  id: string
  grant_ref: string | null
  uid_ref: string | null
  code_ref: string | null
  account_id: string | null
  client_ref: string | null
  payload: Uint8Array
  consumed_at: number | null
  /** A device code: when a person said yes or no. A session: when somebody began to end it for a closed account. */
  answered_at: number | null
  expires_at: number | null
  created_at: number
}
/** Something that a person shall read on their account page. */
type NoticeRow = {
  id: string
  account_id: string
  client_name: string
  reused: string
  address: string
  at: number
}
type OauthTables = {
  oauth_record: RecordRow
  oauth_ended: { ref: string; ended_at: number }
  oauth_notice: NoticeRow
  oauth_replay: { token_ref: string; answer: Uint8Array | null; begun_at: number }
}

export type OauthStore = ReturnType<typeof createOauthStore>

/** Every query of the room but those about signing keys. */
export function createOauthStore(storage: Storage) {
  const db = storage.tables<OauthTables>()
  return {
    save: async (row: RecordRow): Promise<void> => {
      const { grant_ref, uid_ref, code_ref, account_id, payload, expires_at } = row
      await db
        .insertInto('oauth_record')
        .values(row)
        .onConflict((conflict) =>
          conflict
            .columns(['model', 'id'])
            .doUpdateSet({ grant_ref, uid_ref, code_ref, account_id, payload, expires_at }),
        )
        .execute()
    },
    find: (model: string, by: 'id' | 'uid_ref' | 'code_ref', ref: string): Promise<RecordRow | undefined> =>
      db.selectFrom('oauth_record').selectAll().where('model', '=', model).where(by, '=', ref).executeTakeFirst(),
    ...createOnceStore(db),
    remove: async (model: string, id: string): Promise<void> => {
      await db.deleteFrom('oauth_record').where('model', '=', model).where('id', '=', id).execute()
    },
    removeOfGrant: async (grantRef: string): Promise<void> => {
      await db.deleteFrom('oauth_record').where('grant_ref', '=', grantRef).execute()
    },
    ofAccount: (model: string, accountId: string): Promise<RecordRow[]> =>
      db
        .selectFrom('oauth_record')
        .selectAll()
        .where('model', '=', model)
        .where('account_id', '=', accountId)
        .orderBy('created_at')
        .limit(1_000)
        .execute(),
    /** Grants of somebody with a refresh token, or a code, that can still be used. */
    usefulGrants: async (accountId: string, now: number): Promise<string[]> => {
      const useful = db
        .selectFrom('oauth_record')
        .select('grant_ref')
        .distinct()
        .where('account_id', '=', accountId)
        .where('model', 'in', ['RefreshToken', 'AuthorizationCode', 'DeviceCode'])
        .where('consumed_at', 'is', null)
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
      return (await useful.execute()).flatMap(({ grant_ref }) => grant_ref ?? [])
    },
    sweep: async (now: number, endedBefore: number): Promise<void> => {
      await db
        .deleteFrom('oauth_notice')
        .where('at', '<', now - NOTICE_MS)
        .execute()
      await db.deleteFrom('oauth_record').where('expires_at', '<', now).execute()
      await db.deleteFrom('oauth_ended').where('ended_at', '<', endedBefore).execute()
      await db.deleteFrom('oauth_replay').where('begun_at', '<', endedBefore).execute()
    },
    ...createEndedStore(db),
    sessions: createSessionStore(db),
    replay: createReplayStore(db),
    notices: createNoticeStore(db),
  }
}

/** What happens once, whoever else tries at the same time: true for the first. */
function createOnceStore(db: Kysely<OauthTables>) {
  const mark = async (
    column: 'consumed_at' | 'answered_at',
    { model, id, at }: { model: string; id: string; at: number },
  ) => {
    const marked = await db
      .updateTable('oauth_record')
      .set({ [column]: at })
      .where('model', '=', model)
      .where('id', '=', id)
      .where(column, 'is', null)
      .executeTakeFirst()
    return marked.numUpdatedRows > 0n
  }
  return {
    /** False where it is there already. */
    addOnce: async (row: RecordRow): Promise<boolean> => {
      const added = await db
        .insertInto('oauth_record')
        .values(row)
        .onConflict((conflict) => conflict.columns(['model', 'id']).doNothing())
        .executeTakeFirst()
      return (added.numInsertedOrUpdatedRows ?? 0n) > 0n
    },
    consume: (model: string, id: string, at: number): Promise<boolean> => mark('consumed_at', { model, id, at }),
    answer: (model: string, id: string, at: number): Promise<boolean> => mark('answered_at', { model, id, at }),
  }
}

/** What the library knows of browsers in which somebody is signed in. */
function createSessionStore(db: Kysely<OauthTables>) {
  return {
    /** The accounts that have one. */
    accounts: async (): Promise<string[]> => {
      const found = db.selectFrom('oauth_record').select('account_id').distinct().where('model', '=', 'Session')
      return (await found.execute()).flatMap(({ account_id }) => account_id ?? [])
    },
    /** True for the one who shall end it, unless somebody else was told so since `before`. */
    claim: async (id: string, { now, before }: { now: number; before: number }): Promise<boolean> => {
      const claimed = await db
        .updateTable('oauth_record')
        .set({ answered_at: now })
        .where('model', '=', 'Session')
        .where('id', '=', id)
        .where((row) => row.or([row('answered_at', 'is', null), row('answered_at', '<', before)]))
        .executeTakeFirst()
      return claimed.numUpdatedRows > 0n
    },
  }
}

/** So many rows in one statement. */
const MANY = 500

function createEndedStore(db: Kysely<OauthTables>) {
  return {
    endGrants: async (refs: readonly string[], at: number): Promise<void> => {
      for (let from = 0; from < refs.length; from += MANY)
        await db
          .insertInto('oauth_ended')
          .values(refs.slice(from, from + MANY).map((ref) => ({ ref, ended_at: at })))
          .onConflict((conflict) => conflict.doNothing())
          .execute()
    },
    endedGrants: async (since: number): Promise<string[]> =>
      (await db.selectFrom('oauth_ended').select('ref').where('ended_at', '>', since).execute()).map(({ ref }) => ref),
  }
}

const NOTICE_MS = 90 * 86_400_000

function createNoticeStore(db: Kysely<OauthTables>) {
  return {
    /** True for the first of this id. */
    add: async (notice: NoticeRow): Promise<boolean> => {
      const added = await db
        .insertInto('oauth_notice')
        .values(notice)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return (added.numInsertedOrUpdatedRows ?? 0n) > 0n
    },
    ofAccount: (accountId: string): Promise<NoticeRow[]> =>
      db
        .selectFrom('oauth_notice')
        .selectAll()
        .where('account_id', '=', accountId)
        .orderBy('at', 'desc')
        .limit(20)
        .execute(),
    remove: async (accountId: string, id: string): Promise<void> => {
      await db.deleteFrom('oauth_notice').where('account_id', '=', accountId).where('id', '=', id).execute()
    },
  }
}

function createReplayStore(db: Kysely<OauthTables>) {
  return {
    /** True for the one who begins; everybody else waits for the answer. */
    begin: async (tokenRef: string, at: number): Promise<boolean> => {
      const begun = await db
        .insertInto('oauth_replay')
        .values({ token_ref: tokenRef, answer: null, begun_at: at })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return (begun.numInsertedOrUpdatedRows ?? 0n) > 0n
    },
    find: (tokenRef: string) =>
      db.selectFrom('oauth_replay').selectAll().where('token_ref', '=', tokenRef).executeTakeFirst(),
    finish: async (tokenRef: string, answer: Uint8Array): Promise<void> => {
      await db.updateTable('oauth_replay').set({ answer }).where('token_ref', '=', tokenRef).execute()
    },
    giveUp: async (tokenRef: string): Promise<void> => {
      await db.deleteFrom('oauth_replay').where('token_ref', '=', tokenRef).execute()
    },
  }
}
