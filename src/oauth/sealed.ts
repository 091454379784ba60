import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { isJsonObject, type JsonObject } from '#kernel'

/**
 * What the authorization server keeps, in a form that tells a thief of the database nothing: values are encrypted and
 * bound to the place they lie in, and what identifies a record is a live token, so only its MAC is kept.
 */
export type Sealed = {
  /** A stand-in for a token, code or id that finds its record and opens no door. */
  refOf(text: string): string
  seal(place: string, value: JsonObject): Buffer
  /** Throws when the value was changed, or lies in another place. */
  open(place: string, sealed: Uint8Array): JsonObject
}

export function createSealed(key: Buffer): Sealed {
  const cipherKey = createHmac('sha256', key).update('oauth records').digest()
  const refKey = createHmac('sha256', key).update('oauth references').digest()
  return {
    refOf: (text) => createHmac('sha256', refKey).update(text).digest('base64url'),
    seal: (place, value) => {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce).setAAD(Buffer.from(place))
      return Buffer.concat([nonce, cipher.update(JSON.stringify(value)), cipher.final(), cipher.getAuthTag()])
    },
    open: (place, sealed) => {
      const bytes = Buffer.from(sealed)
      const decipher = createDecipheriv('aes-256-gcm', cipherKey, bytes.subarray(0, 12)).setAAD(Buffer.from(place))
      decipher.setAuthTag(bytes.subarray(-16))
      const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
      const value: unknown = JSON.parse(plain.toString('utf8'))
      if (isJsonObject(value)) return value
      throw new Error(`what is kept at ${place} is no object`)
    },
  }
}
