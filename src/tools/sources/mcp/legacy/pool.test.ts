import { expect, onTestFinished, test } from 'vitest'
import { OVERLOADED } from '../../../problems.ts'
import { Pool, type Pooled } from './pool.ts'

class Held implements Pooled {
  readonly key: string
  readonly closed: Promise<string>
  isIdle = false
  readonly #close: (reason: string) => void

  constructor(key: string) {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.key = key
    this.closed = promise
    this.#close = resolve
  }

  async end(): Promise<void> {
    this.#close('ended')
  }
}

function poolOf(waitMs: number, max = 1): Pool<Held> {
  const pool = new Pool<Held>('s', { max, idleMs: 60_000, waitMs })
  onTestFinished(() => pool.close())
  return pool
}
/** The owner of `alice-2` is alice. */
const acquire = (pool: Pool<Held>, key: string) =>
  pool.acquire({ key, owner: key.replace(/-\d+$/, '') }, async () => new Held(key))
const acquireAll = (pool: Pool<Held>, keys: readonly string[]) => Promise.all(keys.map((key) => acquire(pool, key)))

test('whoever comes to a full pool gets the place of the first that falls idle', async () => {
  const pool = poolOf(5_000)
  const alice = await acquire(pool, 'alice')

  const bob = acquire(pool, 'bob')
  alice.isIdle = true

  expect((await bob).key).toBe('bob')
  expect(await alice.closed).toBe('ended')
  expect(pool.size).toBe(1)
})

test('a pool that stays full refuses after its short wait', async () => {
  const pool = poolOf(30)
  await acquire(pool, 'alice')

  await expect(acquire(pool, 'bob')).rejects.toMatchObject({ kind: OVERLOADED })
  expect(pool.size).toBe(1)
})

const of = (owner: string, count: number) => Array.from({ length: count }, (_, index) => `${owner}-${index}`)

test('a user with many busy sessions leaves places, so that newcomers need not wait', async () => {
  const pool = poolOf(0, 16)

  await acquireAll(pool, of('alice', 14))
  await expect(acquire(pool, 'alice-14')).rejects.toThrow('already holds 14 sessions of this user')
  const others = await acquireAll(pool, ['bob', 'carol'])

  expect(others.map(({ key }) => key)).toEqual(['bob', 'carol'])
})

test('beside others a user gets half of the places, and an own idle session makes room for the next', async () => {
  const pool = poolOf(1_000, 4)
  await acquire(pool, 'bob')
  const [first, second] = await acquireAll(pool, ['alice-1', 'alice-2'])

  if (second) second.isIdle = true
  await acquire(pool, 'alice-3')

  expect(pool.conversations().map(({ key }) => key)).toEqual(['bob', 'alice-1', 'alice-3'])
  expect(first?.isIdle).toBe(false)
})

test('who holds more than their share makes room first, whoever has been idle for longer', async () => {
  const pool = poolOf(1_000, 4)
  await acquireAll(pool, of('alice', 3))
  await acquire(pool, 'bob')
  await acquireAll(pool, of('alice', 3))
  for (const held of pool.conversations()) held.isIdle = true

  await acquire(pool, 'carol')

  expect(pool.conversations().map(({ key }) => key)).toEqual(['alice-1', 'alice-2', 'bob', 'carol'])
})
