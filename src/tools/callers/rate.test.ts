import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBuckets } from './rate.ts'

function movableClock() {
  let now = 1_000_000
  return { now: () => now, move: (ms: number) => (now += ms) }
}

test('a quiet caller may use all calls at once, and then one for each part of the time', () => {
  const clock = movableClock()
  const buckets = createBuckets(clock)
  const rate = { calls: 3, seconds: 3 }
  const first = [1, 2, 3, 4].map(() => buckets.take('alice', rate))

  expect(first).toEqual([0, 0, 0, 1_000])
  expect(buckets.take('bob', rate)).toBe(0)
  clock.move(1_000)
  expect([buckets.take('alice', rate), buckets.take('alice', rate)]).toEqual([0, 1_000])
})

test('in any stretch of time no more calls pass than the rate and one full bucket', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(700), { maxLength: 200 }), (pauses) => {
      const clock = movableClock()
      const buckets = createBuckets(clock)
      const passed = pauses.filter((pause) => {
        clock.move(pause)
        return buckets.take('a', { calls: 5, seconds: 2 }) === 0
      })
      const elapsed = pauses.reduce((sum, pause) => sum + pause, 0)

      expect(passed.length).toBeLessThanOrEqual(5 + (elapsed * 5) / 2_000)
    }),
  )
})

test('of too many names the one unused for longest is forgotten', () => {
  const buckets = createBuckets(movableClock(), 2)
  const rate = { calls: 1, seconds: 60 }
  buckets.take('a', rate)
  buckets.take('b', rate)
  buckets.take('c', rate)

  expect(buckets.take('c', rate)).toBeGreaterThan(0)
  expect(buckets.take('a', rate)).toBe(0)
})
