import { USER_ID_TAKEN, type Identity } from '#identity'
import { isProblem, Problem, Secret } from '#kernel'
import { loginFactor } from '#login'
import type { Account, Accounts, Session, Sessions } from './ports.ts'
import { NO_SUCH_SIGN_IN, WRONG_PROOF } from './problems.ts'

type Parts = Pick<
  Identity,
  'accounts' | 'directory' | 'takeOver' | 'passwords' | 'signIn' | 'factors' | 'links' | 'listKeys' | 'revokeKey'
>

/** The accounts of the house in the words of the pages. Each change is recorded by the room that makes it. */
export function accountsFrom(identity: Parts): Accounts {
  const find = async (accountId: string): Promise<Account | null> => {
    const account = await findAccount(identity, accountId)
    return account?.isActive ? account : null
  }
  /** People change their own accounts here. */
  const self = (accountId: string) => ({
    userId: identity.directory().findByAccountId(accountId)?.userId ?? null,
    face: 'web',
  })
  return {
    find,
    findByUserId: async (userId) => {
      const member = identity.directory().findByUserId(userId)
      return member === null ? null : findAccount(identity, member.accountId)
    },
    createPerson: async (person, by) => {
      const wish = { ...person, kind: 'person' } as const
      const made = await identity.accounts.create(wish, { userId: by, face: 'web' }).catch((error: unknown) => {
        if (isProblem(error, USER_ID_TAKEN)) return null
        throw error
      })
      return made === null ? null : { accountId: made.id }
    },
    takeOver: (accountId, says) => identity.takeOver(accountId, says),
    findSetup: (token) => identity.links.find(token),
    endSetup: (token) => identity.links.end(token),
    ...checksFrom(identity),
    factors: (accountId) => identity.factors.list(accountId),
    setPassword: (accountId, password) => identity.passwords.set(accountId, new Secret(password), self(accountId)),
    beginTotp: (accountId) => identity.factors.beginTotp(accountId),
    finishTotp: (accountId, code) => identity.factors.finishTotp(accountId, code, self(accountId)),
    removeTotp: (accountId) => identity.factors.removeTotp(accountId, self(accountId)),
    makeRecoveryCodes: (accountId) => identity.factors.makeRecoveryCodes(accountId, self(accountId)),
    beginPasskey: (accountId) => identity.factors.beginPasskey(accountId),
    finishPasskey: (accountId, answer) => identity.factors.finishPasskey(accountId, answer, self(accountId)),
    removePasskey: (accountId, id) => identity.factors.removePasskey(accountId, id, self(accountId)),
    beginPasskeySignIn: (accountId) => identity.factors.beginPasskeySignIn(accountId),
    finishPasskeySignIn: async ({ state, answer }) =>
      (await identity.factors.finishPasskeySignIn({ state, answer })) ?? wrong('That passkey was not accepted.'),
    keys: async (userId) => {
      const { keys } = await identity.listKeys({ userId, limit: MAX_KEYS })
      return keys.filter(({ revokedAt }) => revokedAt === null)
    },
    revokeKey: async (userId, id) => {
      const { keys } = await identity.listKeys({ userId, limit: MAX_KEYS })
      if (!keys.some((key) => key.id === id)) throw new Problem(NO_SUCH_SIGN_IN, 'There is no such key of yours.')
      await identity.revokeKey(id, { userId, face: 'web' })
    },
  }
}

const MAX_KEYS = 1_000

/** Whatever somebody may guess at, counted by the room that knows how often. */
function checksFrom(
  identity: Parts,
): Pick<Accounts, 'checkPassword' | 'checkTotp' | 'checkRecoveryCode' | 'checkDeviceCode'> {
  return {
    checkPassword: async ({ userId, password, from }) => {
      const found = await identity.signIn.checkPassword({ userId, password: new Secret(password), from })
      return found ?? wrong('The user name or the password is not right.')
    },
    checkTotp: async ({ accountId, code, from }) => {
      const check = async (): Promise<boolean> => (await identity.factors.checkTotp({ accountId, code })) === 'ok'
      if (await identity.signIn.checkSecond({ accountId, factor: 'totp', from }, check)) return
      wrong('That code is not right, or it was used before. Wait for the next one.')
    },
    checkRecoveryCode: async ({ accountId, code, from }) => {
      const check = async (): Promise<boolean> =>
        (await identity.factors.checkRecoveryCode({ accountId, code })) === 'ok'
      if (await identity.signIn.checkSecond({ accountId, factor: 'recovery-code', from }, check)) return
      wrong('That recovery code is not right, or it was used before.')
    },
    checkDeviceCode: async (attempt, look) =>
      (await identity.signIn.checkDeviceCode(attempt, look)) ??
      wrong('This code is not valid (any more). Start again on the device.'),
  }
}

async function findAccount(identity: Parts, accountId: string): Promise<Account | null> {
  const member = identity.directory().findByAccountId(accountId)
  if (member === null || member.kind !== 'person') return null
  const { userId, role, groups, isActive } = member
  // One that was removed is in the directory, so that it stays refused; of its person nothing is known any more.
  const name = isActive ? ((await identity.accounts.find(accountId))?.name ?? null) : null
  return { accountId, userId, name, role: role ?? 'guest', groups, isActive }
}

function wrong(detail: string): never {
  throw new Problem(WRONG_PROOF, detail)
}

/** Sessions of browsers, each with a factor that the login policy knows. */
export function sessionsFrom({ sessions, directory }: Pick<Identity, 'sessions' | 'directory'>): Sessions {
  const self = (accountId: string) => ({ userId: directory().findByAccountId(accountId)?.userId ?? null, face: 'web' })
  return {
    start: async (wish) => {
      const { token, session } = await sessions.start(wish)
      return { token, session: known(session) }
    },
    find: async (token) => {
      const found = await sessions.find(token)
      return found === null ? null : known(found)
    },
    list: async (accountId) => (await sessions.list(accountId)).map(known),
    end: (accountId, id) => sessions.end(accountId, id, self(accountId)),
    endOthers: (accountId, keepId) => sessions.endOthers(accountId, keepId, self(accountId)),
  }
}

/** A factor that is not known counts as the weakest. */
function known(session: Omit<Session, 'factor'> & { readonly factor: string }): Session {
  return { ...session, factor: loginFactor.safeParse(session.factor).data ?? 'password' }
}
