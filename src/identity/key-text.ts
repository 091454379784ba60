import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Secret } from '#kernel'

/** Crockford's base 32: no two letters that look alike, and five bits each. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const SECRET_CHARS = 32
const CHECKSUM_CHARS = 7
const KEY = /^gh_[0-9a-z]{8}_[0-9a-z]{39}$/

export const MAX_KEY_CHARS = 128

/**
 * A new key for an id: `gh_<end of the id>_<secret><checksum>`. The prefix lets scanners and people recognise it, the
 * end of the id tells which key it is, the secret has 160 bits, and the checksum tells a typing mistake from a key
 * that is not valid.
 */
export function mintKey(id: string): Secret {
  const unchecked = `gh_${id.slice(-8)}_${randomText()}`
  return new Secret(unchecked + checksumOf(unchecked))
}

/** Only this is stored. The secret's 160 bits need no slow hash. */
export function hashKey(key: string): string {
  return hash('sha256', key, 'base64url')
}

/** What is wrong with the form of a key, before anyone asks whether it exists. */
export function judgeForm(key: string): 'not-a-key' | 'mistyped' | 'well-formed' {
  if (!key.startsWith('gh_')) return 'not-a-key'
  const unchecked = key.slice(0, -CHECKSUM_CHARS)
  return KEY.test(key) && checksumOf(unchecked) === key.slice(-CHECKSUM_CHARS) ? 'well-formed' : 'mistyped'
}

function randomText(): string {
  return Array.from(randomBytes(SECRET_CHARS), (byte) => ALPHABET.charAt(byte & 31)).join('')
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  let digits = ''
  for (let index = 0; index < CHECKSUM_CHARS; index++) {
    digits = ALPHABET.charAt(rest & 31) + digits
    rest >>>= 5
  }
  return digits
}
