import { expect, test } from 'vitest'
import { UsageError } from '../failure.ts'
import { readAnswer } from './answer.ts'
import { showContent } from './content.ts'
import { CLIENTS, snippetFor } from './snippets.ts'
import { list, plain, table } from './table.ts'
import { nextTry, parseExpiry, parseSince, relative } from './times.ts'

const NOW = Date.parse('2026-11-21T08:00:00Z')
const DAY = 86_400_000

test.each<[at: number | null, words: string]>([
  [null, 'never'],
  [NOW, 'now'],
  [NOW - 400, 'now'],
  [NOW - 3 * 60_000, '3 min ago'],
  [NOW + 2 * 3_600_000, 'in 2 h'],
  [NOW + 30 * DAY - 200, 'in 30 d'],
])('%s is told as "%s"', (at, words) => {
  expect(relative(at, NOW)).toBe(words)
})

test('a try whose time has come is told as under way', () => {
  expect(nextTry(NOW + 4_000, NOW)).toBe(' (next try in 4 s)')
  expect(nextTry(NOW - 4_000, NOW)).toBe(' (trying now)')
  expect(nextTry(null, NOW)).toBe('')
})

test.each([
  ['30d', NOW + 30 * DAY],
  ['12h', NOW + 12 * 3_600_000],
  ['2027-01-31', Date.parse('2027-01-31')],
])('--expires %s', (text, at) => {
  expect(parseExpiry(text, NOW)).toBe(at)
})

test.each([
  ['1h', NOW - 3_600_000],
  ['7d', NOW - 7 * DAY],
  ['2026-11-20T10:00Z', Date.parse('2026-11-20T10:00Z')],
])('--since %s', (text, at) => {
  expect(parseSince(text, NOW)).toBe(at)
})

test.each([
  ['a date gone by', () => parseExpiry('2020-01-01', NOW)],
  ['a word', () => parseExpiry('tomorrow', NOW)],
  ['a bare number', () => parseSince('60', NOW)],
  ['nothing', () => parseSince('', NOW)],
  ['an unknown unit', () => parseSince('3y', NOW)],
])('%s is no time', (_, parse) => {
  expect(parse).toThrow(UsageError)
})

test('columns are aligned, and nothing trails', () => {
  const text = table(
    ['name', 'state', 'reason'],
    [
      ['a', 'healthy', ''],
      ['longer', 'off', 'switched off'],
    ],
  )

  expect(text).toBe(['NAME    STATE    REASON', 'a       healthy', 'longer  off      switched off', ''].join('\n'))
})

test('lines are cut at the width of the terminal', () => {
  const [, line] = table(['name', 'text'], [['a', 'x'.repeat(100)]], 40).split('\n')

  expect(line).toHaveLength(40)
  expect(line?.endsWith('…')).toBe(true)
})

test('what others wrote cannot steer the terminal', () => {
  const text = `${table(['a'], [['\u001b[31mred\u001b[0m\nnext\u202e']])}${list([['b', '\u0007bell\r']])}`

  expect(text).toBe('A\n[31mred[0m next\nb  bell\n')
  expect(plain('\u009b2Jgone')).toBe('2Jgone')
})

test.each<[what: string, content: Record<string, unknown>[], shown: string]>([
  ['text', [{ type: 'text', text: 'a\nb' }], 'a\nb\n'],
  ['an image', [{ type: 'image', mimeType: 'image/png', data: 'AAAA' }], '[image image/png, 3 bytes]\n'],
  ['a link', [{ type: 'resource_link', name: 'n', uri: 'file:///x' }], '[link n file:///x]\n'],
  ['a resource with text', [{ type: 'resource', resource: { uri: 'x:', text: 'inside' } }], 'inside\n'],
  ['a resource without', [{ type: 'resource', resource: { uri: 'x:', blob: 'AAAA' } }], '[resource x: , 3 bytes]\n'],
  ['something new', [{ type: 'hologram' }], '{"type":"hologram"}\n'],
])('%s is shown as text', (_, content, shown) => {
  expect(showContent({ content })).toBe(shown)
})

test('a result that is only structured is shown as JSON', () => {
  expect(showContent({ content: [], structuredContent: { a: 1 } })).toBe('{\n  "a": 1\n}\n')
})

test.each<[property: object, said: string, value: unknown]>([
  [{ type: 'string' }, 'Ann', 'Ann'],
  [{ type: 'boolean' }, 'yes', true],
  [{ type: 'boolean' }, 'N', false],
  [{ type: 'integer' }, '42', 42],
  [{ type: 'number' }, '-1.5', -1.5],
  [{ type: 'string', enum: ['a', 'b'] }, 'b', 'b'],
  [{ type: 'string', oneOf: [{ const: 'a', title: 'A' }] }, 'a', 'a'],
  [{ type: 'array', items: { type: 'string', enum: ['a', 'b'] } }, 'a, b', ['a', 'b']],
])('for %j "%s" means %j', (property, said, value) => {
  expect(readAnswer({ ...property }, said)).toEqual({ ok: true, value })
})

test.each<[property: object, said: string, expected: string]>([
  [{ type: 'boolean' }, 'maybe', 'yes or no'],
  [{ type: 'integer' }, '1.5', 'a whole number'],
  [{ type: 'number' }, '', 'a number'],
  [{ type: 'string', enum: ['a', 'b'] }, 'c', 'one of: a, b'],
  [{ type: 'array', items: { enum: ['a'] } }, 'b', 'some of: a, with commas between'],
  [{ type: 'string', minLength: 3 }, 'ab', 'at least 3 characters'],
  [{ type: 'string', maxLength: 1 }, 'ab', 'at most 1 characters'],
])('for %j "%s" is not taken', (property, said, expected) => {
  expect(readAnswer({ ...property }, said)).toEqual({ ok: false, expected })
})

test.each(CLIENTS)('the snippet for %s names the address and the key', (client) => {
  const { title, text } = snippetFor(client, { url: 'http://127.0.0.1:8600/mcp/default', key: 'gh_1_2' })

  expect(title).not.toBe('')
  expect(text).toContain('http://127.0.0.1:8600/mcp/default')
  expect(text).toContain('gh_1_2')
})
