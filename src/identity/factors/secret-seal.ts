import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** Keeps secrets that must be read again: AES-256-GCM, each bound to the account and the purpose it was sealed for. */
export type SecretSeal = {
  seal(place: Place, secret: Uint8Array): string
  /** Throws when the text was changed, or was sealed for another account or purpose. */
  open(place: Place, text: string): Uint8Array<ArrayBuffer>
}

type Place = { readonly accountId: string; readonly purpose: string }

const CIPHER = 'aes-256-gcm'

export function createSecretSeal(key: Buffer): SecretSeal {
  return {
    seal(place, secret) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(wordsOf(place))
      return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    },
    open(place, text) {
      const bytes = Buffer.from(text, 'base64url')
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, 12), { authTagLength: 16 })
      decipher.setAAD(wordsOf(place)).setAuthTag(bytes.subarray(-16))
      return Uint8Array.from(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]))
    },
  }
}

function wordsOf({ accountId, purpose }: Place): Buffer {
  return Buffer.from(JSON.stringify([purpose, accountId]))
}
