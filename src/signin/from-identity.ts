import type { Identity } from '#identity'
import { Problem, Secret } from '#kernel'
import { loginFactor } from '#login'
import type { Account, Accounts, Session, Sessions } from './ports.ts'
import { NO_SUCH_SIGN_IN, WRONG_PROOF } from './problems.ts'

type Parts = Pick<
  Identity,
  'accounts' | 'directory' | 'takeOver' | 'passwords' | 'signIn' | 'factors' | 'links' | 'listKeys' | 'revokeKey'
>

/** The accounts of the house in the words of the pages. Each change is recorded by the room that makes it. */
export function accountsFrom(identity: Parts): Accounts {
  const find = (accountId: string) => findAccount(identity, accountId)
  /** People change their own accounts here. */
  const self = (accountId: string) => ({
    userId: identity.directory().findByAccountId(accountId)?.userId ?? null,
    face: 'web',
  })
  return {
    find,
    findByUserId: async (userId) => {
      const member = identity.directory().findByUserId(userId)
      return member === null ? null : find(member.accountId)
    },
    createPerson: async (person, by) => {
      const { id } = await identity.accounts.create({ ...person, kind: 'person' }, { userId: by, face: 'web' })
      return (await find(id)) ?? gone()
    },
    takeOver: (accountId, says) => identity.takeOver(accountId, says),
    findSetup: (token) => identity.links.find(token),
    endSetup: (token) => identity.links.end(token),
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

async function findAccount(identity: Parts, accountId: string): Promise<Account | null> {
  const member = identity.directory().findByAccountId(accountId)
  if (member === null || member.kind !== 'person') return null
  const { userId, role, groups, isActive } = member
  const { name } = await identity.accounts.get(accountId)
  return { accountId, userId, name, role: role ?? 'guest', groups, isActive }
}

function wrong(detail: string): never {
  throw new Problem(WRONG_PROOF, detail)
}

function gone(): never {
  throw new Error('an account was gone in the moment in which it was made')
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
