import { expect, test } from 'vitest'
import { RegistrationPace } from './registration-pace.ts'

const HOUR = 3_600_000

test('so many an hour from one address, and then one at a time as time passes; others are not concerned', () => {
  const pace = new RegistrationPace(2)
  const take = (address: string, now: number) => pace.take(address, now)

  const waits = [take('a', 0), take('a', 0), take('a', 0), take('b', 0), take('a', HOUR / 2), take('a', HOUR / 2)]

  expect(waits).toEqual([0, 0, 1_800, 0, 0, 1_800])
})

test('a flood from any number of addresses denies nobody who was not part of it', () => {
  const pace = new RegistrationPace(2)
  const flood = Array.from({ length: 25_000 }, (_, at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)

  const denied = flood.filter((address) => pace.take(address, 1_000) > 0)

  expect(denied).toEqual([])
  expect([pace.take('192.0.2.1', 1_000), pace.take('192.0.2.1', 1_000)]).toEqual([0, 0])
  expect(pace.take('192.0.2.1', 1_000)).toBeGreaterThan(0)
})

test('an address that goes on is not forgotten for others that come meanwhile', () => {
  const pace = new RegistrationPace(1)
  pace.take('192.0.2.1', 0)

  const waits = Array.from({ length: 12_000 }, (_, at) => {
    pace.take(`10.0.${at >> 8}.${at & 255}`, 1)
    return pace.take('192.0.2.1', 1)
  })

  expect(Math.min(...waits)).toBeGreaterThan(0)
})

test.each([
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
  ['2001:db8:1:2::1', '2001:0DB8:0001:0002::5%eth0', true],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['::ffff:192.0.2.1', '192.0.2.1', true],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
  ['::1', '2001:db8::1', false],
])('%s and %s count as one place: %s', (one, other, isOne) => {
  const pace = new RegistrationPace(1)

  pace.take(one, 0)

  expect(pace.take(other, 0) > 0).toBe(isOne)
})
