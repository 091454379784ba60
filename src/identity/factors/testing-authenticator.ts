/** For tests only: an authenticator in software, and the browser before it, which says what it is told to say. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import * as z from 'zod'

const askedOptions = z.looseObject({
  challenge: z.string(),
  user: z.looseObject({ id: z.string() }).optional(),
})

/** What a browser or an authenticator says that is not as it ought to be. */
export type Tricks = {
  readonly origin?: string
  readonly rpId?: string
  readonly challenge?: string
  readonly type?: string
  readonly crossOrigin?: boolean
  readonly isVerified?: boolean
  readonly counter?: number
  readonly userHandle?: string | null
  readonly format?: string
  readonly statement?: ReadonlyMap<string, Cbor>
}

type Cbor = number | string | Uint8Array | ReadonlyMap<number | string, Cbor>

const PRESENT = 0x01
const VERIFIED = 0x04
const MAY_BE_BACKED_UP = 0x08
const IS_BACKED_UP = 0x10
const HOLDS_CREDENTIAL = 0x40

/** One passkey, ES256. It counts its uses unless it is told never to. */
export function createAuthenticator(at: { origin: string; rpId: string; counts?: boolean }) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const credentialId = randomBytes(32)
  const id = credentialId.toString('base64url')
  let counter = 0
  let handle = ''
  const clientData = (type: string, options: object, tricks: Tricks) => {
    const { challenge } = askedOptions.parse(options)
    const said = { type, challenge, origin: at.origin, crossOrigin: tricks.crossOrigin ?? false }
    const { origin = said.origin, challenge: other = challenge, type: otherType = type } = tricks
    return Buffer.from(JSON.stringify({ ...said, origin, challenge: other, type: otherType }))
  }
  const authData = (tricks: Tricks, holds: number, rest: Buffer): Buffer => {
    if (at.counts !== false) counter += 1
    const count = Buffer.alloc(4)
    count.writeUInt32BE(tricks.counter ?? counter)
    const verified = tricks.isVerified === false ? 0 : VERIFIED
    const flags = PRESENT | verified | MAY_BE_BACKED_UP | IS_BACKED_UP | holds
    return Buffer.concat([sha256(tricks.rpId ?? at.rpId), Buffer.from([flags]), count, rest])
  }
  return {
    id,
    /** Answers `navigator.credentials.create`. */
    add(options: object, tricks: Tricks = {}): object {
      handle = askedOptions.parse(options).user?.id ?? ''
      const key = new Map<number, Cbor>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ])
      const length = Buffer.from([0, credentialId.length])
      const held = Buffer.concat([Buffer.alloc(16), length, credentialId, encode(key)])
      const attestation = new Map<string, Cbor>([
        ['fmt', tricks.format ?? 'none'],
        ['attStmt', tricks.statement ?? new Map()],
        ['authData', authData(tricks, HOLDS_CREDENTIAL, held)],
      ])
      const clientDataJSON = clientData('webauthn.create', options, tricks).toString('base64url')
      const attestationObject = encode(attestation).toString('base64url')
      return answer(id, { clientDataJSON, attestationObject, transports: ['internal', 'hybrid'] })
    },
    /** Answers `navigator.credentials.get`. */
    signIn(options: object, tricks: Tricks = {}): object {
      const said = clientData('webauthn.get', options, tricks)
      const data = authData(tricks, 0, Buffer.alloc(0))
      const userHandle = tricks.userHandle === undefined ? handle : tricks.userHandle
      return answer(id, {
        clientDataJSON: said.toString('base64url'),
        authenticatorData: data.toString('base64url'),
        signature: sign('sha256', Buffer.concat([data, sha256(said)]), privateKey).toString('base64url'),
        ...(userHandle === null ? {} : { userHandle }),
      })
    },
  }
}

function answer(id: string, response: object): object {
  return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response }
}

function sha256(text: string | Buffer): Buffer {
  return createHash('sha256').update(text).digest()
}

/** As much of CBOR (RFC 8949) as WebAuthn needs. */
function encode(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  const entries = Array.from(value, ([key, held]) => Buffer.concat([encode(key), encode(held)]))
  return Buffer.concat([head(5, entries.length), ...entries])
}

function head(kind: number, count: number): Buffer {
  const first = kind << 5
  if (count < 24) return Buffer.from([first | count])
  if (count < 256) return Buffer.from([first | 24, count])
  return Buffer.from([first | 25, count >> 8, count & 0xff])
}
