import { expect, it } from 'vitest'
import { isProblem } from '#kernel'
import { forEachEngine } from '../../storage/testing.ts'
import { BAD_FACTOR, NO_SUCH_FACTOR, SIGN_IN_BUSY } from '../problems.ts'
import { openTestIdentity, PUBLIC_URL, type TestIdentity } from '../testing.ts'
import { readAdded } from './passkey-answer.ts'
import { relyingPartyOf } from './relying-party.ts'
import { createAuthenticator, type Tricks } from './testing-authenticator.ts'

const BY = { userId: 'anne@example.com', face: 'web' }
const HERE = { origin: PUBLIC_URL, rpId: 'gate.example' }
const OTHERS = Buffer.from('acc_other').toString('base64url')

const problem = (kind: { code: string; status: number; title: string }) => (error: unknown) => isProblem(error, kind)

async function addAccount(house: TestIdentity, userId = 'anne@example.com') {
  const { id } = await house.identity.accounts.create({ userId }, BY)
  return id
}

async function addPasskey(house: TestIdentity, accountId: string, authenticator = createAuthenticator(HERE)) {
  const { factors } = house.identity
  const { options, state } = await factors.beginPasskey(accountId)
  await factors.finishPasskey(accountId, { state, answer: authenticator.add(options), name: 'telephone' }, BY)
  return authenticator
}

type Authenticator = ReturnType<typeof createAuthenticator>

async function signIn(house: TestIdentity, authenticator: Authenticator, tricks?: Tricks, of: string | null = null) {
  const { factors } = house.identity
  const { options, state } = await factors.beginPasskeySignIn(of)
  return factors.finishPasskeySignIn({ state, answer: authenticator.signIn(options, tricks) })
}

async function refusals({ audit }: TestIdentity): Promise<unknown[]> {
  const { records } = await audit.search({ what: 'factor.refused' })
  return records.map(({ userId, reason, extra }) => [userId ?? null, reason, extra?.['kind']])
}

forEachEngine((engine) => {
  it('a passkey signs in alone and as the second factor, and is gone when it is removed', async () => {
    await using house = await openTestIdentity(engine)
    const { factors } = house.identity
    const accountId = await addAccount(house)
    const authenticator = await addPasskey(house, accountId)
    house.clock.at += 60_000

    const answers = [await signIn(house, authenticator), await signIn(house, authenticator, {}, accountId)]
    answers.push(await signIn(house, authenticator, { userHandle: null }, accountId))
    const { passkeys } = await factors.list(accountId)
    await factors.removePasskey(accountId, passkeys[0]?.id ?? '', BY)

    expect(answers).toEqual([{ accountId }, { accountId }, { accountId }])
    const { at } = house.clock
    expect(passkeys).toMatchObject([{ name: 'telephone', createdAt: at - 60_000, lastUsedAt: at, isBackedUp: true }])
    expect(await signIn(house, authenticator)).toBeNull()
    expect((await factors.list(accountId)).passkeys).toEqual([])
    const { records } = await house.audit.search({})
    expect(records.filter(({ what }) => /^factor\.(?:added|removed)$/.test(what))).toMatchObject([
      {
        what: 'factor.removed',
        decision: 'allowed',
        userId: BY.userId,
        extra: { kind: 'passkey', account: accountId },
      },
      { what: 'factor.added', decision: 'allowed', userId: BY.userId, extra: { kind: 'passkey', account: accountId } },
    ])
  })

  it('of fifty deliveries of one answer at once, on two replicas, one signs in', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await addAccount(house)
    const authenticator = await addPasskey(house, accountId)
    const replicas = [house.identity, await house.openReplica()]
    const { options, state } = await house.identity.factors.beginPasskeySignIn(null)
    const answer = authenticator.signIn(options)

    const answers = await Promise.all(
      Array.from({ length: 25 }, () =>
        replicas.map(({ factors }) => factors.finishPasskeySignIn({ state, answer })),
      ).flat(),
    )

    expect(answers.filter((found) => found !== null)).toEqual([{ accountId }])
    expect(await refusals(house)).toContainEqual([null, 'used', 'passkey'])
  })

  it('of many copies of an authenticator that count the same, one signs in', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await addAccount(house)
    const authenticator = await addPasskey(house, accountId)

    const answers = await Promise.all(Array.from({ length: 10 }, () => signIn(house, authenticator, { counter: 9 })))

    expect(answers.filter((found) => found !== null)).toEqual([{ accountId }])
    expect((await refusals(house))[0]).toEqual(['anne@example.com', 'counter', 'passkey'])
    expect(await signIn(house, authenticator, { counter: 8 })).toBeNull()
    expect(await signIn(house, authenticator, { counter: 0 })).toBeNull()
    expect(await signIn(house, authenticator, { counter: 10 })).toEqual({ accountId })
  })

  it('an authenticator that never counts signs in each time', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await addAccount(house)
    const authenticator = await addPasskey(house, accountId, createAuthenticator({ ...HERE, counts: false }))

    expect([await signIn(house, authenticator), await signIn(house, authenticator)]).toEqual([
      { accountId },
      { accountId },
    ])
    expect(await signIn(house, authenticator, { counter: 1 })).toEqual({ accountId })
    expect(await signIn(house, authenticator)).toBeNull()
  })

  it('passkeys and ceremonies go with their account', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await addAccount(house)
    const authenticator = await addPasskey(house, accountId)
    await house.identity.factors.beginPasskey(accountId)

    await house.identity.accounts.remove(accountId, BY)

    const db = house.storage.tables<Record<'identity_passkey' | 'identity_ceremony', { account_id: string | null }>>()
    expect(await db.selectFrom('identity_passkey').selectAll().execute()).toEqual([])
    expect(await db.selectFrom('identity_ceremony').selectAll().execute()).toEqual([])
    expect(await signIn(house, authenticator)).toBeNull()
  })
})

it.each<[string, Tricks]>([
  ['from another origin', { origin: 'https://gate.example.evil.test' }],
  ['from the same host without TLS', { origin: 'http://gate.example' }],
  ['from a subdomain', { origin: 'https://x.gate.example' }],
  ['for another domain', { rpId: 'evil.test' }],
  ["got by a frame in somebody else's page", { crossOrigin: true }],
  ['to another challenge', { challenge: 'AAAA' }],
  ['that was made to add a passkey', { type: 'webauthn.create' }],
  ['without a finger or a PIN', { isVerified: false }],
  ['without a user handle', { userHandle: null }],
  ["with somebody else's user handle", { userHandle: OTHERS }],
])('an answer %s does not sign in, and the ceremony is over', async (_what, tricks) => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const authenticator = await addPasskey(house, await addAccount(house))
  const { options, state } = await factors.beginPasskeySignIn(null)

  const answers = [await factors.finishPasskeySignIn({ state, answer: authenticator.signIn(options, tricks) })]
  answers.push(await factors.finishPasskeySignIn({ state, answer: authenticator.signIn(options) }))

  expect(answers).toEqual([null, null])
  expect((await refusals(house)).at(-1)).toEqual(['anne@example.com', 'wrong', 'passkey'])
})

it.each<[string, Tricks]>([
  ['from another origin', { origin: 'https://evil.test' }],
  ['for another domain', { rpId: 'evil.test' }],
  ["got by a frame in somebody else's page", { crossOrigin: true }],
  ['to another challenge', { challenge: 'AAAA' }],
  ['that was made to sign in', { type: 'webauthn.get' }],
  ['without a finger or a PIN', { isVerified: false }],
  ['with a certificate', { format: 'packed', statement: new Map([['x5c', Buffer.from('x')]]) }],
])('an answer %s adds no passkey', async (_what, tricks) => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const accountId = await addAccount(house)
  const { options, state } = await factors.beginPasskey(accountId)
  const answer = createAuthenticator(HERE).add(options, tricks)

  const added = factors.finishPasskey(accountId, { state, answer, name: 'x' }, BY)

  await expect(added).rejects.toSatisfy(problem(BAD_FACTOR))
  expect((await factors.list(accountId)).passkeys).toEqual([])
  expect(await refusals(house)).toEqual([['anne@example.com', 'wrong', 'passkey']])
})

it('a ceremony is for its account, its purpose and five minutes', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const anne = await addAccount(house)
  const bob = await addAccount(house, 'bob@example.com')
  const [annes, bobs] = [await addPasskey(house, anne), await addPasskey(house, bob)]
  const forBob = await factors.beginPasskey(bob)
  const toSignIn = await factors.beginPasskeySignIn(anne)
  const late = await factors.beginPasskeySignIn(null)
  const lateAnswer = annes.signIn(late.options)

  const stolen = { state: forBob.state, answer: createAuthenticator(HERE).add(forBob.options), name: 'x' }
  await expect(factors.finishPasskey(anne, stolen, BY)).rejects.toSatisfy(problem(BAD_FACTOR))
  const crossed = { state: toSignIn.state, answer: createAuthenticator(HERE).add(toSignIn.options), name: 'x' }
  await expect(factors.finishPasskey(anne, crossed, BY)).rejects.toSatisfy(problem(BAD_FACTOR))

  expect(await signIn(house, bobs, {}, anne)).toBeNull()
  expect(await signIn(house, bobs, { userHandle: null }, anne)).toBeNull()
  house.clock.at += 5 * 60_000
  expect(await factors.finishPasskeySignIn({ state: late.state, answer: lateAnswer })).toBeNull()
  expect((await factors.list(anne)).passkeys).toHaveLength(1)
})

it.each([
  ['of an authenticator that nobody has', (options: object) => createAuthenticator(HERE).signIn(options)],
  ['that is empty', () => ({})],
  ['that is no object', () => 'answer'],
  ['that is too long', () => ({ id: 'A'.repeat(100_000) })],
])('an answer %s does not sign in', async (_what, make) => {
  await using house = await openTestIdentity('sqlite')
  await addPasskey(house, await addAccount(house))
  const { options, state } = await house.identity.factors.beginPasskeySignIn(null)

  expect(await house.identity.factors.finishPasskeySignIn({ state, answer: make(options) })).toBeNull()
})

it('a passkey is added once: its answer cannot come again, nor can it serve a second account', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const anne = await addAccount(house)
  const bob = await addAccount(house, 'bob@example.com')
  const authenticator = createAuthenticator(HERE)
  const { options, state } = await factors.beginPasskey(anne)
  const given = { state, answer: authenticator.add(options), name: '' }
  await factors.finishPasskey(anne, given, BY)

  await expect(factors.finishPasskey(anne, given, BY)).rejects.toSatisfy(problem(BAD_FACTOR))
  await expect(addPasskey(house, bob, authenticator)).rejects.toSatisfy(problem(BAD_FACTOR))

  expect((await factors.list(anne)).passkeys).toMatchObject([{ name: 'Passkey', lastUsedAt: null }])
  expect((await factors.list(bob)).passkeys).toEqual([])
})

it('asks for passkeys that sign in alone, on authenticators that have none yet, and tells no user id in its handle', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const accountId = await addAccount(house)
  const { id } = await addPasskey(house, accountId)

  const adding = await factors.beginPasskey(accountId)
  const alone = await factors.beginPasskeySignIn(null)
  const second = await factors.beginPasskeySignIn(accountId)

  expect(adding.options).toMatchObject({
    rp: { id: 'gate.example', name: 'Gatehouse' },
    user: { id: Buffer.from(accountId).toString('base64url'), name: 'anne@example.com' },
    attestation: 'none',
    excludeCredentials: [{ id, transports: ['internal', 'hybrid'] }],
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
  expect(alone.options).toMatchObject({ rpId: 'gate.example', userVerification: 'required', allowCredentials: [] })
  expect(second.options).toMatchObject({ allowCredentials: [{ id }] })
  expect(new Set([adding.state, alone.state, second.state]).size).toBe(3)
})

it('only the holder removes a passkey, and that of a sleeping account signs nobody in', async () => {
  await using house = await openTestIdentity('sqlite')
  const { accounts, factors } = house.identity
  const anne = await addAccount(house)
  const bob = await addAccount(house, 'bob@example.com')
  const authenticator = await addPasskey(house, anne)
  const [passkey] = (await factors.list(anne)).passkeys

  await expect(factors.removePasskey(bob, passkey?.id ?? '', BY)).rejects.toSatisfy(problem(NO_SUCH_FACTOR))
  await accounts.update(anne, { isActive: false }, BY)

  expect(await signIn(house, authenticator)).toBeNull()
  expect((await factors.list(anne)).passkeys).toHaveLength(1)
})

it('an account begins at most fifty ceremonies in five minutes', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const accountId = await addAccount(house)
  for (let begun = 0; begun < 50; begun++) await factors.beginPasskeySignIn(accountId)

  await expect(factors.beginPasskeySignIn(accountId)).rejects.toSatisfy(problem(SIGN_IN_BUSY))
  house.clock.at += 5 * 60_000

  await expect(factors.beginPasskeySignIn(accountId)).resolves.toMatchObject({ options: {} })
})

it('reads an attestation that an authenticator signed itself, and none with certificates or of another kind', () => {
  const options = { challenge: 'AAAA', user: { id: 'AAAA' } }
  const read = (tricks: Tricks) => readAdded(createAuthenticator(HERE).add(options, tricks))

  expect(read({ format: 'packed' })).toMatchObject({ type: 'public-key' })
  expect(read({ format: 'packed', statement: new Map([['x5c', Buffer.from('x')]]) })).toBeNull()
  expect(read({ format: 'apple' })).toBeNull()
})

it('passkeys are made for the domain of the public URL, and a house on this machine is localhost', () => {
  expect(relyingPartyOf('https://Gate.example:8443/x')).toEqual({
    rpID: 'gate.example',
    origin: 'https://gate.example:8443',
  })
  expect(relyingPartyOf('http://127.0.0.1:8080')).toEqual({ rpID: 'localhost', origin: 'http://localhost:8080' })
  expect(relyingPartyOf('http://[::1]:8080')).toEqual({ rpID: 'localhost', origin: 'http://localhost:8080' })
  expect(() => relyingPartyOf('https://192.0.2.7')).toThrow('need a domain')
})
