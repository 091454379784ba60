import * as z from 'zod'
import { isDuplicate, type Storage } from '#storage'
import { loginRule, policyVersion, type LoginRule, type PolicyVersion } from './schema.ts'

type LoginTables = {
  login_policy: { version: number; at: number; changed_by: string | null; change: string; rules: string }
}

const KEPT_VERSIONS = 1_000
const rulesText = z.array(loginRule)

export type LoginStore = ReturnType<typeof createLoginStore>

/** Every query of the room. */
export function createLoginStore(storage: Storage) {
  const db = storage.tables<LoginTables>()
  return {
    newest: async (): Promise<{ version: number; rules: readonly LoginRule[] }> => {
      const row = await db.selectFrom('login_policy').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst()
      return row ? { version: row.version, rules: rulesText.parse(JSON.parse(row.rules)) } : { version: 0, rules: [] }
    },
    /** Stores the next version; `false` when somebody else has made it already. */
    append: async (next: PolicyVersion): Promise<boolean> => {
      const { version, at, by, change, rules } = next
      try {
        await db
          .insertInto('login_policy')
          .values({ version, at, changed_by: by, change, rules: JSON.stringify(rules) })
          .execute()
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
      await db
        .deleteFrom('login_policy')
        .where('version', '<=', version - KEPT_VERSIONS)
        .execute()
      return true
    },
    /** The latest versions, newest first. */
    history: async (limit: number): Promise<PolicyVersion[]> => {
      const rows = await db.selectFrom('login_policy').selectAll().orderBy('version', 'desc').limit(limit).execute()
      return rows.map(({ changed_by, rules, ...row }) =>
        policyVersion.parse({ ...row, by: changed_by, rules: rulesText.parse(JSON.parse(rules)) }),
      )
    },
  }
}
