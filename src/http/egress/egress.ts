import type { Dispatcher } from 'undici'

/** The one way out: every request that the house makes for a server, a user or a document goes through here. */
export type Egress = {
  /** A client for one registration. `trusted` registrations may reach any address; others only public ones and what `allow` names. */
  open(policy: EgressPolicy): EgressClient
}

export type EgressPolicy = {
  readonly trusted: boolean
  /** Host names (`host`, `*.suffix`) and CIDRs. */
  readonly allow: readonly string[]
  /** Connections held at once to one origin. */
  readonly connections?: number
  /** How the registered address and we prove who we are. */
  readonly tls?: EgressTls
}

/** PEM texts. With a certificate of ours, a server that demands one is satisfied (mutual TLS, RFC 8446 §4.3.2). */
export type EgressTls = {
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Who signed the server's certificate, in the place of the authorities that this machine trusts. */
  readonly ca?: string | undefined
}

export type EgressClient = {
  /** For hot paths: raw undici dispatch; the address is checked when it is dialled, redirects are not followed. */
  readonly dispatcher: Dispatcher
  /**
   * For everything else: follows at most three redirects; another origin is never trusted, gets no `credentials`
   * headers and no body. Rejects with a Problem naming a blocked address.
   */
  request(request: EgressRequest): Promise<EgressResponse>
  /** Ends every connection, also those with a request under way. */
  close(): Promise<void>
}

export type EgressRequest = {
  readonly url: string
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'HEAD'
  readonly headers?: Readonly<Record<string, string>>
  readonly credentials?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly signal: AbortSignal
  readonly maxBytes: number
  /** Time without headers, or later without a byte, after which it rejects. Unset: 30 s. */
  readonly idleTimeoutMs?: number
}

export type EgressResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  /** Where the last redirect led. */
  readonly url: string
}
