import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { Admission, Credentials, Tools } from '#tools'
import type { GatewayLimits } from './limits.ts'
import type { OpenExchanges } from './open-exchanges.ts'
import type { Pulse } from './pulse.ts'

/** Several processes as one gateway: a session or a parked call may live in another. */
export type ReplicaRouting = {
  /** 1–32 of `A–Z a–z 0–9 _ -`; every session id begins with it. */
  readonly id: string
  /** Hands the whole request to another replica, which answers it; `gone` when there is no such replica. */
  forward(
    replicaId: string,
    req: IncomingMessage,
    res: ServerResponse,
    body: Buffer | undefined,
  ): Promise<'forwarded' | 'gone'>
  /** The replica that holds the rest of a parked call, when its state names one. */
  ownerOf?(requestState: string): string | null
}

/** What every part of the face shares. */
export type FaceContext = {
  readonly tools: Tools
  readonly clock: Clock
  readonly log: Log
  readonly limits: GatewayLimits
  readonly house: { readonly name: string; readonly version: string }
  /** `house` as JSON, for results that are carried as bytes. */
  readonly houseJson: string
  readonly replica: ReplicaRouting | undefined
  /** Where a request comes from. */
  readonly addressOf: (req: IncomingMessage) => string
  readonly pulse: Pulse
  readonly open: OpenExchanges
}

/** One admitted HTTP request. */
export type Exchange = {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly gateway: string
  readonly credentials: Credentials
  readonly admission: Admission
  /** The bytes of the body as received. */
  readonly body: Buffer
}

/** Which response types the client takes. No `Accept` at all counts as both, for people with curl. */
export function acceptedTypes(req: IncomingMessage): { json: boolean; stream: boolean; streamFirst: boolean } {
  const accept = req.headers.accept
  if (accept === undefined || accept.includes('*/*')) return { json: true, stream: true, streamFirst: false }
  const json = accept.indexOf('application/')
  const stream = accept.indexOf('text/event-stream')
  return { json: json !== -1, stream: stream !== -1, streamFirst: stream !== -1 && stream < json }
}

/** One header as one value; Node joins what was sent twice, and such a value matches nothing. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
