import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseByteSize, parseDuration, parseHostPort } from './units.ts'

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['15m', 900_000],
  ['2 h', 7_200_000],
  ['30d', 2_592_000_000],
  ['1w', 604_800_000],
  ['0s', 0],
  ['', undefined],
  ['30', undefined],
  ['d', undefined],
  ['-1s', undefined],
  ['1.5h', undefined],
  ['1y', undefined],
  ['1 toString', undefined],
  ['999999999999999w', undefined],
])('the duration %j is %j milliseconds', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})

test.each([
  ['4MiB', 4_194_304],
  ['512KiB', 524_288],
  ['1GB', 1_000_000_000],
  ['12B', 12],
  ['12', undefined],
  ['4mib', undefined],
  ['4TiBB', undefined],
])('the size %j is %j bytes', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes)
})

test.each([
  ['127.0.0.1:8600', { host: '127.0.0.1', port: 8600 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['gate.example.com:443', { host: 'gate.example.com', port: 443 }],
  [':8600', undefined],
  ['8600', undefined],
  ['::1:8600', undefined],
  ['localhost:65536', undefined],
  ['http://localhost:80', undefined],
])('the address %j is %j', (text, address) => {
  expect(parseHostPort(text)).toEqual(address)
})

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      parseDuration(text)
      parseByteSize(text)
      parseHostPort(text)
    }),
  )
})
