import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSealed } from './sealed.ts'

const sealed = createSealed(randomBytes(32))

test('whatever is JSON comes back as it was, from the place where it lies and from no other', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.string(), (value, place, other) => {
      const plain = JSON.parse(JSON.stringify(value))
      const kept = sealed.seal(place, plain)

      expect(sealed.open(place, kept)).toEqual(plain)
      if (place !== other) expect(() => sealed.open(other, kept)).toThrow('was changed, or belongs elsewhere')
    }),
  )
})

test('one flipped bit, wherever it is, is noticed', () => {
  const kept = sealed.seal('here', { token: 'a token' })

  fc.assert(
    fc.property(fc.nat({ max: kept.length * 8 - 1 }), (bit) => {
      const changed = Buffer.from(kept)
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)

      expect(() => sealed.open('here', changed)).toThrow('was changed')
    }),
  )
})

test('a stand-in is always the same, is another for every text and every house, and tells nothing of the text', () => {
  const other = createSealed(randomBytes(32))

  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 8 }), { minLength: 2, maxLength: 2 }), ([one = '', two = '']) => {
      expect(sealed.refOf(one)).toBe(sealed.refOf(one))
      expect(new Set([sealed.refOf(one), sealed.refOf(two), other.refOf(one)]).size).toBe(3)
      expect(sealed.refOf(one)).not.toContain(one)
    }),
  )
})
