import { expect, test } from 'vitest'
import { createBreaker } from './breaker.ts'

function movableClock() {
  let now = 1_000_000
  return { now: () => now, move: (ms: number) => (now += ms) }
}
const options = { threshold: 3, firstRestMs: 1_000, maxRestMs: 4_000 }

test('opens after failures in a row, lets one trial through after the rest, and closes on its success', () => {
  const clock = movableClock()
  const breaker = createBreaker(clock, options)
  breaker.failed()
  breaker.failed()
  expect(breaker.check()).toBe('allow')
  breaker.failed()
  expect(breaker.check()).toEqual({ retryAt: clock.now() + 1_000 })

  clock.move(1_000)
  expect(breaker.check()).toBe('allow')
  expect(breaker.check()).not.toBe('allow')
  breaker.succeeded()

  expect(breaker.check()).toBe('allow')
  expect(breaker.isOpen).toBe(false)
})

test('rests twice as long after each failed trial, up to the maximum', () => {
  const clock = movableClock()
  const breaker = createBreaker(clock, options)
  for (let i = 0; i < 3; i++) breaker.failed()
  const rests = [1_000, 2_000, 4_000, 4_000].map((expected) => {
    const verdict = breaker.check()
    const rest = verdict === 'allow' ? 0 : verdict.retryAt - clock.now()
    clock.move(rest)
    breaker.check()
    breaker.failed()
    return [rest, expected]
  })

  expect(rests.map(([rest]) => rest)).toEqual(rests.map(([, expected]) => expected))
})

test('a success between failures starts the count anew', () => {
  const breaker = createBreaker(movableClock(), options)
  breaker.failed()
  breaker.failed()
  breaker.succeeded()
  breaker.failed()
  breaker.failed()

  expect(breaker.check()).toBe('allow')
})
