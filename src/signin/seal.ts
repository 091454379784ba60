import { decrypt, encrypt } from '#kernel'

/** Puts a value away where its holder can neither read nor change it, for one purpose and until a time. */
export type Seal = {
  close(purpose: string, value: unknown, until: number): string
  /** The value, or null for anything that was not sealed for this purpose or whose time is over. */
  open(purpose: string, sealed: string, now: number): unknown
}

const MAX_CHARS = 3_500

/** What was sealed for one purpose is nothing for another. */
export function createSeal(key: Buffer): Seal {
  return {
    close: (purpose, value, until) =>
      encrypt({ key, context: purpose }, JSON.stringify({ value, until })).toString('base64url'),
    open: (purpose, sealed, now) => {
      if (sealed.length > MAX_CHARS) return null
      const text = decrypt({ key, context: purpose }, Buffer.from(sealed, 'base64url'))
      if (text === null) return null // not ours, or changed
      const { value, until }: { value: unknown; until: number } = JSON.parse(text.toString())
      return until > now ? value : null
    },
  }
}
