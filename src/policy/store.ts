import * as z from 'zod'
import type { SharedTransaction, Storage } from '#storage'
import { grant, type Grant, type ListGrantsRequest } from './grants/schema.ts'

type GrantRow = {
  id: string
  subject_kind: string
  subject_id: string
  gateway: string | null
  tools: string
  prompts: string | null
  resources: string | null
  only_kind: string | null
  note: string | null
  created_at: number
  created_by: string | null
  expires_at: number | null
}
type PolicyTables = { policy_grant: GrantRow; policy_granted: { gateway: string; since: number } }

export type PolicyStore = ReturnType<typeof createPolicyStore>

/** Every query of grants. */
export function createPolicyStore(storage: Storage) {
  const db = storage.tables<PolicyTables>()
  const grants = () => db.selectFrom('policy_grant').selectAll()
  return {
    /** Adds the grant; its gateway is one of default deny from then on. */
    insertGrant: (added: Grant): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto('policy_grant').values(toRow(added)).execute()
        if (added.gateway === null) return
        await tx
          .insertInto('policy_granted')
          .values({ gateway: added.gateway, since: added.createdAt })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }),
    /** Grants to the group of this name are grants to the one of the other name. */
    renameGroup: async (tx: SharedTransaction, { from, to }: { from: string; to: string }): Promise<void> => {
      await tx
        .tables<PolicyTables>()
        .updateTable('policy_grant')
        .set({ subject_id: to })
        .where('subject_kind', '=', 'group')
        .where('subject_id', '=', from)
        .execute()
    },
    findGrant: async (id: string): Promise<Grant | undefined> => {
      const row = await grants().where('id', '=', id).executeTakeFirst()
      return row && toGrant(row)
    },
    deleteGrant: async (id: string): Promise<boolean> => {
      const { numDeletedRows } = await db.deleteFrom('policy_grant').where('id', '=', id).executeTakeFirst()
      return numDeletedRows > 0n
    },
    /** In the order of their ids, which is that of their making. */
    listGrants: async (request: ListGrantsRequest): Promise<Grant[]> => {
      const { subject, gateway, cursor, limit } = request
      const query = grants()
        .$if(subject !== undefined, (given) => given.where('subject_id', '=', subject ?? ''))
        .$if(gateway !== undefined, (given) => given.where('gateway', '=', gateway ?? ''))
        .$if(cursor !== undefined, (given) => given.where('id', '>', cursor ?? ''))
      return (await query.orderBy('id').limit(limit).execute()).map(toGrant)
    },
    loadGrants: async (): Promise<Grant[]> => (await grants().orderBy('id').execute()).map(toGrant),
    loadGranted: async (): Promise<string[]> => {
      const rows = await db.selectFrom('policy_granted').select('gateway').execute()
      return rows.map(({ gateway }) => gateway)
    },
  }
}

function toRow(given: Grant): GrantRow {
  return {
    id: given.id,
    subject_kind: given.subject.kind,
    subject_id: given.subject.id,
    gateway: given.gateway,
    tools: JSON.stringify(given.tools),
    prompts: given.prompts && JSON.stringify(given.prompts),
    resources: given.resources && JSON.stringify(given.resources),
    only_kind: given.only,
    note: given.note,
    created_at: given.createdAt,
    created_by: given.createdBy,
    expires_at: given.expiresAt,
  }
}

const patterns = z.array(z.string())
const readPatterns = (text: string | null) => (text === null ? null : patterns.parse(JSON.parse(text)))

function toGrant(row: GrantRow): Grant {
  return grant.parse({
    id: row.id,
    subject: { kind: row.subject_kind, id: row.subject_id },
    gateway: row.gateway,
    tools: readPatterns(row.tools),
    prompts: readPatterns(row.prompts),
    resources: readPatterns(row.resources),
    only: row.only_kind,
    note: row.note,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
  })
}
