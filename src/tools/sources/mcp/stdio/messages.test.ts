import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findResponseId, readLine } from './messages.ts'

describe('reading a line', () => {
  test('takes JSON that is nested very deep for noise', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`

    const [read] = readLine(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":${deep}}}`))

    expect(read?.kind).toBe('noise')
  })

  test('takes a batch of very many messages for one piece of noise', () => {
    expect(readLine(Buffer.from(`[${'1,'.repeat(100_000)}1]`))).toEqual([{ kind: 'noise' }])
  })

  test('never throws, whatever the server prints', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    )

    fc.assert(fc.property(anything, (line) => readLine(Buffer.from(line)).length > 0))
  })

  test.for([
    ['{"jsonrpc":"2.0","method":"n"}', 'message'],
    ['{"jsonrpc":"2.0","id":"a","method":"n","params":{}}', 'message'],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', 'response'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}', 'response'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":"1"}}', 'broken-response'],
    ['{"jsonrpc":"2.0","id":1}', 'broken-response'],
    ['{"jsonrpc":"2.0","id":"1","result":{}}', 'noise'],
    ['{"jsonrpc":"2.0","id":{},"method":"n"}', 'noise'],
    ['{"jsonrpc":"2.0","method":"n","params":[]}', 'noise'],
    ['{"method":"n"}', 'noise'],
    ['[]', 'noise'],
    ['', 'noise'],
    ['Server listening on stdio', 'noise'],
  ] as const)('%s is a %s', ([line, kind]) => {
    expect(readLine(Buffer.from(line))).toMatchObject([{ kind }])
  })
})

describe('finding the request that an over-long answer is for', () => {
  test('works wherever the id is written beside the result', () => {
    const text = fc.string()
    fc.assert(
      fc.property(fc.nat(), text, (id, result) => {
        const first = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result: { result } }))
        const last = Buffer.from(JSON.stringify({ result: { result }, jsonrpc: '2.0', id }))

        expect([ends(first), ends(last)].map(findResponseId)).toEqual([id, id])
      }),
    )
  })

  test('is not fooled by what the result holds', () => {
    const text = '{"id":1,' + 'x'.repeat(600) + ',"id":2}'
    const inString = Buffer.from(JSON.stringify({ result: { text, more: { id: 3 } } }))

    expect(findResponseId(ends(inString))).toBeUndefined()
  })
})

function ends(bytes: Buffer): { head: Buffer; tail: Buffer } {
  return { head: bytes.subarray(0, 256), tail: bytes.subarray(-256) }
}
