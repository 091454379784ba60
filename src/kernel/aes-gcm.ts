import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/**
 * The one way in which this house encrypts: AES-256-GCM (NIST SP 800-38D) with a nonce of 96 bits and a tag of 128 bits.
 * `context` says what and whose the text is; in any other context it opens as nothing.
 */
export type Envelope = { readonly key: Buffer; readonly context: string | Buffer }

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Nonce, cipher text and tag in one. Without a nonce it takes a random one, which is safe for some 2^32 texts a key;
 * whoever brings one must never use it for two texts.
 */
export function encrypt(
  { key, context }: Envelope,
  plain: string | Uint8Array,
  nonce: Buffer = randomBytes(NONCE_BYTES),
): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** What was encrypted, or null when it was changed, cut, made with another key or belongs to another context. */
export function decrypt({ key, context }: Envelope, sealed: Uint8Array): Buffer | null {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
  } catch {
    return null
  }
}
