import { decrypt, encrypt } from '#kernel'

/** Keeps secrets that must be read again, each encrypted and bound to the account and the purpose it was sealed for. */
export type SecretSeal = {
  seal(place: Place, secret: Uint8Array): string
  /** Throws when the text was changed, or was sealed for another account or purpose. */
  open(place: Place, text: string): Uint8Array<ArrayBuffer>
}

type Place = { readonly accountId: string; readonly purpose: string }

export function createSecretSeal(key: Buffer): SecretSeal {
  return {
    seal(place, secret) {
      return encrypt({ key, context: wordsOf(place) }, secret).toString('base64url')
    },
    open(place, text) {
      const secret = decrypt({ key, context: wordsOf(place) }, Buffer.from(text, 'base64url'))
      if (secret === null) throw new Error(`the secret kept for "${place.purpose}" was changed, or belongs elsewhere`)
      return Uint8Array.from(secret)
    },
  }
}

function wordsOf({ accountId, purpose }: Place): string {
  return JSON.stringify([purpose, accountId])
}
