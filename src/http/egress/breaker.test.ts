import { expect, test } from 'vitest'
import { createBreaker, type Breaker } from './breaker.ts'

function movableClock() {
  let now = 1_000_000
  return { now: () => now, move: (ms: number) => (now += ms) }
}
/** A failure that somebody else sees each time. */
const fail = (breaker: Breaker) => breaker.failed({ userId: `user-${(users += 1)}`, keyId: null })
let users = 0
const MALLORY = { userId: 'mallory', keyId: 'key_1' }
const ALICE = { userId: 'alice', keyId: 'key_2' }
const options = { threshold: 3, firstRestMs: 1_000, maxRestMs: 4_000 }

test('opens after failures in a row, lets one trial through after the rest, and closes on its success', () => {
  const clock = movableClock()
  const breaker = createBreaker(clock, options)
  fail(breaker)
  fail(breaker)
  expect(breaker.check()).toBe('allow')
  fail(breaker)
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
  for (let i = 0; i < 3; i++) fail(breaker)
  const rests = [1_000, 2_000, 4_000, 4_000].map((expected) => {
    const verdict = breaker.check()
    const rest = verdict === 'allow' ? 0 : verdict.retryAt - clock.now()
    clock.move(rest)
    breaker.check()
    fail(breaker)
    return [rest, expected]
  })

  expect(rests.map(([rest]) => rest)).toEqual(rests.map(([, expected]) => expected))
})

test('a success between failures starts the count anew', () => {
  const breaker = createBreaker(movableClock(), options)
  fail(breaker)
  fail(breaker)
  breaker.succeeded()
  fail(breaker)
  fail(breaker)

  expect(breaker.check()).toBe('allow')
})

test('a user whose calls hang opens no circuit for the others, until another or the list sees it too', () => {
  const clock = movableClock()
  const byAnother = createBreaker(clock, options)
  const byList = createBreaker(clock, options)
  for (const breaker of [byAnother, byList]) for (let i = 0; i < 10; i++) breaker.failed(MALLORY)

  expect([byAnother.check(), byList.check()]).toEqual(['allow', 'allow'])

  byAnother.failed(ALICE)
  byList.foundDown()
  expect([byAnother.isOpen, byList.isOpen]).toEqual([true, true])
})

test('a success in between clears the first user too', () => {
  const breaker = createBreaker(movableClock(), options)
  for (let i = 0; i < 10; i++) breaker.failed(MALLORY)
  breaker.succeeded()
  for (let i = 0; i < 3; i++) breaker.failed(ALICE)

  expect(breaker.isOpen).toBe(false)
})

test.each([
  ['one key that names two users', [MALLORY, { userId: 'bob', keyId: 'key_1' }]],
  ['one user with two keys', [MALLORY, { userId: 'mallory', keyId: 'key_3' }]],
])('%s is one caller, who opens no circuit', (_, callers) => {
  const breaker = createBreaker(movableClock(), options)
  for (let i = 0; i < 10; i++) for (const caller of callers) breaker.failed(caller)

  expect([breaker.isSuspect, breaker.isOpen]).toEqual([true, false])
})
