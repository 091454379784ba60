import { expect, onTestFinished, test } from 'vitest'
import type { AuditEvent } from '#audit'
import { SILENT } from '../../audit/testing.ts'
import { forEachEngine, openTestStorage, type TestEngine } from '../../storage/testing.ts'
import { OAUTH_MIGRATIONS } from '../migrations.ts'
import { OVERLAP_MS, PUBLISHED_MS } from './plan.ts'
import { KeyRing } from './ring.ts'

const ROTATE_MS = 90 * 86_400_000
const ADMIN = { userId: 'admin', keyId: null, face: 'cli' } as const

/** Two replicas on one store, with one clock that the test moves. */
async function start(engine: TestEngine) {
  const place = await openTestStorage({ engine, migrations: OAUTH_MIGRATIONS })
  onTestFinished(() => place.close())
  const at = { now: 1_800_000_000_000 }
  const recorded: AuditEvent[] = []
  const open = async (storage: typeof place.storage) => {
    const audit = { record: async (event: AuditEvent) => void recorded.push(event) }
    const ring = await KeyRing.open({ storage, clock: { now: () => at.now }, log: SILENT, audit, rotateMs: ROTATE_MS })
    onTestFinished(() => ring.close())
    return ring
  }
  const [one, two] = await Promise.all([
    open(place.storage),
    open(engine === 'postgres' ? await place.openReplica() : place.storage),
  ])
  return { at, one, two, recorded }
}

const ids = (ring: KeyRing) => ring.all().map(({ kid }) => kid)
const states = (ring: KeyRing) => ring.list().map(({ alg, state }) => `${alg} ${state}`)
const inStep = (one: KeyRing, two: KeyRing): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (ids(one).join() === ids(two).join()) resolve()
    }
    one.onChange(look)
    two.onChange(look)
    look()
  })

forEachEngine((engine) => {
  test('two replicas that start together have the same keys, one of each kind', async () => {
    const { one, two } = await start(engine)

    await inStep(one, two)

    expect(states(one)).toEqual(['ES256 signing', 'RS256 signing'])
    expect(one.signer('ES256').kid).toBe(two.signer('ES256').kid)
  })

  test('when keys are due, one replica makes them, and both sign with them from the same moment', async () => {
    const { at, one, two, recorded } = await start(engine)
    await inStep(one, two)
    const first = one.signer('ES256').kid
    recorded.length = 0

    at.now += ROTATE_MS - PUBLISHED_MS
    await Promise.all([one.tend(), two.tend()])
    await inStep(one, two)
    const before = [one.signer('ES256').kid, two.signer('ES256').kid]
    at.now += PUBLISHED_MS
    const after = [one.signer('ES256').kid, two.signer('ES256').kid]

    expect(recorded.map(({ what }) => what)).toEqual(['oauth.signing-key-made', 'oauth.signing-key-made'])
    expect(before).toEqual([first, first])
    expect(new Set(after).size).toBe(1)
    expect(after).not.toContain(first)
    expect(ids(two)).toContain(first)
    expect(states(one).toSorted()).toEqual(['ES256 retired', 'ES256 signing', 'RS256 retired', 'RS256 signing'])
  })

  test('a retired key is gone when no token of it can be left, from the store too', async () => {
    const { at, one, two } = await start(engine)
    await inStep(one, two)
    const first = one.signer('ES256').kid
    await one.rotate({ now: true, dropOld: false }, ADMIN)

    at.now += OVERLAP_MS - 1
    const last = ids(one)
    at.now += 1
    const gone = ids(one)
    await one.tend()
    await inStep(one, two)

    expect(last).toContain(first)
    expect(gone).not.toContain(first)
    expect(ids(two)).toEqual(gone)
  })

  test('new keys that are wanted wait until they are published, and who asks twice has one set', async () => {
    const { at, one, recorded } = await start(engine)
    const first = one.signer('ES256').kid

    await one.rotate({ now: false, dropOld: false }, ADMIN)
    await one.rotate({ now: false, dropOld: false }, ADMIN)
    const meanwhile = one.signer('ES256').kid
    at.now += PUBLISHED_MS

    expect(ids(one)).toHaveLength(4)
    expect(meanwhile).toBe(first)
    expect(one.signer('ES256').kid).not.toBe(first)
    expect(recorded.filter(({ what }) => what === 'oauth.signing-keys-rotated')).toHaveLength(2)
    expect(recorded.at(-1)).toMatchObject({
      decision: 'allowed',
      userId: 'admin',
      extra: { now: false, dropOld: false },
    })
  })

  test('in an emergency all other keys are gone at once, on every replica, whoever asks at the same time', async () => {
    const { one, two } = await start(engine)
    await inStep(one, two)
    const before = ids(one)

    const wish = { now: true, dropOld: true }
    await Promise.all([one.rotate(wish, ADMIN), two.rotate(wish, ADMIN)])
    await inStep(one, two)

    expect(states(two)).toEqual(['ES256 signing', 'RS256 signing'])
    expect(ids(two).filter((kid) => before.includes(kid))).toEqual([])
  })

  test('keys are never told twice as others while nothing changes', async () => {
    const { at, one } = await start(engine)
    const first = one.all()

    at.now += 60_000

    expect(one.all()).toBe(first)
  })
})
