import { expect, it } from 'vitest'
import { isProblem, type ProblemKind } from '#kernel'
import { forEachEngine } from '../../storage/testing.ts'
import { ACCOUNT_INACTIVE, BAD_ACCOUNT, BAD_GROUP, LAST_ADMIN, NO_SUCH_ACCOUNT, USER_ID_TAKEN } from '../problems.ts'
import { openTestIdentity } from '../testing.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const ANNE = { userId: 'anne@example.com' }
const is = (kind: ProblemKind) => (error: unknown) => isProblem(error, kind)

forEachEngine((engine) => {
  it('a key of an account is used for that person, with role and groups', async () => {
    await using house = await openTestIdentity(engine)
    const { identity } = house
    const { id } = await identity.accounts.create({ ...ANNE, name: 'Anne' }, ADMIN)
    await identity.accounts.createGroup('support', ADMIN)
    await identity.accounts.addMember('support', ANNE.userId, ADMIN)
    const { key } = await identity.createKey({ ...ANNE, gateways: ['demo'] }, ADMIN)

    const answer = identity.authenticate({ authorization: key, gateway: 'demo' })

    expect(answer).toMatchObject({
      ok: true,
      principal: { ...ANNE, kind: 'person', accountId: id, role: 'user', groups: ['support'], gateways: ['demo'] },
    })
    expect(await identity.accounts.listGroups()).toMatchObject([{ name: 'support', source: 'local', members: 1 }])
  })

  it('a deactivated account is refused at once with its keys, however they came, on every replica', async () => {
    await using house = await openTestIdentity(engine)
    const { identity } = house
    const other = await house.openReplica()
    await identity.accounts.create(ANNE, ADMIN)
    const bound = await identity.createKey({ ...ANNE, gateways: ['*'] }, ADMIN)
    const unbound = await identity.createKey({ gateways: ['*'] }, ADMIN)
    const heard = Promise.withResolvers<void>()
    other.onChange(() => other.directory().findByUserId(ANNE.userId)?.isActive === false && heard.resolve())

    await identity.accounts.update(ANNE.userId, { isActive: false }, ADMIN)
    await heard.promise

    const tries = [identity, other].flatMap((at) => [
      at.authenticate({ authorization: bound.key, gateway: 'demo' }),
      at.authenticate({ authorization: unbound.key, gateway: 'demo', ...ANNE }),
    ])
    expect(tries.map((answer) => !answer.ok && answer.problem.kind)).toEqual(Array(4).fill(ACCOUNT_INACTIVE))
    await identity.accounts.update(ANNE.userId, { isActive: true }, ADMIN)
    expect(identity.authenticate({ authorization: bound.key, gateway: 'demo' }).ok).toBe(true)
  })

  it('of many who want one user id at once one gets it, and the others are told that it is taken', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity

    const ended = await Promise.allSettled(Array.from({ length: 10 }, () => accounts.create(ANNE, ADMIN)))

    const refused = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(refused).toHaveLength(9)
    expect(refused.every(is(USER_ID_TAKEN))).toBe(true)
    expect((await accounts.list()).accounts).toHaveLength(1)
  })

  it('of many who make a group of one name at once one makes it, and the others are told that there is one', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity

    const ended = await Promise.allSettled(Array.from({ length: 10 }, () => accounts.createGroup('support', ADMIN)))

    const refused = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(refused).toHaveLength(9)
    expect(refused.every(is(BAD_GROUP))).toBe(true)
  })

  it('of two admins who take each other away at once, on two replicas, one stays', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    const other = await house.openReplica()
    await Promise.all(['ada', 'bea'].map((userId) => accounts.create({ userId, role: 'admin' }, ADMIN)))
    await expect.poll(() => other.directory().all()).toHaveLength(2)

    const left: number[] = []
    for (let round = 0; round < 8; round += 1) {
      await expect
        .poll(() =>
          other
            .directory()
            .all()
            .filter(({ role }) => role === 'admin'),
        )
        .toHaveLength(2)
      const ended = await Promise.allSettled([
        accounts.update('ada', { role: 'user' }, ADMIN),
        other.accounts.update('bea', { role: 'user' }, ADMIN),
      ])
      const refused = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      expect(refused.every(is(LAST_ADMIN))).toBe(true)
      left.push((await accounts.list()).accounts.filter(({ role }) => role === 'admin').length)
      await Promise.all(['ada', 'bea'].map((userId) => accounts.update(userId, { role: 'admin' }, ADMIN)))
    }

    expect(left).toEqual(Array.from({ length: 8 }, () => 1))
  })

  it('who changes one thing leaves all others as whoever changes them at the same time wants them', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    await accounts.create({ ...ANNE, role: 'user' }, ADMIN)

    await Promise.all([
      accounts.update(ANNE.userId, { role: 'guest' }, ADMIN),
      accounts.update(ANNE.userId, { name: 'Anne' }, ADMIN),
      accounts.update(ANNE.userId, { email: 'a@example.com' }, ADMIN),
    ])

    const anne = await accounts.get(ANNE.userId)
    expect(anne).toMatchObject({ role: 'guest', name: 'Anne', email: 'a@example.com', isActive: true })
  })

  it('the user id of a removed account is never given to anyone else, and its keys stay refused', async () => {
    await using house = await openTestIdentity(engine)
    const { identity } = house
    await identity.accounts.create(ANNE, ADMIN)
    const { key } = await identity.createKey({ ...ANNE, gateways: ['*'] }, ADMIN)

    await identity.accounts.remove(ANNE.userId, ADMIN)

    await expect(identity.accounts.get(ANNE.userId)).rejects.toSatisfy(is(NO_SUCH_ACCOUNT))
    await expect(identity.accounts.create(ANNE, ADMIN)).rejects.toSatisfy(is(USER_ID_TAKEN))
    await expect(identity.accounts.create({ userId: 'ANNE@example.com' }, ADMIN)).rejects.toSatisfy(is(USER_ID_TAKEN))
    expect(identity.authenticate({ authorization: key, gateway: 'demo' })).toMatchObject({
      ok: false,
      problem: { kind: ACCOUNT_INACTIVE },
    })
    expect((await identity.accounts.list()).accounts).toEqual([])
  })

  it('an admin who is made a user is no admin any more with the keys of before', async () => {
    await using house = await openTestIdentity(engine)
    const { identity } = house
    await identity.accounts.create({ ...ANNE, role: 'admin' }, ADMIN)
    await identity.accounts.create({ userId: 'other@example.com', role: 'admin' }, ADMIN)
    const { key } = await identity.createKey({ ...ANNE, gateways: ['*'], role: 'admin' }, ADMIN)
    expect(identity.authenticateAdmin({ authorization: key })).toMatchObject({ ok: true, isAdmin: true })

    await identity.accounts.update(ANNE.userId, { role: 'user' }, ADMIN)

    expect(identity.authenticateAdmin({ authorization: key })).toMatchObject({ ok: true, isAdmin: false })
  })

  it('every change is in the audit trail, and lists come in pages', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    await accounts.create(ANNE, ADMIN)
    await accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)
    await accounts.createGroup('support', ADMIN)
    await accounts.addMember('support', 'robot', ADMIN)
    await accounts.removeMember('support', 'robot', ADMIN)
    await accounts.removeGroup('support', ADMIN)
    await accounts.update('robot', { isActive: false }, ADMIN)
    await accounts.remove('robot', ADMIN)

    const page = await accounts.list({ limit: 1 })

    expect(page.accounts.map(({ userId }) => userId)).toEqual([ANNE.userId])
    const { records } = await house.audit.search({})
    expect(records.map(({ what }) => what).toReversed()).toEqual([
      'audit.chain-started',
      'account.created',
      'account.created',
      'group.created',
      'group.joined',
      'group.left',
      'group.removed',
      'account.deactivated',
      'account.removed',
    ])
  })
})

it('a system account has no role, and a name of nobody makes an unknown principal', async () => {
  await using house = await openTestIdentity('sqlite')
  const { identity } = house

  await expect(identity.accounts.create({ userId: 'robot', kind: 'system', role: 'admin' }, ADMIN)).rejects.toSatisfy(
    is(BAD_ACCOUNT),
  )
  await identity.accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)
  await expect(identity.accounts.update('robot', { role: 'user' }, ADMIN)).rejects.toSatisfy(is(BAD_ACCOUNT))
  const through = { keyId: null, gateways: ['*'] }
  expect(identity.principal({ userId: 'robot', ...through })).toMatchObject({ kind: 'system', role: null })
  expect(identity.principal({ userId: 'nobody', ...through })).toMatchObject({ kind: 'unknown', accountId: null })
})

it('two groups cannot have one name', async () => {
  await using house = await openTestIdentity('sqlite')
  await house.identity.accounts.createGroup('support', ADMIN)

  await expect(house.identity.accounts.createGroup('support', ADMIN)).rejects.toSatisfy(is(BAD_GROUP))
})
