import { createHmac } from 'node:crypto'
import { decrypt, encrypt, type Json } from '#kernel'

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
 * Encrypted tokens, bound to the user. The nonce comes from the content, so that one value has one token
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
      return `tok_${encrypt({ key: cipherKey, context: bound }, plain, nonce).toString('base64url')}`
    },
    open(user, token) {
      const sealed = Buffer.from(token.slice('tok_'.length), 'base64url')
      const plain = decrypt({ key: cipherKey, context: boundTo(user) }, sealed)
      if (plain === null) return null
      // Written by `make`, in this shape: the seal proves it.
      const [rule, value] = JSON.parse(plain.toString('utf8')) as [string, Json]
      return { rule, value }
    },
  }
}
