/** For tests only: what the pages stand on, in memory. Passkeys and one-time codes are checked by the real libraries. */
import { randomBytes } from 'node:crypto'
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
  type WebAuthnCredential,
} from '@simplewebauthn/server'
import { Secret, TOTP } from 'otpauth'
import { Problem, type JsonObject } from '#kernel'
import type { Account, Accounts, AuthorizationServer, ConsentQuestion, Session, Sessions } from './ports.ts'

const REFUSED = { code: 'signin/test-refused', status: 401, title: 'Refused' } as const
const GONE = { code: 'signin/test-gone', status: 404, title: 'Not found' } as const

type Kept = Account & {
  password: string | null
  totp: string | null
  pendingTotp: string | null
  lastStep: number
  codes: string[]
  passkeys: { id: string; name: string; createdAt: number; lastUsedAt: number | null; credential: WebAuthnCredential }[]
  claims: JsonObject
}

type Clock = { now(): number }
type Proof = { readonly kind: 'add' | 'use'; readonly challenge: string; readonly accountId: string | null }

export type MemoryAccounts = Accounts & {
  add(userId: string, more?: Partial<Kept>): Kept
  makeSetup(userId: string): string
  get(userId: string): Kept
  switchOff(accountId: string): void
  giveTotp(accountId: string, secret: string): void
}

// eslint-disable-next-line max-lines-per-function -- one verb after the other, and nothing between them
export function createMemoryAccounts({ clock, publicUrl }: { clock: Clock; publicUrl: () => string }): MemoryAccounts {
  const all = new Map<string, Kept>()
  const setups = new Map<string, string>()
  const proofs = new Map<string, Proof>()
  const must = (accountId: string): Kept => {
    const found = all.get(accountId)
    if (!found) throw new Problem(GONE, 'There is no such account.')
    return found
  }
  const change = (accountId: string, next: Partial<Kept>): void =>
    void all.set(accountId, { ...must(accountId), ...next })
  const byUserId = (userId: string): Kept | null => [...all.values()].find((one) => one.userId === userId) ?? null
  const rp = (): { rpID: string; origin: string } => ({
    rpID: new URL(publicUrl()).hostname,
    origin: new URL(publicUrl()).origin,
  })
  const prove = (proof: Proof): string => {
    const state = randomBytes(12).toString('base64url')
    proofs.set(state, proof)
    return state
  }
  const take = (state: string, kind: Proof['kind']): Proof => {
    const proof = proofs.get(state)
    proofs.delete(state)
    if (proof?.kind !== kind) throw new Problem(REFUSED, 'That passkey answer was used already.')
    return proof
  }
  const totpOf = (secret: string, label: string): TOTP =>
    new TOTP({ issuer: 'Gatehouse', label, secret: Secret.fromBase32(secret) })
  const add: MemoryAccounts['add'] = (userId, more = {}) => {
    const accountId = `acc_${randomBytes(6).toString('hex')}`
    const plain = { name: null, role: 'user', groups: [], isActive: true, password: null, totp: null } as const
    const made: Kept = {
      ...plain,
      accountId,
      userId,
      pendingTotp: null,
      lastStep: 0,
      codes: [],
      passkeys: [],
      claims: {},
      ...more,
    }
    all.set(accountId, made)
    return made
  }
  return {
    add,
    get: (userId) => byUserId(userId) ?? add(userId),
    switchOff: (accountId) => change(accountId, { isActive: false }),
    giveTotp: (accountId, totp) => change(accountId, { totp }),
    makeSetup: (userId) => {
      const token = randomBytes(16).toString('base64url')
      setups.set(token, (byUserId(userId) ?? add(userId, { role: 'admin' })).accountId)
      return token
    },
    find: async (accountId) => all.get(accountId) ?? null,
    findByUserId: async (userId) => byUserId(userId),
    createPerson: async (person) => add(person.userId, person),
    takeOver: async (accountId, { groups, claims }) => change(accountId, { groups, claims }),
    findSetup: async (token) => {
      const accountId = setups.get(token)
      return accountId === undefined ? null : { accountId, userId: must(accountId).userId, isFirstAdmin: true }
    },
    endSetup: async (token) => setups.delete(token),
    checkPassword: async ({ userId, password }) => {
      const found = byUserId(userId)
      if (found === null || found.password === null || found.password !== password)
        throw new Problem(REFUSED, 'The user name or the password is not right.')
      return { accountId: found.accountId }
    },
    checkTotp: async ({ accountId, code }) => {
      const { totp, userId, lastStep } = must(accountId)
      const now = clock.now()
      const delta =
        totp === null ? null : totpOf(totp, userId).validate({ token: code.trim(), timestamp: now, window: 1 })
      const step = Math.floor(now / 30_000) + (delta ?? 0)
      if (delta === null || step <= lastStep) throw new Problem(REFUSED, 'That code is not right, or was used before.')
      change(accountId, { lastStep: step })
    },
    checkRecoveryCode: async ({ accountId, code }) => {
      const { codes } = must(accountId)
      if (!codes.includes(code)) throw new Problem(REFUSED, 'That recovery code is not right.')
      change(accountId, { codes: codes.filter((one) => one !== code) })
    },
    factors: async (accountId) => {
      const { password, totp, passkeys, codes } = must(accountId)
      return { hasPassword: password !== null, hasTotp: totp !== null, passkeys, recoveryCodesLeft: codes.length }
    },
    setPassword: async (accountId, password) => change(accountId, { password }),
    beginTotp: async (accountId) => {
      const { userId, pendingTotp } = must(accountId)
      const secret = pendingTotp ?? new Secret({ size: 20 }).base32
      change(accountId, { pendingTotp: secret })
      return { secret, uri: totpOf(secret, userId).toString() }
    },
    finishTotp: async (accountId, code) => {
      const { pendingTotp, userId } = must(accountId)
      if (
        pendingTotp === null ||
        totpOf(pendingTotp, userId).validate({ token: code, timestamp: clock.now() }) === null
      )
        throw new Problem(REFUSED, 'That code is not right. Wait for the next one and try again.')
      change(accountId, { totp: pendingTotp, pendingTotp: null })
    },
    removeTotp: async (accountId) => change(accountId, { totp: null }),
    makeRecoveryCodes: async (accountId) => {
      const codes = Array.from({ length: 10 }, () =>
        randomBytes(5)
          .toString('hex')
          .replace(/(.{5})/, '$1-'),
      )
      change(accountId, { codes })
      return codes
    },
    removePasskey: async (accountId, id) => {
      change(accountId, { passkeys: must(accountId).passkeys.filter((one) => one.id !== id) })
    },
    beginPasskey: async (accountId) => {
      const { userId, passkeys } = must(accountId)
      const options = await generateRegistrationOptions({
        rpName: 'Gatehouse',
        rpID: rp().rpID,
        userName: userId,
        excludeCredentials: passkeys.map(({ id }) => ({ id })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      })
      return { options, state: prove({ kind: 'add', challenge: options.challenge, accountId }) }
    },
    finishPasskey: async (accountId, { state, answer, name }) => {
      const proof = take(state, 'add')
      const verified = await verifyRegistrationResponse({
        response: answer as RegistrationResponseJSON, // the library checks what came
        expectedChallenge: proof.challenge,
        expectedOrigin: rp().origin,
        expectedRPID: rp().rpID,
        requireUserVerification: true,
      }).catch(refuse)
      if (!verified.verified || proof.accountId !== accountId)
        throw new Problem(REFUSED, 'That passkey cannot be used.')
      const { credential } = verified.registrationInfo
      const passkey = { id: credential.id, name, createdAt: clock.now(), lastUsedAt: null, credential }
      change(accountId, { passkeys: [...must(accountId).passkeys, passkey] })
    },
    beginPasskeySignIn: async (accountId) => {
      const options = await generateAuthenticationOptions({
        rpID: rp().rpID,
        userVerification: 'required',
        ...(accountId === null ? {} : { allowCredentials: must(accountId).passkeys.map(({ id }) => ({ id })) }),
      })
      return { options, state: prove({ kind: 'use', challenge: options.challenge, accountId }) }
    },
    finishPasskeySignIn: async ({ state, answer }) => {
      const proof = take(state, 'use')
      const response = answer as AuthenticationResponseJSON // the library checks what came
      const owner = [...all.values()].find(({ passkeys }) => passkeys.some(({ id }) => id === response.id))
      const passkey = owner?.passkeys.find(({ id }) => id === response.id)
      if (!owner || !passkey) throw new Problem(REFUSED, 'That passkey is not known here.')
      const verified = await verifyAuthenticationResponse({
        response,
        expectedChallenge: proof.challenge,
        expectedOrigin: rp().origin,
        expectedRPID: rp().rpID,
        credential: passkey.credential,
        requireUserVerification: true,
      }).catch(refuse)
      if (!verified.verified) throw new Problem(REFUSED, 'That passkey was not accepted.')
      passkey.credential.counter = verified.authenticationInfo.newCounter
      return { accountId: owner.accountId }
    },
    keys: async () => [],
    revokeKey: async () => {
      throw new Problem(GONE, 'There is no such key.')
    },
  }
}

function refuse(cause: unknown): never {
  throw new Problem(REFUSED, 'That passkey was not accepted.', { cause })
}

export function createMemorySessions({ clock }: { clock: Clock }): Sessions & { readonly all: Map<string, Session> } {
  const all = new Map<string, Session>()
  const drop = (isMeant: (one: Session) => boolean): void => {
    for (const [token, session] of all) if (isMeant(session)) all.delete(token)
  }
  return {
    all,
    start: async ({ accountId, factor, from }) => {
      const token = randomBytes(24).toString('base64url')
      const at = clock.now()
      const session = { id: randomBytes(8).toString('hex'), accountId, factor, signedInAt: at, lastSeenAt: at, ...from }
      all.set(token, session)
      return { token, session }
    },
    find: async (token) => all.get(token) ?? null,
    list: async (accountId) => [...all.values()].filter((one) => one.accountId === accountId),
    end: async (accountId, id) => {
      if (![...all.values()].some((one) => one.accountId === accountId && one.id === id))
        throw new Problem(GONE, 'There is no such session.')
      drop((one) => one.accountId === accountId && one.id === id)
    },
    endOthers: async (accountId, keepId) => drop((one) => one.accountId === accountId && one.id !== keepId),
  }
}

export type MemoryServer = AuthorizationServer & {
  readonly questions: Map<string, ConsentQuestion>
  readonly devices: Map<string, Omit<ConsentQuestion, 'redirectUri' | 'isKnown' | 'signedInAfter'>>
  readonly answers: string[]
}

export function createMemoryServer(): MemoryServer {
  const questions = new Map<string, ConsentQuestion>()
  const devices: MemoryServer['devices'] = new Map()
  const answers: string[] = []
  const onward = (uid: string, query: string) => ({
    location: `${questions.get(uid)?.redirectUri}?${query}`,
    cookies: [],
  })
  return {
    questions,
    devices,
    answers,
    findInteraction: async (_, uid) => questions.get(uid) ?? null,
    allow: async (_, { uid, account }) => {
      answers.push(`allow ${uid} ${account.userId}`)
      return onward(uid, 'code=the-code')
    },
    deny: async (_, uid) => {
      answers.push(`deny ${uid}`)
      return onward(uid, 'error=access_denied')
    },
    findDevice: async (userCode) => {
      const found = devices.get(userCode)
      if (!found) throw new Problem(GONE, 'That code is not known, or its time is over.')
      return found
    },
    allowDevice: async ({ userCode, account }) => void answers.push(`allow device ${userCode} ${account.userId}`),
    denyDevice: async (userCode) => void answers.push(`deny device ${userCode}`),
    grants: async () => [{ grantId: 'grant_1', name: 'Claude Code', gateways: ['finance'], grantedAt: Date.now() }],
    revokeGrant: async (_, grantId) => void answers.push(`revoke ${grantId}`),
  }
}
