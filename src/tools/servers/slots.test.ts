import { afterEach, expect, test, vi } from 'vitest'
import { createSlots } from './slots.ts'

afterEach(() => void vi.useRealTimers())

const never = new AbortController().signal
const open = (max: number) => createSlots({ server: 's', max, maxWaiting: max, waitMs: 1_000 })

/** Takes slots without waiting, as many as there are for this user, at most so many. */
function fill(slots: ReturnType<typeof open>, user: string, most: number): number {
  let taken = 0
  while (taken < most && slots.acquire(user, never) === null) taken += 1
  return taken
}

test('one user alone cannot take the last slots of a server, so whoever comes next is served at once', () => {
  vi.useFakeTimers()
  const slots = open(16)

  const mallory = fill(slots, 'mallory', 100)

  expect(mallory).toBe(14)
  expect(slots.acquire('alice', never)).toBe(null)
})

test('with others there, a user gets no more than half, and their own line does not stand before others', () => {
  vi.useFakeTimers()
  const slots = open(8)
  void slots.acquire('alice', never)

  const mallory = fill(slots, 'mallory', 100)
  const bob = slots.acquire('bob', never)

  expect(mallory).toBe(4)
  expect(bob).toBe(null)
  expect([slots.used, slots.waiting]).toEqual([6, 1])
  slots.release('mallory')
  expect([slots.used, slots.waiting]).toEqual([6, 0])
})

test('a full line of one user leaves room in the line for others', () => {
  vi.useFakeTimers()
  const slots = open(8)
  fill(slots, 'alice', 7)
  void slots.acquire('bob', never)
  const waitFor = (user: string) => void slots.acquire(user, never)?.catch(() => undefined)

  for (let i = 0; i < 4; i++) waitFor('alice')

  expect(() => slots.acquire('alice', never)).toThrow(/limit/)
  expect(slots.acquire('bob', never)).toBeInstanceOf(Promise)
  waitFor('carol')
  expect(slots.waiting).toBe(6)
})

test.each([1, 2, 3])('a server for %i calls at once serves so many of one user who is alone', (max) => {
  vi.useFakeTimers()

  expect(fill(open(max), 'alice', max)).toBe(max)
})

test('who waits enters in the order of coming as slots get free, and nothing stays behind', async () => {
  const slots = open(2)
  void slots.acquire('alice', never)
  void slots.acquire('alice', never)
  const entered: string[] = []
  const waiting = ['bob', 'carol'].map((user) =>
    (slots.acquire(user, never) ?? Promise.resolve()).then(() => entered.push(user)),
  )

  slots.release('alice')
  slots.release('alice')
  await Promise.all(waiting)
  slots.release('bob')
  slots.release('carol')

  expect(entered).toEqual(['bob', 'carol'])
  expect([slots.used, slots.waiting]).toEqual([0, 0])
})
