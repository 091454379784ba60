import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BackOff, restAfter, type Rest } from './back-off.ts'

const failure = { now: 0, ranForMs: 0, reason: 'x', random: 1 }

test('rests double from half a second up to a minute', () => {
  const rests: number[] = []
  let rest: Rest | undefined
  for (let n = 0; n < 9; n++) {
    rest = restAfter(rest, failure)
    rests.push(rest.retryAt)
  }

  expect(rests).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
})

test('after a minute of stable running the next failure is a first one', () => {
  const before: Rest = { failures: 9, retryAt: 0, reason: '' }

  expect(restAfter(before, { ...failure, ranForMs: 59_999 })).toMatchObject({ failures: 10 })
  expect(restAfter(before, { ...failure, ranForMs: 60_000 })).toMatchObject({ failures: 1, retryAt: 500 })
})

test('a rest is never longer than a minute nor shorter than 0.4 s', () => {
  const random = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(fc.nat(10_000), random, (failures, chance) => {
      const { retryAt } = restAfter({ failures, retryAt: 0, reason: '' }, { ...failure, random: chance })
      expect(retryAt).toBeGreaterThanOrEqual(400)
      expect(retryAt).toBeLessThanOrEqual(60_000)
    }),
  )
})

test('a rest ends by itself and is forgotten later', () => {
  const backOff = new BackOff()
  backOff.fail('a', failure)
  backOff.fail('a', failure)

  expect(backOff.restOf('a', 999)).toMatchObject({ failures: 2 })
  expect(backOff.restOf('a', 1_000)).toBeUndefined()
  expect(backOff.restOf('b', 0)).toBeUndefined()
  backOff.fail('b', { ...failure, now: 61_001 })
  backOff.fail('a', { ...failure, now: 61_001 })
  expect(backOff.restOf('a', 61_001)).toMatchObject({ failures: 1 })
})
