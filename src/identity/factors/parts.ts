import type { Audit } from '#audit'
import { Problem, type Clock } from '#kernel'
import type { Directory, Member } from '../principal.ts'
import { NO_SUCH_ACCOUNT } from '../problems.ts'

/** What every kind of factor needs of the room around it. */
export type FactorParts = {
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  /** Throws a Problem where there is no such person, or not an active one. */
  activePerson(accountId: string): Member
  isActive(accountId: string): boolean
  userIdOf(accountId: string): string | null
  /** Writes down that a factor was refused, and hands the reason on. */
  refused<Reason extends string>(accountId: string | null, kind: FactorKind, reason: Reason): Promise<Reason>
}

export type FactorKind = 'totp' | 'recovery-codes' | 'passkey'

export function createFactorParts(deps: {
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
}): FactorParts {
  const { audit, clock } = deps
  const find = (accountId: string) => deps.directory().findByAccountId(accountId)
  const isActivePerson = (member: Member | null) => member?.kind === 'person' && member.isActive
  return {
    audit,
    clock,
    activePerson: (accountId) => {
      const member = find(accountId)
      if (!member || !isActivePerson(member))
        throw new Problem(NO_SUCH_ACCOUNT, 'Only the account of an active person has factors.')
      return member
    },
    isActive: (accountId) => isActivePerson(find(accountId)) === true,
    userIdOf: (accountId) => find(accountId)?.userId ?? null,
    refused: async (accountId, kind, reason) => {
      const userId = accountId === null ? null : (find(accountId)?.userId ?? null)
      const extra = { account: accountId, kind }
      await audit.record({ what: 'factor.refused', userId, decision: 'denied', reason, extra })
      return reason
    },
  }
}
