import { isDuplicate, type Storage } from '#storage'

type LinkRow = { issuer: string; subject: string; account_id: string; source: string; linked_at: number }
type SignInTables = { signin_link: LinkRow }

/** That somebody at an identity provider is somebody here. */
export type Link = {
  readonly issuer: string
  readonly subject: string
  readonly accountId: string
  readonly source: string
  readonly linkedAt: number
}

export type SignInStore = ReturnType<typeof createSignInStore>

/** Every query of the room. */
export function createSignInStore(storage: Storage) {
  const db = storage.tables<SignInTables>()
  return {
    findLink: async (issuer: string, subject: string): Promise<Link | null> => {
      const found = db.selectFrom('signin_link').selectAll().where('issuer', '=', issuer).where('subject', '=', subject)
      const row = await found.executeTakeFirst()
      return row ? toLink(row) : null
    },
    /** `taken`: this identity is linked already. */
    addLink: async (link: Link): Promise<'ok' | 'taken'> => {
      const { issuer, subject, accountId: account_id, source, linkedAt: linked_at } = link
      try {
        await db.insertInto('signin_link').values({ issuer, subject, account_id, source, linked_at }).execute()
        return 'ok'
      } catch (error) {
        if (isDuplicate(error)) return 'taken'
        throw error
      }
    },
    linksOf: async (accountId: string): Promise<Link[]> => {
      const found = db.selectFrom('signin_link').selectAll().where('account_id', '=', accountId)
      return (await found.orderBy('linked_at').limit(100).execute()).map(toLink)
    },
    removeLinks: async (accountId: string, source: string): Promise<void> => {
      await db.deleteFrom('signin_link').where('account_id', '=', accountId).where('source', '=', source).execute()
    },
  }
}

function toLink(row: LinkRow): Link {
  const { issuer, subject, source } = row
  return { issuer, subject, accountId: row.account_id, source, linkedAt: row.linked_at }
}
