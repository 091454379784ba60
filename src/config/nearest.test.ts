import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editDistance, nearest } from './nearest.ts'

const NAMES = ['slug', 'title', 'tools', 'public_url', 'listen']

test.each([
  ['slg', 'slug'],
  ['slgu', 'slug'],
  ['tittle', 'title'],
  ['publicUrl', 'public_url'],
  ['public-url', 'public_url'],
  ['Listen', 'listen'],
  ['xyzzy', undefined],
  ['', undefined],
])('the name nearest to %j is %j', (word, name) => {
  expect(nearest(word, NAMES)).toBe(name)
})

test('the edit distance is a metric as far as suggestions need it', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a))
      expect(editDistance(a, b) === 0).toBe(a === b)
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
    }),
  )
})
