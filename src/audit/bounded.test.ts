import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, type JsonObject } from '#kernel'
import { boundedExtra } from './bounded.ts'

const json = fc.jsonValue({ maxDepth: 4, noUnicodeString: false })
const extra = fc.dictionary(fc.string({ maxLength: 12 }), json, { maxKeys: 6 }) as fc.Arbitrary<JsonObject>

test('an extra is stored with its members in order, or as its length, however it is put together', () => {
  fc.assert(
    fc.property(extra, (said) => {
      const text = canonicalJson(said)
      const wanted: unknown =
        text.length > 4_096 ? { leftOut: `${text.length} characters` } : JSON.parse(text.toWellFormed())

      expect(JSON.stringify(boundedExtra(said))).toBe(JSON.stringify(wanted))
    }),
    { numRuns: 2_000 },
  )
})

test.each<[string, JsonObject, string]>([
  ['half a character, which JSON writes out', { a: '\ud800' }, '{"a":"\\ud800"}'],
  ['members out of order', { b: { d: 1, c: [{ z: 1, y: 2 }] }, a: 'x' }, '{"a":"x","b":{"c":[{"y":2,"z":1}],"d":1}}'],
  ['a name of every object', JSON.parse('{"__proto__":{"b":1,"a":2}}'), '{"__proto__":{"a":2,"b":1}}'],
  ['too much', { a: 'x'.repeat(5_000) }, '{"leftOut":"5008 characters"}'],
])('with %s', (_what, said, wanted) => {
  expect(JSON.stringify(boundedExtra(said))).toBe(wanted)
})
