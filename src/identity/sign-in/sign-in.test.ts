import { expect, it } from 'vitest'
import { isProblem, Secret } from '#kernel'
import { forEachEngine } from '../../storage/testing.ts'
import { openTestIdentity, type TestIdentity } from '../testing.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' }
const ANNE = 'anne@example.com'
const RIGHT = 'correct horse battery'
const OFFICE = { address: '192.0.2.1', agent: 'Firefox' }
const ELSEWHERE = { address: '198.51.100.7', agent: 'Firefox' }

async function withAnne(house: TestIdentity): Promise<string> {
  const { id } = await house.identity.accounts.create({ userId: ANNE }, ADMIN)
  await house.identity.passwords.set(id, new Secret(RIGHT), ADMIN)
  return id
}

function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    (answer) => (answer === null || answer === false ? 'wrong' : 'right'),
    (error: unknown) => (isProblem(error) ? error.kind.code : String(error)),
  )
}

const signIn = (house: TestIdentity, userId: string, password: string, from = OFFICE) =>
  outcome(house.identity.signIn.checkPassword({ userId, password: new Secret(password), from }))

async function guess(house: TestIdentity, userId: string, times: number, from = OFFICE): Promise<string[]> {
  const seen: string[] = []
  for (let n = 0; n < times; n++) seen.push(await signIn(house, userId, `wrong guess number ${n}`, from))
  return seen
}

forEachEngine((engine) => {
  it('a right password signs in, also with a capital in front and a space behind the name', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)

    expect(await signIn(house, ANNE, RIGHT)).toBe('right')
    expect(await signIn(house, 'Anne@example.com ', RIGHT)).toBe('right')
    expect(await signIn(house, ANNE, 'something else')).toBe('wrong')
  })

  it('after five wrong guesses there is a pause that grows, the right password included', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)
    const seen = await guess(house, ANNE, 7)
    expect(seen).toEqual([...Array.from({ length: 6 }, () => 'wrong'), 'identity/sign-in-locked'])
    expect(await signIn(house, ANNE, RIGHT)).toBe('identity/sign-in-locked')

    house.clock.at += 1_100
    expect(await signIn(house, ANNE, 'wrong once more')).toBe('wrong')
    house.clock.at += 1_100
    expect(await signIn(house, ANNE, RIGHT)).toBe('identity/sign-in-locked')
    house.clock.at += 60_000
    expect(await signIn(house, ANNE, RIGHT)).toBe('right')
  })

  it('whoever is locked out from one address still gets in from another', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)
    await guess(house, ANNE, 8)

    expect(await signIn(house, ANNE, RIGHT, ELSEWHERE)).toBe('right')
  })

  it('a user there is not is treated word for word like one there is', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)

    const known = await guess(house, ANNE, 8, OFFICE)
    const unknown = await guess(house, 'nobody@example.com', 8, ELSEWHERE)

    expect(unknown).toEqual(known)
  })

  it('of many guesses at once no more are made than one after the other', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)

    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, n) => signIn(house, ANNE, `wrong guess ${n} of many`)),
    )

    expect(seen.filter((code) => code === 'wrong').length).toBeLessThanOrEqual(6)
    expect(seen.filter((code) => code === 'identity/sign-in-locked').length).toBeGreaterThanOrEqual(14)
  })

  it('second factors are counted for the account, wherever the guesses come from', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await withAnne(house)
    const tryCode = (n: number, isRight = false) => {
      const from = { address: `203.0.113.${n}`, agent: '' }
      return outcome(house.identity.signIn.checkSecond({ accountId, factor: 'totp', from }, async () => isRight))
    }
    for (let n = 0; n < 6; n++) expect(await tryCode(n)).toBe('wrong')

    expect(await tryCode(7, true)).toBe('identity/sign-in-locked')
    house.clock.at += 11_000
    expect(await tryCode(8, true)).toBe('right')
    expect(await tryCode(9)).toBe('wrong')
  })

  it('wrong guesses are in the audit trail, with the address and never with what was typed', async () => {
    await using house = await openTestIdentity(engine)
    await withAnne(house)
    await signIn(house, ANNE, 'a secret typed wrongly')

    const { records } = await house.audit.search({ what: 'sign-in.attempted' })

    expect(records).toMatchObject([
      { decision: 'denied', userId: ANNE, extra: { factor: 'password', from: '192.0.2.1' } },
    ])
    expect(JSON.stringify(records)).not.toContain('typed wrongly')
  })

  it('a session lives while it is used, on every replica, and no longer than a week', async () => {
    await using house = await openTestIdentity(engine)
    const other = await house.openReplica()
    const accountId = await withAnne(house)
    const { token, session } = await house.identity.sessions.start({ accountId, factor: 'password', from: OFFICE })
    await expect.poll(() => other.sessions.find(token)).toMatchObject({ id: session.id, accountId })

    for (let hours = 0; hours < 160; hours += 10) {
      house.clock.at += 10 * 3_600_000
      expect((await house.identity.sessions.find(token))?.id).toBe(session.id)
    }
    house.clock.at += 10 * 3_600_000

    expect(await house.identity.sessions.find(token)).toBeNull()
  })

  it('a session that is unused for half a day, ended, or of a switched-off account is none', async () => {
    await using house = await openTestIdentity(engine)
    const { sessions, accounts } = house.identity
    const accountId = await withAnne(house)
    const start = () => sessions.start({ accountId, factor: 'password', from: OFFICE })
    const [idle, kept, ended] = [await start(), await start(), await start()]

    await sessions.end(accountId, ended.session.id, ADMIN)
    const foreign = await outcome(sessions.end('acc_other', kept.session.id, ADMIN))
    const found = await Promise.all([idle, kept, ended].map(({ token }) => sessions.find(token)))
    await accounts.update(accountId, { isActive: false }, ADMIN)
    const afterwards = await sessions.find(kept.token)
    await accounts.update(accountId, { isActive: true }, ADMIN)
    house.clock.at += 12 * 3_600_000 + 1

    expect(found.map((session) => session?.id ?? null)).toEqual([idle.session.id, kept.session.id, null])
    expect(foreign).toBe('identity/no-such-session')
    expect(afterwards).toBeNull()
    expect(await sessions.find(idle.token)).toBeNull()
  })

  it('the database holds neither session tokens nor links', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await withAnne(house)
    const { token } = await house.identity.sessions.start({ accountId, factor: 'password', from: OFFICE })
    const link = await house.identity.links.create(ANNE, ADMIN)

    const db = house.storage.tables<{ identity_session: object; identity_link: object }>()
    const rows = [
      ...(await db.selectFrom('identity_session').selectAll().execute()),
      ...(await db.selectFrom('identity_link').selectAll().execute()),
      ...(await house.audit.search({})).records,
    ]

    expect(rows.length).toBeGreaterThan(3)
    expect(JSON.stringify(rows)).not.toContain(token)
    expect(JSON.stringify(rows)).not.toContain(link.token)
  })

  it('a link works once, also for many at once, for a day, and the newest alone', async () => {
    await using house = await openTestIdentity(engine)
    const { links } = house.identity
    await withAnne(house)
    const older = await links.create(ANNE, ADMIN)
    const link = await links.create(ANNE, ADMIN)

    expect(await links.find(older.token)).toBeNull()
    expect(await links.find(link.token)).toMatchObject({ userId: ANNE, isFirstAdmin: false })
    const ends = await Promise.all(Array.from({ length: 10 }, () => links.end(link.token)))
    const late = await links.create(ANNE, ADMIN)
    house.clock.at += 24 * 3_600_000 + 1

    expect(ends.filter(Boolean)).toHaveLength(1)
    expect(await links.find(link.token)).toBeNull()
    expect([await links.find(late.token), await links.end(late.token)]).toEqual([null, false])
  })

  it('the first admin gets a link until somebody can sign in as an admin', async () => {
    await using house = await openTestIdentity(engine)
    const { links, passwords, accounts } = house.identity
    const has = (accountId: string) => passwords.has(accountId)

    const first = await links.forFirstAdmin(has)
    const again = await links.forFirstAdmin(has)
    const found = await links.find(again?.token ?? '')
    await passwords.set(found?.accountId ?? '', new Secret(RIGHT), ADMIN)

    expect(await links.find(first?.token ?? '')).toBeNull()
    expect(found).toMatchObject({ userId: 'admin', isFirstAdmin: true })
    expect(await links.forFirstAdmin(has)).toBeNull()
    expect((await accounts.list()).accounts).toMatchObject([{ userId: 'admin', role: 'admin' }])
  })

  it('the last active admin stays one', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    await accounts.create({ userId: 'root', role: 'admin' }, ADMIN)

    const tries = [
      await outcome(accounts.update('root', { role: 'user' }, ADMIN)),
      await outcome(accounts.update('root', { isActive: false }, ADMIN)),
      await outcome(accounts.remove('root', ADMIN)),
    ]

    expect(tries).toEqual(Array.from({ length: 3 }, () => 'identity/last-admin'))
  })
})
