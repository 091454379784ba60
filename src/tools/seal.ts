import { createHmac } from 'node:crypto'
import { decrypt, encrypt, isJsonObject, type JsonObject } from '#kernel'

/**
 * Hands state to a client and gets it back unread and unchanged: encrypted with the nonce derived from the content,
 * so that equal content gives the equal text (a task keeps its id) and no nonce serves two contents.
 */
export type Seal = {
  seal(purpose: string, value: JsonObject): string
  /** Null for anything that was not sealed by this house for this purpose. */
  open(purpose: string, text: string): JsonObject | null
}

/** Seals with keys derived from `key`; only who has it can open, or make, what is sealed. */
export function createSeal(key: Buffer): Seal {
  const cipherKey = createHmac('sha256', key).update('cipher').digest()
  const nonceKey = createHmac('sha256', key).update('nonce').digest()
  return {
    seal(purpose, value) {
      const plain = Buffer.from(JSON.stringify(value))
      const nonce = createHmac('sha256', nonceKey).update(purpose).update('\0').update(plain).digest().subarray(0, 12)
      return encrypt({ key: cipherKey, context: purpose }, plain, nonce).toString('base64url')
    },
    open(purpose, text) {
      const plain = decrypt({ key: cipherKey, context: purpose }, Buffer.from(text, 'base64url'))
      const value: unknown = plain && JSON.parse(plain.toString('utf8'))
      return isJsonObject(value) ? value : null
    },
  }
}
