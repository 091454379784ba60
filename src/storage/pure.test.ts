import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatRow, parseLine } from './backup-format.ts'
import { Turns } from './sqlite/turns.ts'
import { parseStorageUrl } from './storage-url.ts'

describe('a storage URL', () => {
  test.each([
    { url: 'sqlite:./data/gatehouse.db', place: { engine: 'sqlite', file: './data/gatehouse.db' } },
    { url: 'sqlite:/srv/g.db', place: { engine: 'sqlite', file: '/srv/g.db' } },
    { url: 'sqlite:///srv/g.db', place: { engine: 'sqlite', file: '/srv/g.db' } },
    { url: 'postgres://u:p@h/d', place: { engine: 'postgres', url: 'postgres://u:p@h/d' } },
    { url: 'postgresql://h/d?sslmode=require', place: { engine: 'postgres', url: 'postgresql://h/d?sslmode=require' } },
  ])('$url is read', ({ url, place }) => {
    expect(parseStorageUrl(url)).toEqual(place)
  })

  test.each([
    '',
    'sqlite:',
    'sqlite://host/x',
    'sqlite::memory:',
    'postgres://',
    'postgres://h',
    'mysql://h/d',
    '/x.db',
  ])('"%s" is refused', (url) => {
    expect(() => parseStorageUrl(url)).toThrow(/write|names no file/)
  })
})

test('a row of a backup is read as it was written', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.maxSafeInteger(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(fc.array(value), (row) => {
      const text = formatRow(row)
      expect(text.indexOf('\n')).toBe(text.length - 1)
      expect(parseLine(text, 1)).toEqual({ kind: 'row', row })
    }),
  )
})

describe('turns', () => {
  test('are given in the order they were asked for, one at a time', async () => {
    const turns = new Turns()
    const order: number[] = []
    const take = async (number: number) => {
      const turn = await turns.take()
      order.push(number)
      await Promise.resolve()
      order.push(-number)
      turn.done()
      turn.done()
    }

    await Promise.all([1, 2, 3].map(take))

    expect(order).toEqual([1, -1, 2, -2, 3, -3])
  })

  test('are refused after the deadline, and then the next one is served', async () => {
    const turns = new Turns(5)
    const turn = await turns.take()

    await expect(turns.take()).rejects.toThrow(/busy for 5 ms/)
    const next = turns.take()
    turn.done()

    await expect(next).resolves.toBeDefined()
  })
})
