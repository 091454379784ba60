import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineCutter, type Line } from './lines.ts'

const MAX = 600

test('any text in any pieces comes out as its lines, the over-long ones as their ends', () => {
  const text = fc.array(fc.string({ maxLength: 2_000 }).map((line) => line.replaceAll(/[\r\n]/g, ' ')))
  const cuts = fc.array(fc.nat(1_500), { maxLength: 20 })

  fc.assert(
    fc.property(text, cuts, (lines, sizes) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))

      const got = cut(bytes, sizes)

      expect(got).toEqual(lines.map((line) => expected(Buffer.from(line))))
    }),
  )
})

test('never holds more of an unfinished line than the limit', () => {
  const cutter = new LineCutter(() => MAX)

  for (let n = 0; n < 1_000; n++) expect([...cutter.push(Buffer.alloc(MAX, 'x'))]).toEqual([])

  expect(cutter.openBytes).toBe(MAX * 1_000)
  expect([...cutter.push(Buffer.from('end\n'))]).toMatchObject([{ kind: 'too-long', length: MAX * 1_000 + 3 }])
})

test('a line may end with carriage return and newline, the last one with neither', () => {
  const cutter = new LineCutter(() => MAX)

  const lines = [...cutter.push(Buffer.from('a\r\n\r\nb')), ...cutter.end()]

  expect(lines.map((line) => line.kind === 'line' && line.bytes.toString())).toEqual(['a', '', 'b'])
})

function cut(bytes: Buffer, sizes: readonly number[]): Line[] {
  const cutter = new LineCutter(() => MAX)
  const got: Line[] = []
  let at = 0
  for (const size of [...sizes, bytes.length]) {
    got.push(...cutter.push(bytes.subarray(at, at + size)))
    at += size
  }
  return got
}

function expected(line: Buffer): object {
  if (line.length <= MAX) return { kind: 'line', bytes: line }
  return { kind: 'too-long', head: line.subarray(0, 256), tail: line.subarray(-256), length: line.length }
}
