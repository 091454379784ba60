import { hash } from 'node:crypto'
import type { JsonObject } from '#kernel'
import type { Admission, CallerSession } from '#tools'
import type { RpcId, RpcResponse } from '../rpc.ts'
import type { ReplayStream } from './replay.ts'
import { Outside } from './outside.ts'

/** Who opened a session; nobody else may use it. */
export type Owner = Pick<Admission, 'gateway' | 'userId' | 'keyId'>

/** What a client said about itself; equal ones share one object, as thousands of sessions have the same client. */
export type ClientProfile = { readonly clientInfo: JsonObject; readonly clientCapabilities: JsonObject }

/** A request that runs, as far as ending it goes. */
export type Abortable = { abort(): void }

/**
 * One session of a 2025 client. An idle one is this object and nothing else: everything below `live parts` is made when
 * it is first needed and given up when it is empty again.
 */
export class LegacySession implements CallerSession {
  readonly id: string
  readonly key: string
  readonly owner: Owner
  readonly protocolVersion: string
  readonly profile: ClientProfile
  readonly profileChars: number
  lastSeenAt: number
  logLevel: string | undefined = undefined
  #lastNumber = 0

  // Live parts.
  calls: Map<RpcId, Abortable> | undefined = undefined
  asks: Map<RpcId, (response: RpcResponse) => void> | undefined = undefined
  streams: Map<string, ReplayStream> | undefined = undefined
  subscriptions: Map<string, () => Promise<void>> | undefined = undefined
  followedTasks: Map<string, () => Promise<void>> | undefined = undefined
  stopListening: (() => void) | undefined = undefined
  /** Tasks begun in this session, newest last; the modern inside has no list of them. */
  taskIds: string[] | undefined = undefined

  constructor(opened: {
    id: string
    owner: Owner
    protocolVersion: string
    profile: ClientProfile
    profileChars: number
    now: number
  }) {
    this.id = opened.id
    // Sources and logs see the key; it must not open the session.
    this.key = `session_${hash('sha256', opened.id, 'base64url')}`
    this.owner = opened.owner
    this.protocolVersion = opened.protocolVersion
    this.profile = opened.profile
    this.profileChars = opened.profileChars
    this.lastSeenAt = opened.now
  }

  get era(): 'legacy' {
    return 'legacy'
  }
  get userId(): string {
    return this.owner.userId
  }
  get clientInfo(): JsonObject {
    return this.profile.clientInfo
  }
  get clientCapabilities(): JsonObject {
    return this.profile.clientCapabilities
  }
  get outside(): Outside {
    return new Outside(this)
  }

  get isIdle(): boolean {
    return this.calls === undefined && this.streams === undefined
  }

  belongsTo(caller: Owner): boolean {
    const { gateway, userId, keyId } = this.owner
    return gateway === caller.gateway && userId === caller.userId && keyId === caller.keyId
  }

  /** A number that this session has not used yet, for our own requests and streams. */
  nextNumber(): number {
    this.#lastNumber += 1
    return this.#lastNumber
  }

  beginCall(id: RpcId, controller: Abortable): void {
    this.calls ??= new Map()
    this.calls.set(id, controller)
  }

  endCall(id: RpcId): void {
    this.calls?.delete(id)
    if (this.calls?.size === 0) this.calls = undefined
  }

  addStream(stream: ReplayStream): void {
    this.streams ??= new Map()
    this.streams.set(stream.id, stream)
  }

  removeStream(stream: ReplayStream): void {
    this.streams?.delete(stream.id)
    if (this.streams?.size === 0) this.streams = undefined
    if (this.serverStreams().length === 0) {
      this.stopListening?.()
      this.stopListening = undefined
      for (const release of this.followedTasks?.values() ?? []) void release()
      this.followedTasks = undefined
    }
  }

  /** Aborts what runs and ends all streams; returns what is left to be ended elsewhere. */
  release(): (() => Promise<void>)[] {
    for (const controller of this.calls?.values() ?? []) controller.abort()
    for (const stream of this.streams?.values() ?? []) stream.discard()
    const releases = [...(this.subscriptions?.values() ?? []), ...(this.followedTasks?.values() ?? [])]
    this.subscriptions = undefined
    this.followedTasks = undefined
    return releases
  }

  /** The streams that belong to no call, newest last. */
  serverStreams(): ReplayStream[] {
    return [...(this.streams?.values() ?? [])].filter((stream) => stream.kind === 'server')
  }
}
