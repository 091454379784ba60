import { expect, test } from 'vitest'
import { sqlFinder } from './sql.ts'
import { hostPattern, urlFinder } from './url.ts'

const CHARS = 300_000
/** Ten times what it takes on a slow machine; a cost that is not linear would be a hundred times more. */
const MOST_MS = 1_500

test.each(['http:', 'a://a', 'http://a\t', 'https://a.example/x\n', 'ws:ws:', '::::', 'http:\\'])(
  'a text full of %j is looked through in linear time',
  (piece) => {
    const find = urlFinder(['evil.example'], ['/admin/'])
    const text = piece.repeat(CHARS / piece.length)

    const startedAt = performance.now()
    find(text)

    expect(performance.now() - startedAt).toBeLessThan(MOST_MS)
  },
)

test.each(["'", `'"drop`, '/*', '$a$', '#drop\n', "\\'", ';', 'x drop(', '[', 'execute '])(
  'SQL full of %j is looked through in linear time',
  (piece) => {
    const find = sqlFinder(['drop'])
    const text = `${piece.repeat(CHARS / piece.length)} .drop`

    const startedAt = performance.now()
    find(text)

    expect(performance.now() - startedAt).toBeLessThan(MOST_MS)
  },
)

test('addresses inside of addresses hide none: what is not read any more counts as found', () => {
  const find = urlFinder(['evil.example'], [])
  const text = `${'a://a'.repeat(10_000)} http://evil.example/`

  expect(find(text).some(([, end]) => end === text.length)).toBe(true)
  expect(find(`${'http://a.example/b/c\n'.repeat(10_000)}`)).toEqual([])
})

test.each([
  ['evil.example', 'evil.example'],
  ['*.Evil.Example.', '*.evil.example'],
  ['*', '*'],
  ['0x7f.1', '127.0.0.1'],
  ['[::1]', '[::1]'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['http://evil.example', null],
  ['evil.example/x', null],
  ['evil.example:80', null],
  ['a*b', null],
  ['', null],
])('%j as a host of a rule is %j', (written, meant) => {
  expect(hostPattern(written)).toBe(meant)
})
