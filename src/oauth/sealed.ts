import { createHmac } from 'node:crypto'
import { decrypt, encrypt, isJsonObject, type JsonObject } from '#kernel'

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
    seal: (place, value) => encrypt({ key: cipherKey, context: place }, JSON.stringify(value)),
    open: (place, sealed) => {
      const plain = decrypt({ key: cipherKey, context: place }, sealed)
      if (plain === null) throw new Error(`what is kept at ${place} was changed, or belongs elsewhere`)
      const value: unknown = JSON.parse(plain.toString('utf8'))
      if (isJsonObject(value)) return value
      throw new Error(`what is kept at ${place} is no object`)
    },
  }
}
