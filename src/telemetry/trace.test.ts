import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  childTrace,
  formatTraceparent,
  isBaggage,
  isTracestate,
  newSpanId,
  newTraceId,
  parseTraceparent,
  readTrace,
} from './trace.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length })
const id = (length: number) => hex(length).filter((text) => !/^0+$/.test(text))

describe('traceparent', () => {
  it.each([
    `00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-ff`,
    `cc-${TRACE}-${SPAN}-01`,
    `cc-${TRACE}-${SPAN}-01-what-comes-later`,
  ])('%s is valid', (text) => {
    expect(parseTraceparent(text)).toMatchObject({ traceId: TRACE, parentId: SPAN })
  })

  it.each([
    '',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01 `,
    `ff-${TRACE}-${SPAN}-01`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-0x`,
    `cc-${TRACE}-${SPAN}-01-${'x'.repeat(600)}`,
  ])('%s is not', (text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(id(32), id(16), fc.constantFrom('00', '01', '02', '03'), (traceId, parentId, flags) => {
        expect(parseTraceparent(formatTraceparent({ traceId, parentId, flags }))).toEqual({ traceId, parentId, flags })
      }),
    )
  })

  it('of a child keeps trace and sampling, and names a new span', () => {
    fc.assert(
      fc.property(id(32), id(16), hex(2), (traceId, parentId, flags) => {
        const child = parseTraceparent(childTrace({ traceparent: `00-${traceId}-${parentId}-${flags}` }).traceparent)

        expect(child?.traceId).toBe(traceId)
        expect(child?.parentId).not.toBe(parentId)
        expect(Number.parseInt(child?.flags ?? '', 16)).toBe(Number.parseInt(flags, 16) & 3)
      }),
    )
  })

  it('begins a new valid trace where there was none', () => {
    const first = childTrace({}).traceparent

    expect(parseTraceparent(first)).toBeDefined()
    expect(childTrace({}).traceparent).not.toBe(first)
  })

  it('never throws on any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        readTrace({ traceparent: text, tracestate: text, baggage: text })
      }),
    )
  })
})

describe('ids', () => {
  it('have the right form and do not repeat', () => {
    const ids = Array.from({ length: 1_000 }, () => [newTraceId(), newSpanId()]).flat()

    expect(new Set(ids).size).toBe(2_000)
    expect(ids.every((each) => /^([0-9a-f]{32}|[0-9a-f]{16})$/.test(each) && !/^0+$/.test(each))).toBe(true)
  })
})

describe('tracestate', () => {
  it.each(['rojo=00f067aa0ba902b7', 'a=1,b=2', 'a=1 , b=2,', 'fw529a3039@dt=FfAe', 'a= x y'])(
    '"%s" is valid',
    (text) => {
      expect(isTracestate(text)).toBe(true)
    },
  )
  it.each(['', ',', 'a', 'a=', 'A=1', 'a=1,a=2', 'a=b=c', 'a=ä', 'a=1\r\nx: y', `a=${'x'.repeat(600)}`])(
    '"%s" is not',
    (text) => {
      expect(isTracestate(text)).toBe(false)
    },
  )
  it('has at most 32 members', () => {
    const members = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=1`).join(',')

    expect([isTracestate(members(32)), isTracestate(members(33))]).toEqual([true, false])
  })
})

describe('baggage', () => {
  it.each(['a=1', 'a=', 'userId=Am%C3%A9lie , serverNode=DF%2028', 'k=v;p1;p2=x', 'k = v ; p = x'])(
    '"%s" is valid',
    (text) => {
      expect(isBaggage(text)).toBe(true)
    },
  )
  it.each(['', 'a', 'a=1,', '=1', 'a=x y', 'a="q"', 'a=ä', 'a=1\r\nx: y', `a=${'x'.repeat(9_000)}`])(
    '"%s" is not',
    (text) => {
      expect(isBaggage(text)).toBe(false)
    },
  )
  it('is checked in linear time', () => {
    const started = performance.now()

    isBaggage(`a=1${';a = '.repeat(1_600)}"`)
    isBaggage(`a=${' '.repeat(8_000)}"`)

    expect(performance.now() - started).toBeLessThan(200)
  })
})

describe('readTrace', () => {
  it('keeps what is valid and drops the rest', () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`

    expect(readTrace({ traceparent, tracestate: 'a=1', baggage: 'k=v', other: 1 })).toEqual({
      traceparent,
      tracestate: 'a=1',
      baggage: 'k=v',
    })
    expect(readTrace({ traceparent: 'x', tracestate: 'a=1', baggage: 'k=v' })).toEqual({ baggage: 'k=v' })
    expect(readTrace({ traceparent, tracestate: 'A', baggage: ['k=v'] })).toEqual({ traceparent })
  })
})
