import { spawnSync } from 'node:child_process'
import { Secret as TotpSecret, TOTP } from 'otpauth'
import { expect, it } from 'vitest'
import { isProblem, Secret } from '#kernel'
import { forEachEngine } from '../../storage/testing.ts'
import { BAD_FACTOR, NO_SUCH_ACCOUNT, NO_SUCH_FACTOR } from '../problems.ts'
import { openTestIdentity, START, type TestIdentity } from '../testing.ts'
import { createSecretSeal } from './secret-seal.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const STEP_MS = 30_000

const problem = (kind: { code: string; status: number; title: string }) => (error: unknown) => isProblem(error, kind)

async function addAnne(house: TestIdentity) {
  const { id } = await house.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
  return id
}

/** Sets an app up, and moves to a time at which its first code is past. */
async function setUpApp(house: TestIdentity, accountId: string) {
  const { factors } = house.identity
  const { secret, uri } = await factors.beginTotp(accountId)
  const app = new TOTP({ secret: TotpSecret.fromBase32(secret) })
  const codeAt = (at: number) => app.generate({ timestamp: at })
  await factors.finishTotp(accountId, codeAt(house.clock.at), ADMIN)
  house.clock.at += 4 * STEP_MS
  return { secret, uri, codeAt, check: (code: string) => factors.checkTotp({ accountId, code }) }
}

async function everythingStored({ storage, audit }: TestIdentity): Promise<string> {
  const db = storage.tables<Record<'identity_totp' | 'identity_recovery_code', { account_id: string }>>()
  const totp = await db.selectFrom('identity_totp').selectAll().execute()
  const codes = await db.selectFrom('identity_recovery_code').selectAll().execute()
  return JSON.stringify([totp, codes, (await audit.search({})).records])
}

async function eventsOf({ audit }: TestIdentity): Promise<unknown[]> {
  const { records } = await audit.search({})
  const about = records.filter(({ what }) => what.startsWith('factor.'))
  return about.map(({ what, userId, decision, reason, extra }) => [what, userId, decision, reason, extra?.['kind']])
}

forEachEngine((engine) => {
  it('an app is in use from its first code on, and each of its codes is good once', async () => {
    await using house = await openTestIdentity(engine)
    const { factors } = house.identity
    const accountId = await addAnne(house)
    const begun = await factors.beginTotp(accountId)
    const before = await factors.list(accountId)
    const unconfirmed = await factors.checkTotp({ accountId, code: codeOf(begun.secret) })
    await expect(factors.finishTotp(accountId, '00000', ADMIN)).rejects.toSatisfy(problem(BAD_FACTOR))

    await factors.finishTotp(accountId, codeOf(begun.secret), ADMIN)
    const answers = [await factors.checkTotp({ accountId, code: codeOf(begun.secret) })]
    house.clock.at += STEP_MS
    const code = codeOf(begun.secret, house.clock.at)
    answers.push(await factors.checkTotp({ accountId, code }), await factors.checkTotp({ accountId, code }))

    expect([before.hasTotp, unconfirmed]).toEqual([false, 'wrong'])
    expect(answers).toEqual(['used', 'ok', 'used'])
    expect(await factors.list(accountId)).toMatchObject({ hasTotp: true, hasPassword: false, recoveryCodesLeft: 0 })
    expect(begun.uri).toMatch(/^otpauth:\/\/totp\/Gatehouse:anne%40example\.com\?issuer=Gatehouse&/)
    expect(await eventsOf(house)).toEqual([
      ['factor.refused', 'anne@example.com', 'denied', 'used', 'totp'],
      ['factor.refused', 'anne@example.com', 'denied', 'used', 'totp'],
      ['factor.added', 'admin', 'allowed', undefined, 'totp'],
      ['factor.refused', 'anne@example.com', 'denied', 'wrong', 'totp'],
    ])
  })

  it('of fifty submissions of one code at once, on two replicas, one is taken', async () => {
    await using house = await openTestIdentity(engine)
    const accountId = await addAnne(house)
    const app = await setUpApp(house, accountId)
    const replicas = [house.identity, await house.openReplica()]
    const code = app.codeAt(house.clock.at)

    const answers = await Promise.all(
      Array.from({ length: 25 }, () => replicas.map(({ factors }) => factors.checkTotp({ accountId, code }))).flat(),
    )

    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'used')).toHaveLength(49)
  })

  it('a code is good one step early and one late, and after it none of an earlier step', async () => {
    await using house = await openTestIdentity(engine)
    const app = await setUpApp(house, await addAnne(house))
    const now = house.clock.at

    const answers: string[] = []
    for (const steps of [-2, 2, -1, 1, 0, -1, 1]) answers.push(await app.check(app.codeAt(now + steps * STEP_MS)))

    expect(answers).toEqual(['wrong', 'wrong', 'ok', 'ok', 'used', 'used', 'used'])
  })

  it('recovery codes are good once each, however they are typed, and new ones end the old', async () => {
    await using house = await openTestIdentity(engine)
    const { factors } = house.identity
    const accountId = await addAnne(house)
    const check = (code = '') => factors.checkRecoveryCode({ accountId, code })
    const old = await factors.makeRecoveryCodes(accountId, ADMIN)
    const codes = await factors.makeRecoveryCodes(accountId, ADMIN)

    const atOnce = await Promise.all(Array.from({ length: 50 }, () => check(codes[0])))
    const answers = [await check(old[0]), await check(` ${codes[1]?.replaceAll('-', ' ').toUpperCase()}`)]
    answers.push(
      await check(codes[1]),
      await check('0000-0000-0000-0000'),
      await check(''),
      await check('x'.repeat(99)),
    )

    expect(new Set([...old, ...codes]).size).toBe(20)
    expect(codes.every((code) => /^(?:[0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/.test(code))).toBe(true)
    expect(atOnce.filter((answer) => answer === 'ok')).toHaveLength(1)
    expect(answers).toEqual(['wrong', 'ok', 'used', 'wrong', 'wrong', 'wrong'])
    expect((await factors.list(accountId)).recoveryCodesLeft).toBe(8)
    expect((await eventsOf(house)).filter((event) => String(event).startsWith('factor.used'))).toHaveLength(2)
  })

  it('two who make recovery codes at once leave the ten of one of them', async () => {
    await using house = await openTestIdentity(engine)
    const { factors } = house.identity
    const accountId = await addAnne(house)

    await Promise.all([1, 2, 3, 4].map(() => factors.makeRecoveryCodes(accountId, ADMIN)))

    expect((await factors.list(accountId)).recoveryCodesLeft).toBe(10)
  })

  it('secrets and codes stand nowhere, and go with their account', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts, factors, passwords } = house.identity
    const accountId = await addAnne(house)
    const { secret, codeAt } = await setUpApp(house, accountId)
    await passwords.set(accountId, new Secret('correct horse battery'), ADMIN)
    const [code = ''] = await factors.makeRecoveryCodes(accountId, ADMIN)
    await factors.checkRecoveryCode({ accountId, code })

    const stored = await everythingStored(house)
    await accounts.remove(accountId, ADMIN)

    const raw = Buffer.from(TotpSecret.fromBase32(secret).bytes)
    for (const word of [secret, raw.toString('hex'), raw.toString('base64url'), code, code.replaceAll('-', '')])
      expect(stored).not.toContain(word)
    expect(await factors.list(accountId)).toMatchObject({ hasPassword: false, hasTotp: false, recoveryCodesLeft: 0 })
    expect(await factors.checkTotp({ accountId, code: codeAt(house.clock.at) })).toBe('wrong')
    expect(await everythingStored(house)).toMatch(/^\[\[\],\[\],/)
  })
})

it.skipIf(spawnSync('oathtool', ['--version']).error !== undefined)('takes the codes that oathtool makes', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const accountId = await addAnne(house)
  const { secret } = await factors.beginTotp(accountId)
  const oathtool = () => {
    const now = `@${Math.floor(house.clock.at / 1_000)}`
    return spawnSync('oathtool', ['--totp', '--base32', '--now', now, '-'], { input: secret }).stdout.toString().trim()
  }

  await factors.finishTotp(accountId, oathtool(), ADMIN)
  house.clock.at += STEP_MS

  expect(await factors.checkTotp({ accountId, code: oathtool() })).toBe('ok')
})

it.each([
  ['with a space', (code: string) => `${code.slice(0, 3)} ${code.slice(3)}`],
  ['with a space behind', (code: string) => `${code} `],
  ['with a line end', (code: string) => `${code}\n`],
  ['in full-width digits', (code: string) => code.replaceAll(/\d/g, (d) => String.fromCodePoint(0xff10 + Number(d)))],
  ['in Arabic digits', (code: string) => code.replaceAll(/\d/g, (d) => String.fromCodePoint(0x660 + Number(d)))],
  ['with a digit more', (code: string) => `0${code}`],
  ['with a digit less', (code: string) => code.slice(1)],
  ['without anything', () => ''],
])('a code %s is wrong', async (_how, change) => {
  await using house = await openTestIdentity('sqlite')
  const app = await setUpApp(house, await addAnne(house))
  const code = app.codeAt(house.clock.at)

  expect([await app.check(change(code)), await app.check(code)]).toEqual(['wrong', 'ok'])
})

it('an app that is set up again replaces the one before only when it is confirmed', async () => {
  await using house = await openTestIdentity('sqlite')
  const { factors } = house.identity
  const accountId = await addAnne(house)
  const first = await setUpApp(house, accountId)
  const { secret } = await factors.beginTotp(accountId)
  const between = await first.check(first.codeAt(house.clock.at))
  await factors.finishTotp(accountId, codeOf(secret, house.clock.at), ADMIN)
  house.clock.at += 4 * STEP_MS

  expect(between).toBe('ok')
  expect(await first.check(first.codeAt(house.clock.at))).toBe('wrong')
  expect(await first.check(codeOf(secret, house.clock.at))).toBe('ok')
})

it('an app that is not confirmed in half an hour must be set up anew', async () => {
  await using house = await openTestIdentity('sqlite')
  const accountId = await addAnne(house)
  const { secret } = await house.identity.factors.beginTotp(accountId)
  house.clock.at += 30 * 60_000

  const late = house.identity.factors.finishTotp(accountId, codeOf(secret, house.clock.at), ADMIN)

  await expect(late).rejects.toSatisfy(problem(BAD_FACTOR))
})

it('an app that was removed is not asked any more, nor is one of an account that is not active', async () => {
  await using house = await openTestIdentity('sqlite')
  const { accounts, factors } = house.identity
  const accountId = await addAnne(house)
  const app = await setUpApp(house, accountId)
  const [code = ''] = await factors.makeRecoveryCodes(accountId, ADMIN)
  await accounts.update(accountId, { isActive: false }, ADMIN)
  const asleep = [await app.check(app.codeAt(house.clock.at)), await factors.checkRecoveryCode({ accountId, code })]
  await accounts.update(accountId, { isActive: true }, ADMIN)

  await factors.removeTotp(accountId, ADMIN)

  expect(asleep).toEqual(['wrong', 'wrong'])
  expect(await app.check(app.codeAt(house.clock.at))).toBe('wrong')
  await expect(factors.removeTotp(accountId, ADMIN)).rejects.toSatisfy(problem(NO_SUCH_FACTOR))
})

it('only active people set factors up', async () => {
  await using house = await openTestIdentity('sqlite')
  const { accounts, factors } = house.identity
  const { id } = await accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)

  await expect(factors.beginTotp(id)).rejects.toSatisfy(problem(NO_SUCH_ACCOUNT))
  await expect(factors.makeRecoveryCodes(id, ADMIN)).rejects.toSatisfy(problem(NO_SUCH_ACCOUNT))
})

it('a sealed secret opens for its own account and purpose alone, and not when it was changed', () => {
  const seal = createSecretSeal(Buffer.alloc(32, 7))
  const place = { accountId: 'acc_1', purpose: 'totp' }
  const text = seal.seal(place, Buffer.from('secret'))
  const changed = Buffer.from(text, 'base64url')
  changed[14] = (changed[14] ?? 0) ^ 1

  expect(Buffer.from(seal.open(place, text)).toString()).toBe('secret')
  expect(() => seal.open({ ...place, accountId: 'acc_2' }, text)).toThrow()
  expect(() => seal.open({ ...place, purpose: 'other' }, text)).toThrow()
  expect(() => seal.open(place, changed.toString('base64url'))).toThrow()
})

function codeOf(secret: string, at = START): string {
  return new TOTP({ secret: TotpSecret.fromBase32(secret) }).generate({ timestamp: at })
}
