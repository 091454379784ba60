import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSeal } from './seal.ts'

const seal = createSeal(randomBytes(32))

test('what was sealed for a purpose comes back for that purpose only', () => {
  const text = seal.seal('task', { id: 't1' })

  expect(seal.open('task', text)).toEqual({ id: 't1' })
  expect(seal.open('state', text)).toBeNull()
  expect(createSeal(randomBytes(32)).open('task', text)).toBeNull()
})

test('equal content is sealed equally', () => {
  expect(seal.seal('task', { id: 't1' })).toBe(seal.seal('task', { id: 't1' }))
})

test('a changed character is noticed, and no text makes it throw', () => {
  const text = seal.seal('task', { id: 't1' })
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('A', 'b', '0', '-'), (at, other) => {
      const changed = text.slice(0, at) + other + text.slice(at + 1)
      const isSameBytes = Buffer.from(changed, 'base64url').equals(Buffer.from(text, 'base64url'))
      expect(seal.open('task', changed)).toEqual(isSameBytes ? { id: 't1' } : null)
    }),
  )
  fc.assert(
    fc.property(fc.string(), (garbage) => {
      expect(seal.open('task', garbage)).toBeNull()
    }),
  )
})
