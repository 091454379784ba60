import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import type { Json } from '#kernel'

/** What a token stands for: the value, and the rule that put the token in its place. */
export type Tokenised = { readonly rule: string; readonly value: Json }

/** `tok_…`: a value that only this house can read, and only for the user who was given the token. */
export type Tokens = {
  make(user: string, content: Tokenised): string
  /** Null for what is no token of this user and house. */
  open(user: string, token: string): Tokenised | null
}

export const TOKEN = /tok_[A-Za-z0-9_-]{40,}/g

/**
 * Tokens sealed with AES-256-GCM, bound to the user. The nonce comes from the content, so that one value has one token
 * and a model can tell that two are the same.
 */
export function createTokens(key: Uint8Array): Tokens {
  const cipherKey = createHmac('sha256', key).update('cipher').digest()
  const nonceKey = createHmac('sha256', key).update('nonce').digest()
  const boundTo = (user: string): Buffer => createHmac('sha256', key).update(`user\0${user}`).digest()
  return {
    make(user, content) {
      const plain = Buffer.from(JSON.stringify([content.rule, content.value]))
      const bound = boundTo(user)
      const nonce = createHmac('sha256', nonceKey).update(bound).update(plain).digest().subarray(0, 12)
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce).setAAD(bound)
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
      return `tok_${sealed.toString('base64url')}`
    },
    open(user, token) {
      try {
        const bytes = Buffer.from(token.slice('tok_'.length), 'base64url')
        const decipher = createDecipheriv('aes-256-gcm', cipherKey, bytes.subarray(0, 12)).setAAD(boundTo(user))
        decipher.setAuthTag(bytes.subarray(-16))
        const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
        // Written by `make`, in this shape: the seal proves it.
        const [rule, value] = JSON.parse(plain.toString('utf8')) as [string, Json]
        return { rule, value }
      } catch {
        return null // whatever is wrong with it, it is not this user's
      }
    },
  }
}
