import { expect, test } from 'vitest'
import { createLog } from '#telemetry'
import type { Storage } from './contract.ts'
import { InStep } from './in-step.ts'
import { forEachEngine, openTestStorage } from './testing.ts'

forEachEngine((engine) => {
  test('what one replica announces, the other one reads', async () => {
    await using house = await openTestStorage({ engine, migrations: {} })
    const replica = engine === 'postgres' ? await house.openReplica() : house.storage // SQLite is one process's
    const one = follow(house.storage)
    const other = follow(replica)

    await one.inStep.announce()

    expect(one.count()).toBeGreaterThan(0)
    await other.reads(1)
    await Promise.all([one.inStep.close(), other.inStep.close()])
  })
})

test('many who ask during one reading share the next one', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const copy = follow(house.storage)

  const first = copy.inStep.reload()
  await Promise.resolve()
  await Promise.all([first, copy.inStep.reload(), copy.inStep.reload(), copy.inStep.reload()])

  expect(copy.count()).toBe(2)
  await copy.inStep.close()
})

test('a reading that fails is told to who asked for it, and stops no later one', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const copy = follow(house.storage, { failures: 1 })

  await expect(copy.inStep.reload()).rejects.toThrow('the store is down')
  await copy.inStep.reload()

  expect(copy.count()).toBe(1)
  await copy.inStep.close()
})

test('a notice that cannot be followed is followed again until it is done', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const copy = follow(house.storage, { failures: 2 })

  await house.storage.changes.publish('things')

  await copy.reads(1)
  expect(copy.lines.join('')).toContain('the things could not be read again')
  await copy.inStep.close()
})

test('an announcement goes on being tried, and whoever made the change hears no error', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const one = follow(house.storage, { failures: 1 })
  const other = follow(house.storage)

  await one.inStep.announce('this one')

  expect(one.lines.join('')).toContain('a change of the things is stored, but not yet in force everywhere')
  expect(one.lines.join('')).toContain('this one')
  await other.reads(1)
  await Promise.all([one.inStep.close(), other.inStep.close()])
})

test('after it is closed nothing is read', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: {} })
  const copy = follow(house.storage)
  const witness = follow(house.storage)

  await copy.inStep.close()
  await copy.inStep.reload()
  await house.storage.changes.publish('things')

  await witness.reads(1)
  expect(copy.count()).toBe(0)
  await witness.inStep.close()
})

/** A copy of nothing, whose reading fails so many times first. */
function follow(storage: Storage, { failures = 0 } = {}) {
  const lines: string[] = []
  const waiting: { wanted: number; done: () => void }[] = []
  let count = 0
  let left = failures
  const inStep = new InStep({
    changes: storage.changes,
    log: createLog({ level: 'error', destination: { write: (line: string) => void lines.push(line) } }),
    topic: 'things',
    what: 'the things',
    read: async () => {
      if (left-- > 0) throw new Error('the store is down')
      count += 1
      for (const { wanted, done } of waiting) if (count >= wanted) done()
    },
  })
  const reads = (wanted: number): Promise<void> =>
    count >= wanted ? Promise.resolve() : new Promise((done) => waiting.push({ wanted, done }))
  return { inStep, lines, reads, count: () => count }
}
