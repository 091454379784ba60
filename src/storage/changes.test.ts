import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { CHANGE_TOO_LARGE, type Storage, type StorageEvent } from './index.ts'
import { forEachEngine, openTestStorage, postgresIsAvailable } from './testing.ts'

forEachEngine((engine) => {
  test('changes arrive in order, after publish returned', async () => {
    await using house = await openTestStorage({ engine, migrations: {} })
    const heard = listen(house.storage, 'tools', 3)

    const publishing = house.storage.changes.publish('tools', '1')
    expect(heard.payloads).toEqual([])
    await publishing
    await house.storage.changes.publish('tools', 'two\nlines')
    await house.storage.changes.publish('others', 'not for us')
    await house.storage.changes.publish('tools')

    await heard.all
    expect(heard.payloads).toEqual(['1', 'two\nlines', ''])
  })

  test('a listener that throws is logged and stops nobody else', async () => {
    const events: StorageEvent[] = []
    await using house = await openTestStorage({ engine, migrations: {}, log: (event) => events.push(event) })
    house.storage.changes.subscribe('tools', () => {
      throw new Error('broken listener')
    })
    const heard = listen(house.storage, 'tools', 1)

    await house.storage.changes.publish('tools', '1')

    await heard.all
    expect(events).toContainEqual(expect.objectContaining({ kind: 'listener-failed', topic: 'tools' }))
  })

  test('who unsubscribed hears no more', async () => {
    await using house = await openTestStorage({ engine, migrations: {} })
    const gone = listen(house.storage, 'tools', 1)
    const here = listen(house.storage, 'tools', 1)

    gone.stop()
    await house.storage.changes.publish('tools', '1')

    await here.all
    expect(gone.payloads).toEqual([])
  })

  test('a payload is refused when it is longer than any engine carries', async () => {
    await using house = await openTestStorage({ engine, migrations: {} })
    const heard = listen(house.storage, 'tools', 1)

    await expect(house.storage.changes.publish('tools', 'x'.repeat(7_001))).rejects.toMatchObject({
      kind: CHANGE_TOO_LARGE,
    })
    await house.storage.changes.publish('tools', 'ü'.repeat(3_500))

    await heard.all
    expect(heard.payloads).toEqual(['ü'.repeat(3_500)])
  })
})

describe.skipIf(!postgresIsAvailable())('on postgres', () => {
  test('each replica hears the changes of the other', async () => {
    await using house = await openTestStorage({ engine: 'postgres', migrations: {} })
    const other = await house.openReplica()
    const here = listen(house.storage, 'tools', 2)
    const there = listen(other, 'tools', 2)

    await house.storage.changes.publish('tools', 'from here')
    await other.changes.publish('tools', 'from there')

    await Promise.all([here.all, there.all])
    expect([here.payloads, there.payloads]).toEqual([
      ['from here', 'from there'],
      ['from here', 'from there'],
    ])
  })

  test('after a lost connection every listener is told once, and hears again', async () => {
    const events: StorageEvent[] = []
    await using house = await openTestStorage({
      engine: 'postgres',
      migrations: {},
      log: (event) => events.push(event),
    })
    const gaps = [listen(house.storage, 'tools', 1), listen(house.storage, 'grants', 1)]
    const later = listen(house.storage, 'tools', 2)

    await terminateListeners(house.storage)
    await Promise.all(gaps.map((gap) => gap.all))
    await house.storage.changes.publish('tools', 'again')

    await later.all
    expect(gaps.map((gap) => gap.payloads[0])).toEqual(['', ''])
    expect(later.payloads).toEqual(['', 'again'])
    expect(events.map((event) => event.kind)).toEqual(
      expect.arrayContaining(['connection-lost', 'connection-restored']),
    )
  })
})

function listen(storage: Storage, topic: string, count: number) {
  const payloads: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const stop = storage.changes.subscribe(topic, (payload) => {
    payloads.push(payload)
    if (payloads.length === count) resolve()
  })
  return { payloads, all: promise, stop }
}

async function terminateListeners(storage: Storage): Promise<void> {
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like 'listen %'`.execute(storage.tables())
}
