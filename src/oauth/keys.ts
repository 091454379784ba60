import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import type { Clock, JsonObject } from '#kernel'
import type { Storage } from '#storage'
import { createSealed, type Sealed } from './sealed.ts'
import { createOauthStore, type OauthStore } from './store.ts'

/** One signing key of the house. */
export type SigningKey = { readonly kid: string; readonly alg: 'ES256' | 'RS256'; readonly privateKey: KeyObject }

const MODULUS_BITS = 2_048

/** The house's signing keys, the same on every replica. */
export type KeyRing = {
  /** Those that tokens may still be signed with, the current ones first. */
  all(): readonly SigningKey[]
  /** The one that signs now. */
  signer(alg: SigningKey['alg']): SigningKey
}

export async function openKeyRing({ storage, clock }: { storage: Storage; clock: Clock }): Promise<KeyRing> {
  const sealed = createSealed(await storage.sharedKey('oauth.records'))
  const keys = await readSigningKeys({ store: createOauthStore(storage), sealed, clock })
  return {
    all: () => keys,
    signer: (alg) => {
      const found = keys.find((key) => key.alg === alg)
      if (found === undefined) throw new Error(`there is no ${alg} signing key`)
      return found
    },
  }
}

/** The keys of all replicas: ES256 for access tokens, RS256 for what older OpenID clients insist on. Made on first use. */
async function readSigningKeys(deps: { store: OauthStore; sealed: Sealed; clock: Clock }): Promise<SigningKey[]> {
  const { store, sealed } = deps
  const known = new Set((await store.keys()).map(({ slot }) => slot))
  if (!known.has('ES256/1')) await offer(deps, 'ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  if (!known.has('RS256/1'))
    await offer(deps, 'RS256', generateKeyPairSync('rsa', { modulusLength: MODULUS_BITS }).privateKey)
  return (await store.keys()).map(({ kid, alg, private_key }) => {
    const { pem } = sealed.open(`key/${kid}`, private_key)
    if (typeof pem !== 'string') throw new Error(`the signing key ${kid} cannot be read`)
    return { kid, alg: alg === 'RS256' ? 'RS256' : 'ES256', privateKey: createPrivateKey(pem) }
  })
}

async function offer(
  { store, sealed, clock }: { store: OauthStore; sealed: Sealed; clock: Clock },
  alg: SigningKey['alg'],
  privateKey: KeyObject,
): Promise<void> {
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
  const kid = hash('sha256', publicPem, 'base64url').slice(0, 16)
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await store.offerKey({
    kid,
    alg,
    slot: `${alg}/1`,
    private_key: sealed.seal(`key/${kid}`, { pem }),
    created_at: clock.now(),
  })
}

/** As the library takes it: a JSON Web Key with its private part. */
export function toJwk({ kid, alg, privateKey }: SigningKey): JsonObject {
  return JSON.parse(JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }))
}
