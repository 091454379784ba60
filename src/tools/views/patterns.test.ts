import { expect, test } from 'vitest'
import { compilePick } from './patterns.ts'

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

test('no pattern picks nothing', () => {
  expect(compilePick([]).matches({ name: 'a', tags: [] }, 'x')).toBe(false)
})
