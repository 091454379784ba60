import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../audit/testing.ts'
import { forEachEngine, openTestStorage, type TestEngine } from '../storage/testing.ts'
import { EndedGrants, KEPT_MS } from './ended-grants.ts'
import { OAUTH_MIGRATIONS } from './migrations.ts'
import { createSealed } from './sealed.ts'
import { createOauthStore } from './store.ts'

/** Two replicas on one store, with one clock that the test moves. */
async function start(engine: TestEngine) {
  const place = await openTestStorage({ engine, migrations: OAUTH_MIGRATIONS })
  onTestFinished(() => place.close())
  const at = { now: 1_800_000_000_000 }
  const sealed = createSealed(randomBytes(32))
  const store = createOauthStore(place.storage)
  const open = async (storage: typeof place.storage) => {
    const deps = { storage, store: createOauthStore(storage), sealed, clock: { now: () => at.now }, log: SILENT }
    const ended = await EndedGrants.open(deps)
    onTestFinished(() => ended.close())
    return ended
  }
  const again = () => open(place.storage)
  const other = engine === 'postgres' ? await place.openReplica() : place.storage
  return { at, store, again, one: await open(place.storage), two: await open(other) }
}

forEachEngine((engine) => {
  test('what ends on one replica has ended there at once, and on the other soon', async () => {
    const { one, two } = await start(engine)
    const heard = new Promise<void>((resolve) => void two.onChange(resolve))

    await one.add('grant-a')
    const here = one.has('grant-a')
    await heard

    expect([here, two.has('grant-a'), two.has('grant-b')]).toEqual([true, true, false])
  })

  test('ids are stored as MACs, once each however often something ends', async () => {
    const { store, one } = await start(engine)

    await Promise.all([one.add('grant-a'), one.add('grant-a', 'grant-b'), one.add('grant-a')])
    await one.add('grant-b')

    const stored = await store.endedGrants(0)
    expect(stored).toHaveLength(2)
    expect(stored.join()).not.toContain('grant')
    expect([one.has('grant-a'), one.has('grant-b')]).toEqual([true, true])
  })

  test('what ended so long ago that its tokens have run out is kept neither in memory nor in the store', async () => {
    const { at, store, one, again } = await start(engine)
    await one.add('old')

    at.now += KEPT_MS - 1
    const justBefore = (await again()).has('old')
    at.now += 2
    await one.add('young')
    await store.sweep(at.now, at.now - KEPT_MS)

    expect(justBefore).toBe(true)
    expect([one.has('old'), one.has('young')]).toEqual([false, true])
    expect(await store.endedGrants(0)).toHaveLength(1)
  })
})
