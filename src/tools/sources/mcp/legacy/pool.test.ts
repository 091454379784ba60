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

function poolOf(waitMs: number): Pool<Held> {
  const pool = new Pool<Held>('s', { max: 1, idleMs: 60_000, waitMs })
  onTestFinished(() => pool.close())
  return pool
}
const acquire = (pool: Pool<Held>, key: string) => pool.acquire(key, async () => new Held(key))

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
