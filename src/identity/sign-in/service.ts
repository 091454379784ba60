import type { Secret } from '#kernel'
import type { Passwords } from '../factors/password.ts'
import type { Directory } from '../principal.ts'
import type { From, Throttle } from './throttle.ts'

export type SignIn = {
  /**
   * The account of this user id and password, or null for a wrong pair; the same work and words for a user there is
   * not. Guessing is slowed down per user and address (`identity/sign-in-locked`).
   */
  checkPassword(attempt: { userId: string; password: Secret; from: From }): Promise<{ accountId: string } | null>
  /** Runs the check of a second factor under the same care: true, or false for a wrong guess. */
  checkSecond(
    attempt: { accountId: string; factor: 'totp' | 'recovery-code'; from: From },
    check: () => Promise<boolean>,
  ): Promise<boolean>
  /** Looks a code up that a device shows, under the same care: what was found, or null for a wrong guess. */
  checkDeviceCode<T>(
    attempt: { readonly accountId: string; readonly from: From },
    look: () => Promise<T | null>,
  ): Promise<T | null>
}

export function createSignIn(deps: {
  throttle: Throttle
  passwords: Passwords
  readonly directory: () => Directory
}): SignIn {
  const { throttle, passwords, directory } = deps
  const userOf = (accountId: string): string => directory().findByAccountId(accountId)?.userId ?? accountId
  return {
    checkPassword: ({ userId: typed, password, from }) => {
      const userId = nameOf(directory(), typed)
      return throttle.attempt({ userId, from, factor: 'password' }, async () => {
        if (!(await passwords.matches(userId, password))) return null
        const member = directory().findByUserId(userId)
        return member?.isActive ? { accountId: member.accountId } : null
      })
    },
    checkSecond: async ({ accountId, factor, from }, check) => {
      const attempt = { userId: userOf(accountId), from, factor }
      const right = await throttle.attempt(attempt, async () => ((await check()) ? true : null))
      return right === true
    },
    checkDeviceCode: ({ accountId, from }, look) =>
      throttle.attempt({ userId: userOf(accountId), from, factor: 'device-code' }, look),
  }
}

/** As people type e-mail addresses: with a space behind them, or a capital in front. */
function nameOf(directory: Directory, typed: string): string {
  const userId = typed.trim().slice(0, 256)
  return directory.findByUserId(userId) === null ? userId.toLowerCase() : userId
}
