import fc from 'fast-check'
import { expect, test } from 'vitest'
import { depthOf } from './read-json.ts'

test('the depth of a text is the depth of its value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      expect(depthOf(JSON.stringify(value))).toBe(depth(value))
    }),
    { numRuns: 300 },
  )
})

test('any text has a depth', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => depthOf(text) >= 0),
    { numRuns: 300 },
  )
})

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depth))
}
