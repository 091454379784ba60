import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wildcard } from './wildcard.ts'

test('a wildcard agrees with the regular expression it stands for', () => {
  const text = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', '*') })
  fc.assert(
    fc.property(text, text, (pattern, subject) => {
      const expression = new RegExp(`^${pattern.split('*').join('[^]*')}$`)
      expect(wildcard(pattern)(subject)).toBe(expression.test(subject))
    }),
  )
})
