import type { Storage } from '#storage'
import type { ContentRule } from './schema.ts'

type RuleRow = {
  id: string
  version: number
  name: string
  rule: string
  is_current: number
  changed_at: number
  changed_by: string | null
}

/** A stored rule as it is read: `rule` is not parsed, as an earlier version of the house may have written it. */
export type StoredRule = {
  readonly id: string
  readonly version: number
  readonly name: string
  readonly rule: unknown
}

export type ContentStore = ReturnType<typeof createContentStore>

/** Every query of the room. */
export function createContentStore(storage: Storage) {
  const db = storage.tables<{ content_rule: RuleRow }>()
  return {
    /** The rules in force; `most` guards the memory. */
    load: async (most: number): Promise<StoredRule[]> => {
      const rows = await db
        .selectFrom('content_rule')
        .selectAll()
        .where('is_current', '=', 1)
        .orderBy('name')
        .limit(most)
        .execute()
      return rows.map(({ id, version, name, rule }) => ({ id, version, name, rule: JSON.parse(rule) as unknown }))
    },
    /** Puts the next version of a rule in force; the first one where there is none of that name. */
    save: (change: {
      id: string
      rule: ContentRule
      at: number
      by: string | null
    }): Promise<{ id: string; version: number }> =>
      db.transaction().execute(async (tx) => {
        const { rule, at, by } = change
        const current = await tx
          .selectFrom('content_rule')
          .select(['id', 'version'])
          .where('name', '=', rule.name)
          .where('is_current', '=', 1)
          .executeTakeFirst()
        const next = { id: current?.id ?? change.id, version: (current?.version ?? 0) + 1 }
        if (current) {
          await tx
            .updateTable('content_rule')
            .set({ is_current: 0 })
            .where('id', '=', current.id)
            .where('is_current', '=', 1)
            .execute()
        }
        const row = {
          ...next,
          name: rule.name,
          rule: JSON.stringify(rule),
          is_current: 1,
          changed_at: at,
          changed_by: by,
        }
        await tx.insertInto('content_rule').values(row).execute()
        return next
      }),
    /** Takes a rule out of force; false when there is none. Its versions stay. */
    remove: async (name: string): Promise<boolean> => {
      const query = db
        .updateTable('content_rule')
        .set({ is_current: 0 })
        .where('name', '=', name)
        .where('is_current', '=', 1)
      return (await query.executeTakeFirst()).numUpdatedRows > 0n
    },
  }
}
