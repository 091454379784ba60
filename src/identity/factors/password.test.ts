import { expect, it } from 'vitest'
import { isProblem, Secret } from '#kernel'
import { forEachEngine } from '../../storage/testing.ts'
import { BAD_PASSWORD, NO_SUCH_ACCOUNT } from '../problems.ts'
import { openTestIdentity } from '../testing.ts'
import { HashGate } from './hash-gate.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const ANNE = 'anne@example.com'
const GOOD = new Secret('correct horse battery')

forEachEngine((engine) => {
  it('only the newest password of an active person matches, and the database holds its Argon2id hash alone', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts, passwords } = house.identity
    const { id } = await accounts.create({ userId: ANNE }, ADMIN)
    await passwords.set(id, new Secret('another long password'), ADMIN)
    await passwords.set(id, GOOD, ADMIN)

    const answers = [
      await passwords.matches(ANNE, GOOD),
      await passwords.matches(ANNE, new Secret('another long password')),
      await passwords.matches('nobody@example.com', GOOD),
    ]
    await accounts.update(id, { isActive: false }, ADMIN)

    expect(answers).toEqual([true, false, false])
    expect(await passwords.matches(ANNE, GOOD)).toBe(false)
    const db = house.storage.tables<{ identity_password: { hash: string } }>()
    const { hash } = await db.selectFrom('identity_password').select('hash').executeTakeFirstOrThrow()
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(JSON.stringify((await house.audit.search({})).records)).not.toContain('horse')
  })
})

it.each(['too short', 'x'.repeat(257), 'anne-anne-anne-1', 'aaaaaaaaaaaaaaaa', 'Password12345!'])(
  'refuses the password %s',
  async (password) => {
    await using house = await openTestIdentity('sqlite')
    const { id } = await house.identity.accounts.create({ userId: ANNE }, ADMIN)

    await expect(house.identity.passwords.set(id, new Secret(password), ADMIN)).rejects.toSatisfy((error) =>
      isProblem(error, BAD_PASSWORD),
    )
  },
)

it('a system account has no password', async () => {
  await using house = await openTestIdentity('sqlite')
  const { id } = await house.identity.accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)

  await expect(house.identity.passwords.set(id, GOOD, ADMIN)).rejects.toSatisfy((error) =>
    isProblem(error, NO_SUCH_ACCOUNT),
  )
})

it('no more hashes run at once than may, and those beyond the line are turned away', async () => {
  const gate = new HashGate({ atOnce: 1, maxWaiting: 1 })
  const held = Promise.withResolvers<string>()

  const first = gate.run(() => held.promise)
  const second = gate.run(async () => 'second')
  const third = await gate.run(async () => 'third')
  held.resolve('first')

  expect([await first, await second, third]).toEqual(['first', 'second', 'busy'])
  expect(await gate.run(async () => 'later')).toBe('later')
})
