import { createDecipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decrypt, encrypt } from './aes-gcm.ts'

const key = randomBytes(32)

test('what was encrypted opens in its context with its key, and in no other', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (plain, context, other) => {
      const sealed = encrypt({ key, context }, plain)

      expect(decrypt({ key, context }, sealed)).toEqual(Buffer.from(plain))
      expect(decrypt({ key: randomBytes(32), context }, sealed)).toBeNull()
      expect(decrypt({ key, context: `${context}${other}!` }, sealed)).toBeNull()
    }),
  )
})

test('one changed bit anywhere, or a missing end, opens nothing', () => {
  const sealed = encrypt({ key, context: 'here' }, 'a secret')

  const changed = Array.from({ length: sealed.length * 8 }, (_, bit) => {
    const copy = Buffer.from(sealed)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    return decrypt({ key, context: 'here' }, copy)
  })
  const cut = Array.from({ length: sealed.length }, (_, length) =>
    decrypt({ key, context: 'here' }, sealed.subarray(0, length)),
  )

  expect(new Set([...changed, ...cut])).toEqual(new Set([null]))
})

test('two of the same text differ, and with the same nonce they are the same', () => {
  const nonce = randomBytes(12)

  expect(encrypt({ key, context: '' }, 'text')).not.toEqual(encrypt({ key, context: '' }, 'text'))
  expect(encrypt({ key, context: '' }, 'text', nonce)).toEqual(encrypt({ key, context: '' }, 'text', nonce))
})

test('it is AES-256-GCM as others write it: nonce, cipher text, tag', () => {
  const sealed = encrypt({ key, context: Buffer.from('here') }, 'a secret')
  const other = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(Buffer.from('here'))
  other.setAuthTag(sealed.subarray(-16))

  expect(Buffer.concat([other.update(sealed.subarray(12, -16)), other.final()]).toString()).toBe('a secret')
})
