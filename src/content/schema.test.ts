import { expect, test } from 'vitest'
import { contentRule } from './schema.ts'

test.each<[string, object, string, RegExp]>([
  ['a look-ahead', { pattern: 'a(?=b)', effect: 'block' }, 'pattern', /RE2/],
  ['a back-reference', { pattern: String.raw`(a)\1`, effect: 'block' }, 'pattern', /RE2/],
  [
    'a repeat without end of repeats',
    { pattern: '((a{1,100}){1,100}){1,100}', effect: 'block' },
    'pattern',
    /RE2|large/,
  ],
  ['a pattern that is too large', { pattern: '(?:[a-z]{1,100}x){1,10}', effect: 'block' }, 'pattern', /too large/],
  ['a pattern that is too long', { pattern: 'a'.repeat(513), effect: 'block' }, 'pattern', /512/],
  ['a pattern for nothing', { pattern: 'a*', effect: 'block' }, 'pattern', /empty text/],
  ['a pattern that is none', { pattern: '(', effect: 'block' }, 'pattern', /RE2/],
  ['a path without a root', { path: 'a.b', effect: 'redact' }, 'path', /\$/],
  ['a path with a filter', { path: '$.a[?(@.b)]', effect: 'redact' }, 'path', /cannot be read/],
  ['a path that is too deep', { path: `$${'.a'.repeat(25)}`, effect: 'redact' }, 'path', /more than 24/],
  ['nothing to redact', { effect: 'redact' }, 'effect', /look for/],
  ['a replacement that is not said', { pattern: 'a', effect: 'replace' }, 'with', /what to put there/],
  ['a cut at no place', { effect: 'truncate' }, 'max_chars', /needs it/],
  ['a note without words', { effect: 'annotate', phase: 'output' }, 'note', /what to say/],
  ['a note on arguments', { effect: 'annotate', note: 'a' }, 'phase', /output/],
  ['an approval of what has happened', { effect: 'approve', phase: 'output' }, 'phase', /input/],
  ['SQL anywhere', { sql_verbs: ['drop'], effect: 'block' }, 'sql_verbs', /path/],
  ['tokens that are none', { pattern: 'a', effect: 'redact', reveal_to: ['*'] }, 'reveal_to', /tokenise/],
  ['a detector that is none', { detect: ['cards'], effect: 'block' }, 'detect', /card/],
  ['a misspelt key', { patern: 'a', effect: 'block' }, '', /patern/],
])('%s is refused, with the key', (_, rule, key, message) => {
  const parsed = contentRule.safeParse({ name: 'r', ...rule })

  const issue = parsed.error?.issues[0]
  expect(String(issue?.path[0] ?? '')).toBe(key)
  expect(issue?.message).toMatch(message)
})
