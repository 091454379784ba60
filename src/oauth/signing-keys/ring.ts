import { createPrivateKey, createPublicKey, generateKeyPair, hash, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { createSealed, type Sealed } from '../sealed.ts'
import { changesAt, dueAt, nextKeys, statesAt, type NewKey } from './plan.ts'
import type { RotateRequest, ShownKey, SigningKey, Timed } from './schema.ts'
import { createKeyStore, type KeyRow, type KeyStore } from './store.ts'

export type KeyRingDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record'>
  /** A key signs for so long before the next one does. */
  readonly rotateMs: number
}

type Actor = { readonly userId?: string | null; readonly keyId?: string | null; readonly face?: string }
type HeldKey = SigningKey & Timed
/** All keys at a moment. Never changes; what comes after it is another one. */
type View = { readonly keys: readonly SigningKey[]; readonly shown: readonly ShownKey[]; readonly until: number }

const TOPIC = 'oauth.keys'
const TEND_MS = 60_000
const NOTHING: View = { keys: [], shown: [], until: -Infinity }

/**
 * The house's signing keys, the same on every replica. Each is published before it signs and for some time after, so
 * that nobody who verifies a token ever misses its key; whose turn it is follows from the clock alone.
 */
export class KeyRing {
  readonly #deps: KeyRingDeps
  readonly #store: KeyStore
  readonly #sealed: Sealed
  readonly #inStep: InStep
  readonly #listeners = new Set<() => void>()
  readonly #timer: NodeJS.Timeout
  #held: readonly HeldKey[] = []
  #view: View = NOTHING

  private constructor(deps: KeyRingDeps, sealed: Sealed) {
    this.#deps = deps
    this.#sealed = sealed
    this.#store = createKeyStore(deps.storage)
    const { log, storage } = deps
    const read = () => this.#load()
    this.#inStep = new InStep({ changes: storage.changes, log, topic: TOPIC, what: 'the signing keys', read })
    this.#timer = setInterval(() => void this.#tendSoon(), TEND_MS).unref()
  }

  /** Makes the first keys where there are none. Rejects when the store is down. */
  static async open(deps: KeyRingDeps): Promise<KeyRing> {
    const ring = new KeyRing(deps, createSealed(await deps.storage.sharedKey('oauth.records')))
    await ring.#inStep.reload()
    await ring.tend()
    return ring
  }

  /** Those whose tokens count, the ones that sign first. The same array for as long as nothing changes. */
  all(): readonly SigningKey[] {
    return this.#now().keys
  }

  /** The one that signs now. */
  signer(alg: SigningKey['alg']): SigningKey {
    const found = this.all().find((key) => key.alg === alg)
    if (found === undefined) throw new Error(`there is no ${alg} signing key`)
    return found
  }

  list(): readonly ShownKey[] {
    return this.#now().shown
  }

  /** Makes new keys, which sign when everybody can have them, or now. The audit trail has who wanted it. */
  async rotate(wish: RotateRequest, by: Actor): Promise<readonly ShownKey[]> {
    const { now, dropOld } = wish
    const { userId = null, keyId = null, face } = by
    const event = { what: 'oauth.signing-keys-rotated', userId, keyId, ...(face === undefined ? {} : { face }) }
    await this.#deps.audit.record({ ...event, decision: 'allowed', extra: { now: now || dropOld, dropOld } })
    await (dropOld ? this.#replaceAll() : this.#add(now ? 'now' : 'published'))
    await this.#inStep.announce()
    return this.list()
  }

  /** Makes the keys that are due and removes those that are over, once among all replicas. */
  async tend(): Promise<void> {
    const { clock, rotateMs, audit } = this.#deps
    const due = dueAt(this.#held, { now: clock.now(), rotateMs })
    if (due.make.length + due.remove.length === 0) return
    for (const wanted of due.make) {
      const row = await this.#make(wanted)
      if (!(await this.#store.offer(row))) continue // another replica was faster
      const extra = { kid: row.kid, signsAt: row.signs_at }
      await audit.record({ what: 'oauth.signing-key-made', ...BY_ITSELF, extra })
    }
    for (const kid of due.remove)
      if (await this.#store.remove(kid))
        await audit.record({ what: 'oauth.signing-key-removed', ...BY_ITSELF, extra: { kid } })
    await this.#inStep.announce()
  }

  /** Told when there are other keys than before. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    return this.#inStep.close()
  }

  #now(): View {
    const now = this.#deps.clock.now()
    if (now < this.#view.until) return this.#view
    const states = statesAt(this.#held, now)
    const keys = states.map(({ key }) => key)
    this.#view = { keys, shown: states.map(({ shown }) => shown), until: changesAt(this.#held, now) }
    return this.#view
  }

  async #tendSoon(): Promise<void> {
    const { log } = this.#deps
    await this.tend().catch((err: unknown) => log.error({ err }, 'the signing keys could not be looked after'))
  }

  async #add(at: 'now' | 'published'): Promise<void> {
    for (const wanted of nextKeys(this.#held, { now: this.#deps.clock.now(), at }))
      await this.#store.offer(await this.#make(wanted))
  }

  async #replaceAll(): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const wanted = nextKeys(this.#held, { now: this.#deps.clock.now(), at: 'now' })
      if (await this.#store.replaceAll(await Promise.all(wanted.map((key) => this.#make(key))))) return
      await this.#inStep.reload()
    }
    throw new Error('the signing keys are being changed by others all the time')
  }

  async #make({ alg, number, signsAt }: NewKey): Promise<KeyRow> {
    const privateKey = await generate(alg)
    const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
    const kid = hash('sha256', publicPem, 'base64url').slice(0, 16)
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const sealed = this.#sealed.seal(`key/${kid}`, { pem })
    const created_at = this.#deps.clock.now()
    return { kid, alg, slot: `${alg}/${number}`, private_key: sealed, created_at, signs_at: signsAt }
  }

  async #load(): Promise<void> {
    const rows = await this.#store.all()
    const known = new Map(this.#held.map((key) => [key.kid, key]))
    this.#held = rows.map((row) => known.get(row.kid) ?? this.#open(row))
    this.#view = NOTHING
    for (const listener of this.#listeners) listener()
  }

  #open({ kid, alg, slot, private_key, created_at, signs_at }: KeyRow): HeldKey {
    const { pem } = this.#sealed.open(`key/${kid}`, private_key)
    const number = Number(slot.split('/')[1])
    if (typeof pem !== 'string') throw new Error(`the signing key ${kid} cannot be read`)
    const privateKey = createPrivateKey(pem)
    return {
      kid,
      alg: alg === 'RS256' ? 'RS256' : 'ES256',
      number,
      privateKey,
      createdAt: created_at,
      signsAt: signs_at,
    }
  }
}

const BY_ITSELF = { decision: 'allowed', userId: null, keyId: null } as const
const MAX_TRIES = 5
const MODULUS_BITS = 2_048

/** Not on the main thread: an RSA key takes some tenths of a second. */
async function generate(alg: SigningKey['alg']): Promise<KeyObject> {
  const pair = promisify(generateKeyPair)
  const made =
    alg === 'ES256' ? await pair('ec', { namedCurve: 'P-256' }) : await pair('rsa', { modulusLength: MODULUS_BITS })
  return made.privateKey
}
