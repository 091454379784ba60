import { expect, it } from 'vitest'
import { isProblem, Secret } from '#kernel'
import { openTestIdentity, type TestIdentity } from '../testing.ts'

/** What whoever guesses can learn or reach, given time. */

const ADMIN = { userId: 'root', keyId: null, face: 'cli' }
const ANNE = 'anne@example.com'
const TIMES = 8

/** Processor time of some wrong guesses, each from another address so that none is told to wait. */
async function workOf(house: TestIdentity, userId: string): Promise<number> {
  const before = process.cpuUsage()
  for (let n = 0; n < TIMES; n += 1) {
    const from = { address: `203.0.113.${n}`, agent: '' }
    await house.identity.signIn.checkPassword({ userId, password: new Secret(`wrong guess ${n}`), from })
  }
  const { user, system } = process.cpuUsage(before)
  return user + system
}

it('a wrong password costs the same whether there is such a user, with a password, without one, or switched off', async () => {
  await using house = await openTestIdentity('sqlite')
  const { accounts, passwords } = house.identity
  for (const userId of [ANNE, 'off@example.com']) {
    const { id } = await accounts.create({ userId }, ADMIN)
    await passwords.set(id, new Secret('correct horse battery'), ADMIN)
  }
  await accounts.update('off@example.com', { isActive: false }, ADMIN)
  await accounts.create({ userId: 'passkey-only@example.com' }, ADMIN)
  await accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)
  await workOf(house, ANNE)

  const known = await workOf(house, ANNE)
  const others = ['off@example.com', 'passkey-only@example.com', 'robot', 'nobody@example.com']
  const shares: number[] = []
  for (const userId of others) shares.push((await workOf(house, userId)) / known)

  // Without a hash it would be a hundredth.
  expect(shares.filter((share) => share < 0.4 || share > 2.5)).toEqual([])
})

it('whoever has the password and tries every code, from everywhere, tries less than a hundred a day', async () => {
  await using house = await openTestIdentity('sqlite')
  const { id: accountId } = await house.identity.accounts.create({ userId: ANNE }, ADMIN)
  const seen = { tried: 0, locked: 0 }

  for (let minute = 0; minute < 24 * 60; minute += 1) {
    house.clock.at += 60_000
    const from = { address: `2001:db8::${minute.toString(16)}`, agent: '' }
    const check = async (): Promise<boolean> => {
      seen.tried += 1
      return false
    }
    await house.identity.signIn.checkSecond({ accountId, factor: 'totp', from }, check).catch((error: unknown) => {
      if (!isProblem(error) || error.kind.code !== 'identity/sign-in-locked') throw error
      seen.locked += 1
    })
  }

  expect(seen.tried).toBeGreaterThan(5)
  expect(seen.tried).toBeLessThan(100)
  expect(seen.tried + seen.locked).toBe(24 * 60)
})
