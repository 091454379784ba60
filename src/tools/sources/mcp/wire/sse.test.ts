import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SseReader } from './sse.ts'

type Read = { type: string; data: string; id: string | undefined }

function read(
  chunks: readonly Buffer[],
  maxBytes = 1_000_000,
): { events: Read[]; retries: number[]; tooLarge: number } {
  const events: Read[] = []
  const retries: number[] = []
  let tooLarge = 0
  const reader = new SseReader(
    {
      event: ({ type, data, id }) => events.push({ type, data: data.toString('utf8'), id }),
      retry: (milliseconds) => retries.push(milliseconds),
      tooLarge: () => {
        tooLarge += 1
      },
    },
    () => maxBytes,
  )
  for (const chunk of chunks) reader.push(chunk)
  return { events, retries, tooLarge }
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length))
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((line) => line.replaceAll(/[\r\n]/g, ''))
const event = fc.record({
  type: fc.constantFrom('message', 'endpoint'),
  data: fc.array(text, { minLength: 1, maxLength: 4 }),
  id: fc.option(
    text.map((id) => id.replaceAll('\0', '')),
    { nil: undefined },
  ),
})

describe('reading server-sent events', () => {
  test('an event of very many lines without anything in them is too large', () => {
    const lines = Buffer.from('data\n'.repeat(20_000))

    expect(read([lines, lines]).tooLarge).toBe(1)
  })

  test('the events are the same however the bytes are cut and lines end', () => {
    fc.assert(
      fc.property(fc.array(event), fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat()), (events, lineEnd, cuts) => {
        const lines = events.flatMap(({ type, data, id }) => [
          ': comment',
          ...(type === 'message' ? [] : [`event: ${type}`]),
          ...(id === undefined ? [] : [`id: ${id}`]),
          ...data.map((line) => `data: ${line}`),
          '',
        ])
        const bytes = Buffer.from(lines.map((line) => line + lineEnd).join(''))

        const { events: seen } = read(cutAt(bytes, cuts))

        expect(seen).toEqual(events.map(({ type, data, id }) => ({ type, data: data.join('\n'), id })))
      }),
    )
  })

  test('an unfinished event is not told, a priming event is', () => {
    const { events, retries } = read([Buffer.from('\uFEFFid: 1\nretry: 250\ndata:\n\ndata: {"unfinished":')])

    expect(events).toEqual([{ type: 'message', data: '', id: '1' }])
    expect(retries).toEqual([250])
  })

  test('an event without end is stopped at the limit', () => {
    const chunk = Buffer.from('data: ' + 'x'.repeat(60))

    const { events, tooLarge } = read([chunk, ...Array.from({ length: 20 }, () => Buffer.alloc(60, 'y'))], 500)

    expect(events).toEqual([])
    expect(tooLarge).toBe(1)
  })

  test('comments alone never reach the limit', () => {
    const { events, tooLarge } = read(
      Array.from({ length: 100 }, () => Buffer.from(': ping ping ping\n\n')),
      100,
    )

    expect(events).toEqual([])
    expect(tooLarge).toBe(0)
  })
})
