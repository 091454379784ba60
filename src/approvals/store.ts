import { isDuplicate, type Storage } from '#storage'
import { shownApproval, type ShownApproval } from './schema.ts'

type Row = {
  id: string
  state: string
  binding: string
  sealed: string
  user_id: string
  gateway: string
  server: string
  tool: string
  rule: string
  note: string | null
  created_at: number
  expires_at: number
  answered_at: number | null
  answered_by: string | null
  answered_via: string | null
  used_at: number | null
  round: number
}

export type StoredApproval = ShownApproval & { readonly binding: string; readonly sealed: string }
export type NewApproval = Pick<Row, 'id' | 'binding' | 'sealed' | 'user_id' | 'gateway' | 'server' | 'tool' | 'rule'> &
  Pick<Row, 'note' | 'created_at' | 'expires_at'>

export type ApprovalsStore = ReturnType<typeof createApprovalsStore>
export type OldApprovals = ReturnType<typeof createOldApprovals>

/** Every query of the room. Each change says which state it starts from, so that of two only one can be. */
export function createApprovalsStore(storage: Storage) {
  const db = storage.tables<{ approval: Row }>()
  const rows = () => db.selectFrom('approval').selectAll()
  const change = async (id: string, from: string, to: Partial<Row>): Promise<boolean> => {
    const query = db.updateTable('approval').set(to).where('id', '=', id).where('state', '=', from)
    return (await query.executeTakeFirst()).numUpdatedRows > 0n
  }
  return {
    find: async (id: string) => toStored(await rows().where('id', '=', id).executeTakeFirst()),
    /** The newest one for exactly this call. */
    newest: async (binding: string) =>
      toStored(await rows().where('binding', '=', binding).orderBy('id', 'desc').limit(1).executeTakeFirst()),
    /** False when there is a pending one for this very call already. */
    insert: async (added: NewApproval): Promise<boolean> => {
      const rest = { answered_at: null, answered_by: null, answered_via: null, used_at: null, round: 0 }
      try {
        await db
          .insertInto('approval')
          .values({ ...added, ...rest, state: 'pending' })
          .execute()
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    },
    answer: (id: string, to: { state: 'approved' | 'denied'; by: string; via: string; at: number }) =>
      change(id, 'pending', { state: to.state, answered_at: to.at, answered_by: to.by, answered_via: to.via }),
    expire: (id: string, from: 'pending' | 'approved') => change(id, from, { state: 'expired' }),
    use: (id: string, at: number) => change(id, 'approved', { state: 'used', used_at: at }),
    giveBack: (id: string) => change(id, 'used', { state: 'approved', used_at: null }),
    /** A further round of a call that asks its caller: each once. */
    useRound: async (id: string, round: number): Promise<boolean> => {
      const query = db
        .updateTable('approval')
        .set({ round: round + 1 })
        .where('id', '=', id)
        .where('state', '=', 'used')
        .where('round', '=', round)
      return (await query.executeTakeFirst()).numUpdatedRows > 0n
    },
    list: async (wanted: { state?: string | undefined; cursor?: string | undefined; limit: number }) => {
      const { state, cursor, limit } = wanted
      const query = rows()
        .$if(state !== undefined, (given) => given.where('state', '=', state ?? ''))
        .$if(cursor !== undefined, (given) => given.where('id', '<', cursor ?? ''))
      const found = await query.orderBy('id', 'desc').limit(limit).execute()
      return found.flatMap((row) => toStored(row) ?? [])
    },
    countPending: async (now: number, userId?: string): Promise<number> => {
      const query = db
        .selectFrom('approval')
        .select(({ fn }) => fn.countAll<number | string>().as('count'))
        .where('state', '=', 'pending')
        .where('expires_at', '>', now)
        .$if(userId !== undefined, (given) => given.where('user_id', '=', userId ?? ''))
      return Number((await query.executeTakeFirstOrThrow()).count)
    },
  }
}

/** What time has passed over. */
export function createOldApprovals(storage: Storage) {
  const db = storage.tables<{ approval: Row }>()
  return {
    due: async (now: number, most: number): Promise<string[]> => {
      const query = db.selectFrom('approval').select('id').where('state', '=', 'pending').where('expires_at', '<=', now)
      return (await query.limit(most).execute()).map(({ id }) => id)
    },
    removeOld: async (before: number): Promise<void> => {
      await db.deleteFrom('approval').where('expires_at', '<', before).execute()
    },
  }
}

function toStored(row: Row | undefined): StoredApproval | undefined {
  if (row === undefined) return undefined
  const shown = shownApproval.parse({
    id: row.id,
    state: row.state,
    userId: row.user_id,
    gateway: row.gateway,
    server: row.server,
    tool: row.tool,
    rule: row.rule,
    note: row.note,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    answeredAt: row.answered_at,
    answeredBy: row.answered_by,
    answeredVia: row.answered_via,
    usedAt: row.used_at,
  })
  return { ...shown, binding: row.binding, sealed: row.sealed }
}
