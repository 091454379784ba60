const MAX_CHARS = 256
const PRINTABLE_ASCII = /^[\x21-\x7e]{1,256}$/
/** Controls, invisible formatting (zero width, right to left), halves of characters, line and paragraph ends. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** True for a string that may name a user: 1 to 256 printable characters, no space at either end. */
export function isUserId(text: string): boolean {
  if (PRINTABLE_ASCII.test(text)) return true
  return text.length > 0 && text.length <= MAX_CHARS && text === text.trim() && !UNPRINTABLE.test(text)
}
