import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readMessages } from './message.ts'
import { isShallowJson, MAX_DEPTH, scanMessage } from './scan.ts'

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function parsesToObject(text: string): boolean {
  if (!parses(text)) return false
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function cut(bytes: Buffer, span: { start: number; end: number } | undefined): unknown {
  return span === undefined ? undefined : JSON.parse(bytes.toString('utf8', span.start, span.end))
}

const name = fc.oneof(
  fc.constantFrom('id', 'method', 'result', 'error', 'isError', 'resultType', '__proto__'),
  fc.string(),
)
const value = fc.jsonValue({ maxDepth: 4 })
const inner = fc.dictionary(name, fc.oneof(value, fc.boolean(), fc.constantFrom('complete', 'task')))
const envelope = fc.record(
  { jsonrpc: fc.constant('2.0'), id: fc.integer(), result: inner, error: value, method: value, x: value },
  { requiredKeys: [] },
)
const indent = fc.constantFrom(0, 1, 2, '\t')

describe('scanning a message', () => {
  test('finds the same parts as JSON.parse', () => {
    fc.assert(
      fc.property(envelope, indent, (message, space) => {
        const bytes = Buffer.from(JSON.stringify(message, undefined, space))
        const parsed: Record<string, unknown> = JSON.parse(bytes.toString('utf8'))

        const scan = scanMessage(bytes)

        expect(scan).toBeDefined()
        for (const part of ['id', 'method', 'result', 'error'] as const)
          expect(cut(bytes, scan?.[part])).toEqual(parsed[part])
        const result: { isError?: unknown; resultType?: unknown } = message.result ?? {}
        expect(scan?.isError).toBe(result.isError === true)
        expect(cut(bytes, scan?.resultType)).toEqual(
          typeof result.resultType === 'string' ? result.resultType : undefined,
        )
      }),
    )
  })

  test('accepts what JSON.parse accepts and nothing else, also after damage', () => {
    const damaged = fc.tuple(
      envelope,
      indent,
      fc.nat(),
      fc.constantFrom('', '"', '\\', ',', '}', ']', '{', '0', '-', 'e', '\n', '\u0001', '\\u12', 'tru', ' '),
    )
    fc.assert(
      fc.property(damaged, ([message, space, at, piece]) => {
        const text = JSON.stringify(message, undefined, space)
        const where = at % (text.length + 1)
        const broken = text.slice(0, where) + piece + text.slice(where + (piece === '' ? 1 : 0))
        fc.pre(Buffer.from(broken).toString('utf8') === broken)

        expect(scanMessage(Buffer.from(broken)) !== undefined).toBe(parsesToObject(broken))
      }),
      { numRuns: 1_000 },
    )
  })

  test('judges any text like JSON.parse', () => {
    const snippet = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ':',
        ',',
        '"',
        'a',
        '\\',
        'u00e9',
        '1',
        '-',
        '.',
        'e',
        '+',
        'true',
        'null',
        ' ',
        '\t',
      ),
      { maxLength: 24 },
    )
    fc.assert(
      fc.property(snippet, (parts) => {
        const text = parts.join('')

        expect(isShallowJson(Buffer.from(text))).toBe(parses(text))
      }),
      { numRuns: 2_000 },
    )
  })

  test('the last of equal names counts, as in JSON.parse, escaped or not', () => {
    const bytes = Buffer.from('{"id":1,"result":{"isError":true},"re\\u0073ult":{"isError":false,"x":2}}')

    const scan = scanMessage(bytes)

    expect(cut(bytes, scan?.result)).toEqual({ isError: false, x: 2 })
    expect(scan?.isError).toBe(false)
  })

  test.each([
    ['objects', '{"result":' + '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000) + '}'],
    ['arrays', '{"result":{"a":' + '['.repeat(100_000) + ']'.repeat(100_000) + '}}'],
    ['just too deep', '{"result":{"a":' + '['.repeat(MAX_DEPTH - 1) + ']'.repeat(MAX_DEPTH - 1) + '}}'],
  ])('refuses deep nesting: %s', (_what, text) => {
    expect(scanMessage(Buffer.from(text))).toBeUndefined()
    expect(readMessages(Buffer.from(`[${text}]`))).toBeUndefined()
  })

  test('accepts nesting up to the limit', () => {
    const text = '{"result":{"a":' + '['.repeat(MAX_DEPTH - 2) + ']'.repeat(MAX_DEPTH - 2) + '}}'

    expect(scanMessage(Buffer.from(text))).toBeDefined()
  })

  test('refuses what is not UTF-8', () => {
    expect(scanMessage(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeUndefined()
  })
})

describe('reading messages', () => {
  test('a result keeps its bytes, on one line', () => {
    const text = '{"jsonrpc":"2.0",\r\n"id":7,"result":{\n  "content": [],\r\n "z": 1.0 }}'

    const [message] = readMessages(Buffer.from(text)) ?? []

    expect(message?.kind === 'result' && message.result.bytes().toString()).toBe('{   "content": [],   "z": 1.0 }')
  })

  test('a batch of 2025-03-26 is read one by one', () => {
    const text =
      ' [{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{"isError":true}},{"id":"x","method":"b"}]'

    const kinds = readMessages(Buffer.from(text))?.map((message) => message.kind)

    expect(kinds).toEqual(['notification', 'result', 'request'])
  })

  test.each([
    '',
    'null',
    '[1',
    '{"id":1,"result":[]}',
    '{"id":1,"result":3}',
    '{"result":{}}',
    '{"id":{},"result":{}}',
    '{"id":1}',
    '{}',
  ])('refuses %s', (text) => {
    expect(readMessages(Buffer.from(text))).toBeUndefined()
  })
})
