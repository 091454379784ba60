import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isProblem } from '#kernel'
import { legacyResult, modernResult } from './bridge/results.ts'
import { parseJson } from './body.ts'
import { modernShape, pageOf } from './lists.ts'
import { parseEventId } from './legacy/replay.ts'
import { decodeHeader, encodeHeader } from './modern/header-value.ts'
import { parseMessage } from './rpc.ts'
import { applyEdits, insertFront, membersOf, removeMember } from './splice.ts'
import { frameEvent } from './sse.ts'

const SPEC = { kind: 'tools', member: 'tools', key: 'name' } as const
const words = fc.constantFrom('resultType', '_meta', 'structuredContent', 'content', 'ttlMs', 'a"b', 'ü', '')
const object = fc.dictionary(fc.oneof(words, fc.string()), fc.jsonValue(), { maxKeys: 8 })
/** The same value written tight and wide. */
const bytesOf = (value: unknown, indent: number) => Buffer.from(JSON.stringify(value, null, indent))
const parse = (pieces: readonly Buffer[]): Record<string, unknown> => JSON.parse(Buffer.concat(pieces).toString())
const indent = fc.constantFrom(0, 1, 3)

function problemOr<T>(work: () => T): T | 'problem' {
  try {
    return work()
  } catch (error) {
    if (isProblem(error)) return 'problem'
    throw error
  }
}

describe('bodies', () => {
  it('are parsed like JSON.parse, or refused with a problem', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const parsed = problemOr(() => parseJson(Buffer.from(text), 1000))
        const expected = problemOr(() => {
          try {
            return JSON.parse(Buffer.from(text).toString()) as unknown
          } catch {
            return 'problem'
          }
        })
        expect(parsed).toEqual(expected)
      }),
    )
  })

  it('are refused exactly when they are nested too deep', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.string(), (depth, inner) => {
        const text = '['.repeat(depth) + JSON.stringify(`${inner}[[{{"\\`) + ']'.repeat(depth)
        const outcome = problemOr(() => parseJson(Buffer.from(text), 20))
        expect(outcome === 'problem').toBe(depth > 20)
      }),
    )
  })

  it('of any shape become a message or a problem, never a crash', () => {
    const member = fc.option(fc.oneof(fc.jsonValue(), fc.constant('2.0'), fc.constant('ping')), { nil: undefined })
    const shape = fc.record({
      jsonrpc: member,
      id: member,
      method: member,
      params: member,
      result: member,
      error: member,
    })
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), shape), (value) => {
        const message = problemOr(() => parseMessage(JSON.parse(JSON.stringify(value))))
        expect(message === 'problem' || ['request', 'notification', 'response'].includes(message.kind)).toBe(true)
      }),
    )
  })
})

describe('splicing', () => {
  it('finds every member where it is', () => {
    fc.assert(
      fc.property(object, indent, (value, spaces) => {
        const bytes = bytesOf(value, spaces)
        const members = membersOf(bytes)
        const plain = Object.entries(value).filter(([key]) => /^[a-zA-Z_]*$/.test(key))
        for (const [key, member] of plain) {
          const found = members.get(key)
          expect(found).toBeDefined()
          const json = bytes.subarray(found?.valueStart, found?.valueEnd).toString()
          expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(member)))
        }
      }),
    )
  })

  it('removes and inserts one member and leaves the others', () => {
    fc.assert(
      fc.property(object, fc.jsonValue(), indent, (value, extra, spaces) => {
        const bytes = bytesOf({ ...value, wanted: extra }, spaces)
        const member = membersOf(bytes).get('wanted')
        const { wanted: _wanted, ...rest } = value
        const without = member === undefined ? [bytes] : applyEdits(bytes, [removeMember(bytes, member)])
        expect(parse(without)).toEqual(JSON.parse(JSON.stringify(rest)))
        const again = applyEdits(Buffer.concat(without), [insertFront(Buffer.concat(without), ['"wanted":1'])])
        expect(parse(again)).toEqual({ ...JSON.parse(JSON.stringify(rest)), wanted: 1 })
      }),
    )
  })

  it('gives modern clients what belongs on a result, and changes nothing else', () => {
    fc.assert(
      fc.property(object, indent, (value, spaces) => {
        const result = parse(modernResult(bytesOf(value, spaces), { serverInfo: '{"name":"g"}' }))
        const meta =
          typeof value._meta === 'object' && value._meta !== null && !Array.isArray(value._meta) ? value._meta : {}
        const _meta = { ...meta, 'io.modelcontextprotocol/serverInfo': { name: 'g' } }
        expect(result).toEqual(JSON.parse(JSON.stringify({ ...value, resultType: 'complete', _meta })))
      }),
    )
  })

  it.each([
    ['"result\\u0054ype":"input_required","content":[]'],
    [
      '"content":[],"\\u0072esultType":"task","\\u005fmeta":{"io.modelcontextprotocol\\u002fserverInfo":{"name":"evil"}}',
    ],
  ])('a key written with escapes is no way around that: %s', (members) => {
    const result = parse(modernResult(Buffer.from(`{${members}}`), { serverInfo: '{"name":"g"}' }))

    expect(result.resultType).toBe('complete')
    expect(result._meta).toEqual({ 'io.modelcontextprotocol/serverInfo': { name: 'g' } })
  })

  it('takes from legacy clients also what is written with escapes', () => {
    const bytes = Buffer.from('{"content":[],"structured\\u0043ontent":[1]}')

    expect(parse(legacyResult(bytes))).toEqual({ content: [] })
  })

  it('reads a result type at the end, where most servers write it, like one anywhere', () => {
    const clean = object.map(({ _meta, structuredContent: _no, resultType: _type, ...rest }) => rest)
    fc.assert(
      fc.property(clean, fc.constantFrom({}, { structuredContent: {} }, { _meta: { a: 1 } }), (value, more) => {
        const bytes = () => bytesOf({ ...value, ...more, resultType: 'complete' }, 0)
        const plain = JSON.parse(JSON.stringify({ ...value, ...more }))
        const stamped = parse(modernResult(bytes(), { serverInfo: '{"name":"g"}' }))

        expect(parse(legacyResult(bytes()))).toEqual(plain)
        expect(stamped).toMatchObject({ ...plain, resultType: 'complete' })
        expect(stamped._meta).toMatchObject({ 'io.modelcontextprotocol/serverInfo': { name: 'g' } })
      }),
    )
  })

  it('makes what clients may keep always private', () => {
    fc.assert(
      fc.property(object, fc.boolean(), (value, mayKeep) => {
        const cache = { defaultTtlMs: 7, mayKeep }
        const result = parse(modernResult(bytesOf({ ...value, cacheScope: 'public' }, 0), { serverInfo: '{}', cache }))
        expect(result.cacheScope).toBe('private')
        expect(Number.isSafeInteger(result.ttlMs)).toBe(true)
        expect(mayKeep || result.ttlMs === 0).toBe(true)
      }),
    )
  })

  it('gives session-era clients no member they would refuse', () => {
    fc.assert(
      fc.property(object, indent, (value, spaces) => {
        const result = parse(legacyResult(bytesOf(value, spaces)))
        const { resultType: _resultType, structuredContent, ...rest } = JSON.parse(JSON.stringify(value))
        const isObject =
          typeof structuredContent === 'object' && structuredContent !== null && !Array.isArray(structuredContent)
        expect(result).toEqual(isObject ? { ...rest, structuredContent } : rest)
      }),
    )
  })
})

describe('headers', () => {
  it('bring back every text that was encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = encodeHeader(text.toWellFormed())
        expect(encoded).toMatch(/^[\x20-\x7e]*$/)
        expect(decodeHeader(encoded)).toBe(text.toWellFormed())
      }),
    )
  })

  it('never decode to anything out of broken base64', () => {
    fc.assert(
      fc.property(fc.string(), (inner) => {
        const decoded = decodeHeader(`=?base64?${inner}?=`)
        if (decoded !== null) expect(Buffer.from(decoded).toString('base64')).toBe(inner)
      }),
    )
  })
})

describe('event frames', () => {
  it('hold exactly one event, whose data is the message', () => {
    fc.assert(
      fc.property(fc.jsonValue(), indent, (value, spaces) => {
        const frame = Buffer.concat(frameEvent([bytesOf(value, spaces)], 'c1-1')).toString()
        const lines = frame.split(/\r\n|\r|\n/)
        expect(lines).toHaveLength(4)
        expect(lines[0]).toBe('id: c1-1')
        expect(JSON.parse(lines[1]?.slice('data: '.length) ?? '')).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('have ids that only we could have made', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const place = parseEventId(text)
        if (place !== null) expect(text).toBe(`${place.streamId}-${text.split('-')[1]}`)
      }),
    )
    expect(parseEventId('c12-34')).toEqual({ streamId: 'c12', seq: 34 })
  })
})

describe('pages', () => {
  const listOf = (names: readonly string[]) => ({ items: names.map((name) => ({ name })), missing: [] })
  const read = (names: readonly string[], cursor: unknown, pageSize: number) => {
    const page = pageOf(listOf(names), { spec: SPEC, cursor, pageSize, shape: modernShape })
    const items: { name: string }[] = JSON.parse(page.json.toString())
    return { names: items.map((item) => item.name), nextCursor: page.nextCursor }
  }
  const uniqueNames = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 40 })

  it('together are the whole list, in order', () => {
    fc.assert(
      fc.property(uniqueNames, fc.integer({ min: 1, max: 10 }), (names, pageSize) => {
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = read(names, cursor, pageSize)
          seen.push(...page.names)
          cursor = page.nextCursor
        } while (cursor !== undefined)
        expect(seen).toEqual(names)
      }),
    )
  })

  it('skip and repeat nothing that stayed when the list changes in between', () => {
    fc.assert(
      fc.property(uniqueNames, fc.func(fc.boolean()), (names, isKept) => {
        const first = read(names, undefined, 5)
        fc.pre(first.nextCursor !== undefined)
        const last = first.names.at(-1)
        const changed = names.filter((name) => name === last || isKept(name))
        const rest = read(changed, first.nextCursor, 100)
        expect([...first.names, ...rest.names]).toEqual(expect.arrayContaining(changed))
        expect(rest.names.filter((name) => first.names.includes(name))).toEqual([])
      }),
    )
  })

  it('refuse every cursor that is not one of theirs', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.jsonValue()), (cursor) => {
        fc.pre(cursor !== undefined)
        expect(problemOr(() => read(['a', 'b'], cursor, 1))).toBe('problem')
      }),
    )
  })
})
