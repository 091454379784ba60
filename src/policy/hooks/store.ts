import type { Storage } from '#storage'

type HookRow = { name: string; config: string; created_at: number; created_by: string | null }

/** A hook that was added by API. Its configuration is sealed, as it may hold a token. */
export type StoredHook = { readonly name: string; readonly config: string }

export type HooksStore = ReturnType<typeof createHooksStore>

/** Every query of hooks. */
export function createHooksStore(storage: Storage) {
  const db = storage.tables<{ policy_hook: HookRow }>()
  return {
    load: (most: number): Promise<StoredHook[]> =>
      db.selectFrom('policy_hook').select(['name', 'config']).orderBy('name').limit(most).execute(),
    /** Stores the hook in the place of the one with its name. */
    save: async (hook: StoredHook & { at: number; by: string | null }): Promise<void> => {
      const { name, config, at, by } = hook
      await db
        .insertInto('policy_hook')
        .values({ name, config, created_at: at, created_by: by })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ config, created_at: at, created_by: by }))
        .execute()
    },
    remove: async (name: string): Promise<void> => {
      await db.deleteFrom('policy_hook').where('name', '=', name).execute()
    },
  }
}
