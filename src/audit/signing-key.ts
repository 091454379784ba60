import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { keepFile, Problem } from '#kernel'
import { BAD_PUBLIC_KEY } from './problems.ts'

/** What checkpoints are signed with. The private half never leaves its file and this object. */
export type SigningKey = { readonly id: string; readonly privateKey: KeyObject; readonly publicKey: PublicKey }

/** `id` is made from the key itself, so a name can never be put on another key. */
export type PublicKey = { readonly id: string; readonly key: KeyObject; readonly pem: string }

/** The Ed25519 key of this data directory; made (0600) on first use. Several processes may start at once. */
export async function readSigningKey(dataDir: string): Promise<SigningKey> {
  const file = join(dataDir, 'audit-signing.key')
  const pem = await keepFile(file, makeKey)
  const privateKey = createPrivateKey(pem)
  const publicKey = toPublicKey(createPublicKey(privateKey))
  return { id: publicKey.id, privateKey, publicKey }
}

/** Reads the PEM of a public key. Refuses anything but Ed25519. */
export function parsePublicKey(pem: string): PublicKey {
  try {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return toPublicKey(key)
  } catch (cause) {
    throw new Problem(BAD_PUBLIC_KEY, `This is not a public key in PEM form; ${HOW}`, { cause })
  }
  throw new Problem(BAD_PUBLIC_KEY, `This public key is not an Ed25519 one; ${HOW}`)
}

const HOW = '`openssl pkey -in DATA/audit-signing.key -pubout` prints the right one.'

function toPublicKey(key: KeyObject): PublicKey {
  const fingerprint = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
  return { id: `aky_${fingerprint.slice(0, 32)}`, key, pem: key.export({ type: 'spki', format: 'pem' }).toString() }
}

function makeKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
