import { hash, randomBytes } from 'node:crypto'
import type { Audit } from '#audit'
import { Problem, type Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Accounts } from '../accounts/service.ts'
import { audited } from '../audited.ts'
import type { Directory } from '../principal.ts'
import { NO_SUCH_ACCOUNT } from '../problems.ts'
import type { Actor } from '../schema.ts'

type MadeLink = { readonly token: string; readonly expiresAt: number; readonly userId: string }
type Make = (account: { id: string; userId: string }, by: Actor, isFirstAdmin: boolean) => Promise<MadeLink>

export type Links = {
  /** A new one-time link for setting up or resetting a person's factors; older ones of the account end. Told only here. */
  create(account: string, by: Actor): Promise<MadeLink>
  /** Whose link it is; null when it is used up, expired, unknown, or the account is not active. */
  find(token: string): Promise<{ accountId: string; userId: string; isFirstAdmin: boolean } | null>
  /** Uses it up. False when somebody was faster, or it is none. */
  end(token: string): Promise<boolean>
  /** A link for the first admin while nobody can sign in as one; null from then on. Makes the account where there is none. */
  forFirstAdmin(canSignIn: (accountId: string) => Promise<boolean>): Promise<{ token: string; userId: string } | null>
}

type LinkRow = {
  token_hash: string
  account_id: string
  is_first_admin: number
  created_at: number
  expires_at: number
  used_at: number | null
}
type LinkTables = { identity_link: LinkRow }

const LIFE_MS = 24 * 3_600_000
const FIRST_ADMIN = 'admin'
const HOUSE: Actor = { face: 'house' }

/** One-time links: how a person gets in who has no factor yet, or none any more. No default password exists anywhere. */
export function createLinks(deps: {
  storage: Storage
  clock: Clock
  audit: Pick<Audit, 'record'>
  accounts: Accounts
  readonly directory: () => Directory
}): Links {
  const { clock, accounts, directory } = deps
  const db = deps.storage.tables<LinkTables>()
  const make: Make = (account, by, isFirstAdmin) => makeLink(deps, { account, isFirstAdmin }, by)
  const living = async (token: string): Promise<LinkRow | undefined> =>
    db
      .selectFrom('identity_link')
      .selectAll()
      .where('token_hash', '=', hashToken(token.slice(0, 128)))
      .where('used_at', 'is', null)
      .where('expires_at', '>', clock.now())
      .executeTakeFirst()
  return {
    create: async (name, by) => {
      const account = await accounts.get(name)
      if (account.kind !== 'person' || !account.isActive)
        throw new Problem(NO_SUCH_ACCOUNT, `"${account.userId}" is not an active person, so nobody can sign in as it.`)
      return make(account, by, false)
    },
    find: async (token) => {
      const row = await living(token)
      const member = row && directory().findByAccountId(row.account_id)
      if (!row || !member?.isActive) return null
      return { accountId: row.account_id, userId: member.userId, isFirstAdmin: row.is_first_admin === 1 }
    },
    end: async (token) => {
      const result = await db
        .updateTable('identity_link')
        .set({ used_at: clock.now() })
        .where('token_hash', '=', hashToken(token.slice(0, 128)))
        .where('used_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .executeTakeFirst()
      return result.numUpdatedRows > 0n
    },
    forFirstAdmin: async (canSignIn) => {
      const first = await findFirstAdmin(deps, canSignIn)
      return first && make(first, HOUSE, true)
    },
  }
}

async function makeLink(
  deps: { readonly storage: Storage; readonly clock: Clock; readonly audit: Pick<Audit, 'record'> },
  wish: { account: { id: string; userId: string }; isFirstAdmin: boolean },
  by: Actor,
): Promise<MadeLink> {
  const { id, userId } = wish.account
  const token = randomBytes(32).toString('base64url')
  const now = deps.clock.now()
  const expiresAt = now + LIFE_MS
  const row: LinkRow = {
    token_hash: hashToken(token),
    account_id: id,
    is_first_admin: wish.isFirstAdmin ? 1 : 0,
    created_at: now,
    expires_at: expiresAt,
    used_at: null,
  }
  const db = deps.storage.tables<LinkTables>()
  await audited(deps, { what: 'account.link-made', by, extra: { account: id, user: userId } }, async () => {
    await db.deleteFrom('identity_link').where('account_id', '=', id).execute()
    await db.insertInto('identity_link').values(row).execute()
  })
  return { token, expiresAt, userId }
}

/** The account that shall be the first admin; null when somebody can sign in as one. */
async function findFirstAdmin(
  deps: { readonly accounts: Accounts; readonly directory: () => Directory },
  canSignIn: (accountId: string) => Promise<boolean>,
): Promise<{ id: string; userId: string } | null> {
  const everybody = deps.directory().all()
  const admins = everybody.filter(({ role, isActive }) => role === 'admin' && isActive)
  for (const { accountId } of admins) if (await canSignIn(accountId)) return null
  const [first] = admins
  if (first) return { id: first.accountId, userId: first.userId }
  const taken = new Set(everybody.map(({ userId }) => userId.toLowerCase()))
  const userId = taken.has(FIRST_ADMIN) ? `${FIRST_ADMIN}-${randomBytes(3).toString('hex')}` : FIRST_ADMIN
  return deps.accounts.create({ userId, role: 'admin' }, HOUSE)
}

function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
