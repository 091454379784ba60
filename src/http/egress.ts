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
}

export type EgressClient = {
  /** For hot paths: raw undici dispatch; the address is checked when it is dialled, redirects are not followed. */
  readonly dispatcher: Dispatcher
  /**
   * For everything else: follows at most three redirects (each address checked again); `credentials` headers are
   * dropped as soon as the origin changes. Rejects with a Problem naming a blocked address.
   */
  request(request: {
    url: string
    method: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'HEAD'
    headers?: Readonly<Record<string, string>>
    credentials?: Readonly<Record<string, string>>
    body?: string | Buffer
    signal: AbortSignal
    maxBytes: number
  }): Promise<{
    status: number
    headers: Readonly<Record<string, string | string[] | undefined>>
    body: Buffer
    url: string
  }>
  close(): Promise<void>
}
