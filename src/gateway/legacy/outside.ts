import type { JsonObject } from '#kernel'
import { notificationMessage, type Pieces } from '../write.ts'
import { askOne } from './asks.ts'
import type { LegacySession } from './session.ts'

/** Where to say what belongs to no call: the newest of the session's own streams, never two of them. */
export class Outside {
  readonly #session: LegacySession

  constructor(session: LegacySession) {
    this.#session = session
  }

  notify(method: string, params: JsonObject): void {
    this.#say(notificationMessage(method, params))
  }

  /** Rejects when the client has no stream open, cannot do this, or does not answer in time. */
  async ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    return await askOne(this.#session, { method, params }, { say: (message) => this.#say(message), signal })
  }

  #say(message: Pieces): boolean {
    const streams = this.#session.serverStreams()
    const stream = streams.findLast((candidate) => candidate.isConnected) ?? streams.at(-1)
    stream?.send(message)
    return stream !== undefined
  }
}
