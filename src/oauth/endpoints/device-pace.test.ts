import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DevicePace, POLL_SECONDS } from './device-pace.ts'

test('whoever asks too soon waits five seconds longer from then on, however often (RFC 8628 §3.5)', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40_000 }), { maxLength: 30 }), (gaps) => {
      const pace = new DevicePace()
      let now = 1_800_000_000_000
      let intervalMs = POLL_SECONDS * 1_000
      pace.take('device', now)

      for (const gap of gaps) {
        now += gap
        const isTooSoon = gap < intervalMs - 500
        if (isTooSoon) intervalMs += 5_000
        expect(pace.take('device', now)).toBe(isTooSoon ? 'too-soon' : 'in-time')
      }
    }),
  )
})

test('devices do not wait for one another', () => {
  const pace = new DevicePace()

  const told = ['a', 'b', 'c', 'a'].map((device) => pace.take(device, 0))

  expect(told).toEqual(['in-time', 'in-time', 'in-time', 'too-soon'])
})

test('ten thousand strangers do not make it forget the device that asks too often', () => {
  const pace = new DevicePace()
  pace.take('device', 0)
  for (let stranger = 0; stranger < 10_000; stranger += 1) pace.take(`stranger ${stranger}`, 0)

  expect(pace.take('device', 1_000)).toBe('too-soon')
})
