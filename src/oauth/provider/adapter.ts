import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Clock } from '#kernel'
import { errors } from './library.ts'
import type { Sealed } from '../sealed.ts'
import type { OauthStore, RecordRow } from '../store.ts'

export type AdapterDeps = {
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
  /** Writes down a client that is stored, before anybody is told that it is. */
  readonly onClientStored: (clientId: string, metadata: AdapterPayload) => Promise<void>
  /** Told when a client took itself away. */
  readonly onClientGone: (clientId: string) => Promise<void>
  /** Told when all that hangs on a grant ends. */
  readonly onGrantEnded: (grantId: string) => Promise<void>
}

/**
 * How oidc-provider keeps its things in our database. Two habits of it are mended here: it hands over live token values
 * as ids (we keep their MACs), and it looks whether something was used long before it says so (we let only the first one).
 */
export function createAdapter(deps: AdapterDeps): (model: string) => Adapter {
  return (model) => new StoredModel(model, deps)
}

const USED_BEFORE = 'a client assertion counts once'

class StoredModel implements Adapter {
  readonly #model: string
  readonly #deps: AdapterDeps

  constructor(model: string, deps: AdapterDeps) {
    this.#model = model
    this.#deps = deps
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const { sealed, store, clock } = this.#deps
    const { jti: _, ...kept } = payload
    const ref = sealed.refOf(id)
    const now = clock.now()
    if (this.#model === 'Client') await this.#deps.onClientStored(id, payload)
    const row = {
      model: this.#model,
      id: ref,
      grant_ref: payload.grantId === undefined ? null : sealed.refOf(payload.grantId),
      uid_ref: payload.uid === undefined ? null : sealed.refOf(payload.uid),
      code_ref: payload.userCode === undefined ? null : sealed.refOf(payload.userCode),
      account_id: payload.accountId ?? null,
      client_ref: payload.clientId === undefined ? null : sealed.refOf(payload.clientId),
      // The library's payloads are plain JSON.
      payload: sealed.seal(`${this.#model}/${ref}`, JSON.parse(JSON.stringify({ ...kept, ownId: id }))),
      consumed_at: null,
      answered_at: null,
      expires_at: expiresIn === undefined ? null : now + expiresIn * 1_000,
      created_at: now,
    }
    if (this.#model !== 'ReplayDetection') return store.save(row)
    if (!(await store.addOnce(row))) throw Object.assign(new errors.InvalidClientAuth(), { error_detail: USED_BEFORE })
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return this.#find('id', id)
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#find('uid_ref', uid)
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#find('code_ref', userCode)
  }

  async consume(id: string): Promise<void> {
    const { store, sealed, clock } = this.#deps
    if (await store.consume(this.#model, sealed.refOf(id), clock.now())) return
    throw new errors.InvalidGrant(`${this.#model} was used already`)
  }

  async destroy(id: string): Promise<void> {
    if (this.#model === 'Grant') await this.#deps.onGrantEnded(id)
    if (this.#model === 'Client') return this.#deps.onClientGone(id)
    await this.#deps.store.remove(this.#model, this.#deps.sealed.refOf(id))
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.#deps.onGrantEnded(grantId)
    await this.#deps.store.removeOfGrant(this.#deps.sealed.refOf(grantId))
  }

  async #find(by: 'id' | 'uid_ref' | 'code_ref', text: string): Promise<AdapterPayload | undefined> {
    const { store, sealed, clock } = this.#deps
    const row = await store.find(this.#model, by, sealed.refOf(text))
    if (row === undefined) return undefined
    if (row.expires_at === null || row.expires_at > clock.now()) return openRecord(sealed, row)
    // A device shall hear that its code has expired (RFC 8628 §3.5), and not that there is none.
    return this.#model === 'DeviceCode' ? { ...openRecord(sealed, row), exp: 0 } : undefined
  }
}

/** Whether a person still lets a client act for them. */
export async function hasGrant(
  { store, sealed, clock }: Pick<AdapterDeps, 'store' | 'sealed' | 'clock'>,
  { accountId, clientId }: { accountId: string; clientId: string },
): Promise<boolean> {
  const ref = sealed.refOf(clientId)
  const grants = await store.ofAccount('Grant', accountId)
  return grants.some((row) => row.client_ref === ref && (row.expires_at ?? Infinity) > clock.now())
}

/** What is kept in a record, with the id that the library knows it by. */
export function openRecord(sealed: Sealed, row: RecordRow): AdapterPayload {
  const { ownId, ...payload } = sealed.open(`${row.model}/${row.id}`, row.payload)
  return {
    ...payload,
    ...(typeof ownId === 'string' ? { jti: ownId } : {}),
    ...(row.consumed_at === null ? {} : { consumed: Math.floor(row.consumed_at / 1_000) }),
  }
}
