import { expect, it } from 'vitest'
import { forEachEngine } from '../../storage/testing.ts'
import { openTestIdentity } from '../testing.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const ANNE = 'anne@example.com'
const DAY = 86_400_000
const WORK = { source: 'work', groups: ['finance'], claims: { department: 'sales' }, countsForMs: 30 * DAY }

forEachEngine((engine) => {
  it('what a source said counts so long after the last sign-in, for keys and on every replica, and then no more', async () => {
    await using house = await openTestIdentity(engine)
    const { identity, clock } = house
    const { accounts } = identity
    const { id } = await accounts.create({ userId: ANNE }, ADMIN)
    await accounts.createGroup('local', ADMIN)
    await accounts.addMember('local', ANNE, ADMIN)
    await identity.takeOver(id, WORK)
    const { key } = await identity.createKey({ userId: ANNE, gateways: ['*'] }, ADMIN)
    const other = await house.openReplica()
    const seen = () =>
      [identity, other].map((at) => {
        const answer = at.authenticate({ authorization: key, gateway: 'demo' })
        return answer.ok ? [answer.principal.groups, answer.principal.claims] : answer
      })
    const inForce = [['finance', 'local'], WORK.claims]

    clock.at += 30 * DAY
    expect(seen()).toEqual([inForce, inForce])
    clock.at += DAY
    expect(seen()).toEqual([
      [['local'], {}],
      [['local'], {}],
    ])
    expect((await accounts.get(id)).groups).toEqual(['local'])
    expect(await accounts.listGroups()).toMatchObject([
      { name: 'finance', members: 0 },
      { name: 'local', members: 1 },
    ])
    await identity.takeOver(id, WORK)
    await expect.poll(seen).toEqual([inForce, inForce])
  })

  it('a sign-in at which the source says the same lets it count for longer, without a record of a change', async () => {
    await using house = await openTestIdentity(engine)
    const { identity, clock } = house
    const { id, changedAt } = await identity.accounts.create({ userId: ANNE }, ADMIN)
    const other = await house.openReplica()
    await identity.takeOver(id, WORK)
    const [before] = (await house.audit.search({ what: 'account.taken-over' })).records

    clock.at += 20 * DAY
    await identity.takeOver(id, WORK)
    await expect.poll(() => other.directory().findByUserId(ANNE)?.groups).toEqual(['finance'])
    clock.at += 20 * DAY

    for (const at of [identity, other])
      await expect
        .poll(() => at.directory().findByUserId(ANNE))
        .toMatchObject({ groups: ['finance'], claims: WORK.claims })
    expect((await house.audit.search({ what: 'account.taken-over' })).records).toEqual([before])
    expect((await identity.accounts.get(id)).changedAt).toBe(changedAt)
  })
})

it('those who listen hear of the end, though nobody asks', async () => {
  await using house = await openTestIdentity('sqlite')
  const { identity, clock } = house
  const { id } = await identity.accounts.create({ userId: ANNE }, ADMIN)
  clock.at = Math.ceil(clock.at / DAY) * DAY - DAY - 300
  await identity.takeOver(id, { ...WORK, countsForMs: 300 })
  const heard: unknown[] = []
  identity.onChange(() => heard.push(identity.directory().findByUserId(ANNE)?.groups))

  setTimeout(() => (clock.at += 300), 100)

  await expect.poll(() => heard.at(-1)).toEqual([])
})

it('a change of what a source says is recorded once, and nothing is when it says the same on one day', async () => {
  await using house = await openTestIdentity('sqlite')
  const { identity } = house
  const { id } = await identity.accounts.create({ userId: ANNE }, ADMIN)
  const changes: string[] = []
  await identity.takeOver(id, WORK)
  identity.onChange(() => changes.push('change'))

  await identity.takeOver(id, WORK)
  expect(changes).toEqual([])
  await identity.takeOver(id, { ...WORK, groups: ['finance', 'ops'] })

  const { records } = await house.audit.search({ what: 'account.taken-over' })
  expect(records.map(({ extra }) => extra?.['groups'])).toEqual([['finance', 'ops'], ['finance']])
})
