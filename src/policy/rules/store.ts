import * as z from 'zod'
import { newId } from '#kernel'
import type { Storage } from '#storage'
import type { VersionInfo, VersionText } from './schema.ts'

type VersionRow = { version: number; text: string; note: string | null; created_at: number; created_by: string | null }
type RulesTables = {
  policy_version: VersionRow
  policy_activation: { id: string; version: number | null; at: number }
  policy_shadow: { name: string; version: number }
  policy_granted: { gateway: string; since: number }
}

export type RulesStore = ReturnType<typeof createRulesStore>

const count = z.coerce.number().int()

/** Every query of rules. Versions are never changed; which one is in force is the newest activation. */
export function createRulesStore(storage: Storage) {
  const db = storage.tables<RulesTables>()
  return {
    /** Stores the text under the next number. */
    insertVersion: (added: Omit<VersionText, 'version'>): Promise<number> =>
      db.transaction().execute(async (tx) => {
        const { last } = await tx
          .selectFrom('policy_version')
          .select((eb) => eb.fn.coalesce(eb.fn.max('version'), eb.lit(0)).as('last'))
          .executeTakeFirstOrThrow()
        const version = count.parse(last) + 1
        const { text, note, createdAt, createdBy } = added
        const row = { version, text, note, created_at: createdAt, created_by: createdBy }
        await tx.insertInto('policy_version').values(row).execute()
        return version
      }),
    findVersion: async (version: number): Promise<VersionText | undefined> => {
      const row = await db.selectFrom('policy_version').selectAll().where('version', '=', version).executeTakeFirst()
      return row && { ...toInfo(row), text: row.text }
    },
    listVersions: async (limit: number): Promise<VersionInfo[]> => {
      const rows = await db.selectFrom('policy_version').selectAll().orderBy('version', 'desc').limit(limit).execute()
      return rows.map(toInfo)
    },
    /** The newest activations, the one in force first. */
    activations: (limit: number) =>
      db.selectFrom('policy_activation').select('version').orderBy('id', 'desc').limit(limit).execute(),
    /** Puts a version in force, or none. Gateways that its permits name are of default deny from then on. */
    activate: (chosen: { version: number | null; at: number; gateways: readonly string[] }): Promise<void> =>
      db.transaction().execute(async (tx) => {
        const { version, at } = chosen
        await tx
          .insertInto('policy_activation')
          .values({ id: newId('activation'), version, at })
          .execute()
        for (const gateway of chosen.gateways)
          await tx
            .insertInto('policy_granted')
            .values({ gateway, since: at })
            .onConflict((conflict) => conflict.doNothing())
            .execute()
      }),
    addGranted: async (gateways: readonly string[], at: number): Promise<void> => {
      for (const gateway of gateways)
        await db
          .insertInto('policy_granted')
          .values({ gateway, since: at })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
    },
    shadow: async (): Promise<number | null> => {
      const row = await db.selectFrom('policy_shadow').select('version').where('name', '=', SHADOW).executeTakeFirst()
      return row?.version ?? null
    },
    setShadow: (version: number | null): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('policy_shadow').where('name', '=', SHADOW).execute()
        if (version !== null) await tx.insertInto('policy_shadow').values({ name: SHADOW, version }).execute()
      }),
  }
}

/** The one row of its table. */
const SHADOW = 'shadow'

function toInfo({ version, note, created_at, created_by }: VersionRow): VersionInfo {
  return { version, note, createdAt: created_at, createdBy: created_by }
}
