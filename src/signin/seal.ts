import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Secret } from '#kernel'

/** Puts a value away where its holder can neither read nor change it, for one purpose and until a time. */
export type Seal = {
  close(purpose: string, value: unknown, until: number): string
  /** The value, or null for anything that was not sealed for this purpose or whose time is over. */
  open(purpose: string, sealed: string, now: number): unknown
}

const MAX_CHARS = 3_500

/** AES-256-GCM with the purpose as additional data, so that what was sealed for one is nothing for another. */
export function createSeal(key: Buffer): Seal {
  const secret = new Secret(key.toString('base64'))
  const keyBytes = (): Buffer => Buffer.from(secret.reveal(), 'base64')
  return {
    close: (purpose, value, until) => {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', keyBytes(), iv).setAAD(Buffer.from(purpose))
      const text = Buffer.concat([cipher.update(JSON.stringify({ value, until })), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url')
    },
    open: (purpose, sealed, now) => {
      if (sealed.length > MAX_CHARS) return null
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < 29) return null
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyBytes(), bytes.subarray(0, 12))
        decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(12, 28))
        const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString()
        const { value, until }: { value: unknown; until: number } = JSON.parse(text)
        return until > now ? value : null
      } catch {
        return null // not ours, or changed
      }
    },
  }
}
