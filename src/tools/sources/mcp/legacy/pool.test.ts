import { setImmediate as soon } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { CANCELLED, OVERLOADED } from '../../../problems.ts'
import { Pool, type Pooled } from './pool.ts'

class Held implements Pooled {
  readonly key: string
  readonly closed: Promise<string>
  onIdle: (() => void) | undefined
  #isIdle = false
  readonly #close: (reason: string) => void

  constructor(key: string) {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.key = key
    this.closed = promise
    this.#close = resolve
  }

  get isIdle(): boolean {
    return this.#isIdle
  }

  set isIdle(isIdle: boolean) {
    this.#isIdle = isIdle
    if (isIdle) this.onIdle?.()
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

/** What a promise has come to by now. */
async function nowOf(promise: Promise<unknown> | undefined): Promise<unknown> {
  let now: unknown = 'waits'
  void promise?.then((value) => (now = value))
  await soon()
  return now
}

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

test('places go round: in the order of coming, those who hold the fewest first', async () => {
  const pool = poolOf(5_000, 4)
  const held = await acquireAll(pool, ['bob-0', 'alice-0', 'alice-1', 'bob-1'])
  const entered: string[] = []
  const line = ['alice-2', 'alice-3', 'bob-2', 'carol', 'dave'].map((key) =>
    acquire(pool, key).then((newcomer) => {
      entered.push(newcomer.key)
      newcomer.isIdle = true
    }),
  )
  const waited = performance.now()

  for (const one of held) one.isIdle = true
  await Promise.all(line)

  expect(entered.slice(0, 2)).toEqual(['carol', 'dave'])
  expect(entered).toHaveLength(5)
  expect(performance.now() - waited).toBeLessThan(400) // by events: the look for the forgotten comes later
})

test('whoever gives up leaves the line, and takes no place from those behind', async () => {
  const pool = poolOf(5_000)
  const alice = await acquire(pool, 'alice')
  const gone = new AbortController()
  const opened: string[] = []
  const open = (key: string) => async () => (opened.push(key), new Held(key))

  const bob = pool.acquire({ key: 'bob', owner: 'bob' }, open('bob'), gone.signal)
  const carol = pool.acquire({ key: 'carol', owner: 'carol' }, open('carol'))
  gone.abort(new Error('the client went away'))
  await expect(bob).rejects.toMatchObject({ kind: CANCELLED })
  alice.isIdle = true

  expect((await carol).key).toBe('carol')
  expect(opened).toEqual(['carol'])
  expect(pool.waiting).toBe(0)
})

test('a line has an end for one user before it has one for others, and closing it sends all away', async () => {
  const pool = poolOf(60_000)
  await acquire(pool, 'bob')
  const line = Array.from({ length: 600 }, (_, n) => acquire(pool, `alice-${n}`).catch((error: unknown) => error))
  const carol = acquire(pool, 'carol').catch((error: unknown) => error)
  const refusedAtOnce = await nowOf(line[550])

  await pool.close()

  expect(refusedAtOnce).toMatchObject({ kind: OVERLOADED })
  expect(await nowOf(carol)).toMatchObject({ kind: OVERLOADED })
  expect(pool.waiting).toBe(0)
})

test('a session whose caller went away before using it makes room', async () => {
  const pool = poolOf(5_000)
  const alice = await acquire(pool, 'alice')
  const bob = acquire(pool, 'bob')

  alice.onIdle = undefined
  alice.isIdle = true

  expect((await bob).key).toBe('bob')
})
