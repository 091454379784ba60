import { hash, randomBytes } from 'node:crypto'
import { decrypt, encrypt, type JsonObject } from '#kernel'

/** Arguments and result of one call as text, and the hash by which its record names it. */
export type Payload = { readonly text: string; readonly hash: string }

/** One payload as it is stored: only who has the house's key can read it, and only in the place it was made for. */
export type PayloadRow = {
  chain: string
  seq: number
  at: number
  bytes: number
  /** The data key of that day, sealed under the house's key. */
  sealed_key: Uint8Array
  sealed: Uint8Array
}

type Place = { readonly chain: string; readonly seq: number; readonly at: number }

/** The salt keeps anybody who has only the record from finding out a short payload by trying. */
export function toPayload(value: JsonObject): Payload {
  const text = JSON.stringify({ salt: randomBytes(12).toString('base64url'), ...value }).toWellFormed()
  return { text, hash: hashPayload(text) }
}

export function hashPayload(text: string): string {
  return hash('sha256', text, 'base64url')
}

const DAY_MS = 86_400_000

/**
 * Encrypts payloads with a data key of this process and day, which travels beside each of them, sealed
 * under `houseKey`. So a payload says by itself how it is opened, also where it waited in a spool.
 */
export class PayloadSeal {
  readonly #houseKey: Buffer
  #dataKey: { readonly day: number; readonly key: Buffer; readonly sealed: Buffer } | undefined

  constructor(houseKey: Buffer) {
    this.#houseKey = houseKey
  }

  seal(place: Place, { text }: Payload): PayloadRow {
    const { key, sealed } = this.#keyOf(Math.floor(place.at / DAY_MS))
    const plain = Buffer.from(text)
    const body = encrypt({ key, context: contextOf(place) }, plain)
    return { chain: place.chain, seq: place.seq, at: place.at, bytes: plain.length, sealed_key: sealed, sealed: body }
  }

  /** The text, or nothing where it is not as it was sealed, for this place. */
  open(row: PayloadRow): string | undefined {
    const key = decrypt({ key: this.#houseKey, context: KEY_CONTEXT }, row.sealed_key)
    return key ? decrypt({ key, context: contextOf(row) }, row.sealed)?.toString() : undefined
  }

  #keyOf(day: number) {
    if (this.#dataKey?.day === day) return this.#dataKey
    const key = randomBytes(32)
    return (this.#dataKey = { day, key, sealed: encrypt({ key: this.#houseKey, context: KEY_CONTEXT }, key) })
  }
}

const KEY_CONTEXT = 'gatehouse audit data key 1'

function contextOf({ chain, seq }: Pick<Place, 'chain' | 'seq'>): string {
  return `gatehouse audit payload 1\n${chain}\n${seq}`
}
