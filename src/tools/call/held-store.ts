import type { HeldState, ToolsTables } from '../tables.ts'
import type { ToolsDb } from '../store.ts'

export type HeldRow = ToolsTables['tools_held']
export type NewHeld = Pick<HeldRow, 'id' | 'request' | 'created_at' | 'expires_at'>

export type HeldStore = ReturnType<typeof createHeldStore>

/** Every query of held calls. Each change says which state it starts from, so that of two only one can be. */
export function createHeldStore(db: ToolsDb) {
  return {
    /** One that is over begins anew; one that is under way stays as it is. */
    hold: async (added: NewHeld): Promise<void> => {
      const fresh = { ...added, state: 'waiting' as const, outcome: null, replica: null, updated_at: added.created_at }
      const { id: _id, ...rest } = fresh
      await db
        .insertInto('tools_held')
        .values(fresh)
        .onConflict((c) => c.column('id').doUpdateSet(rest).where('tools_held.state', 'in', ['done', 'cancelled']))
        .execute()
    },
    find: (id: string): Promise<HeldRow | undefined> =>
      db.selectFrom('tools_held').selectAll().where('id', '=', id).executeTakeFirst(),
    /** False where it is in another state by now. */
    change: async (id: string, from: HeldState, to: Partial<HeldRow> & { updated_at: number }): Promise<boolean> => {
      const query = db.updateTable('tools_held').set(to).where('id', '=', id).where('state', '=', from)
      return (await query.executeTakeFirst()).numUpdatedRows > 0n
    },
  }
}

export async function deleteExpiredHeld(db: ToolsDb, now: number): Promise<void> {
  await db.deleteFrom('tools_held').where('expires_at', '<', now).execute()
}
