import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compilePick, wildcard } from './patterns.ts'

test.each([
  ['files/read_*', 'files', 'read_file', true],
  ['files/read_*', 'files', 'write_file', false],
  ['files/read_*', 'other', 'read_file', false],
  ['*/search', 'any', 'search', true],
  ['*', 'any', 'thing', true],
  ['tag:mail', 'gmail', 'send', true],
  ['tag:chat', 'gmail', 'send', false],
  ['f*s/*', 'files', 'x', true],
])('%s picks %s/%s: %s', (pattern, name, thing, expected) => {
  expect(compilePick([pattern]).matches({ name, tags: ['mail'] }, thing)).toBe(expected)
})

test('a wildcard agrees with the regular expression it stands for', () => {
  const text = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', '*') })
  fc.assert(
    fc.property(text, text, (pattern, subject) => {
      const expression = new RegExp(`^${pattern.split('*').join('[^]*')}$`)
      expect(wildcard(pattern)(subject)).toBe(expression.test(subject))
    }),
  )
})

test('no pattern picks nothing', () => {
  expect(compilePick([]).matches({ name: 'a', tags: [] }, 'x')).toBe(false)
})
