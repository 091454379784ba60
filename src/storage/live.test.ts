import { expect, test } from 'vitest'
import { createLog } from '#telemetry'
import type { Storage } from './contract.ts'
import { Live } from './live.ts'
import { forEachEngine, openTestStorage } from './testing.ts'

forEachEngine((engine) => {
  test('a change that one replica stores is in force there when it was announced, and then on the other', async () => {
    await using house = await openTestStorage({ engine, migrations: {} })
    const replica = engine === 'postgres' ? await house.openReplica() : house.storage // SQLite is one process's
    const stored = { value: 1 }
    const [one, other] = [await follow(house.storage, stored), await follow(replica, stored)]
    const heard = new Promise<void>((done) => other.onChange(done))
    stored.value = 2

    await one.announce()

    expect(one.current).toBe('file and 2')
    await heard
    expect(other.current).toBe('file and 2')
    await Promise.all([one.close(), other.close()])
  })
})

test('a changed config file counts at once, with what is stored, and is told to whoever listens', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const live = await follow(house.storage, { value: 1 })
  const heard: string[] = []
  const stop = live.onChange(() => heard.push(live.current))

  live.declare('other file')
  stop()
  live.declare('last file')

  expect([live.declared, live.current, heard]).toEqual(['last file', 'last file and 1', ['other file and 1']])
  await live.close()
})

test('what cannot be read for the first time is not opened', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })

  await expect(follow(house.storage, null)).rejects.toThrow('the store is down')
})

function follow(storage: Storage, stored: { value: number } | null) {
  return Live.open({
    storage,
    log: createLog({ level: 'error', destination: { write: () => {} } }),
    topic: 'things',
    what: 'the things',
    declared: 'file',
    empty: 0,
    load: async () => {
      if (stored === null) throw new Error('the store is down')
      return stored.value
    },
    build: (declared, value) => `${declared} and ${value}`,
  })
}
