/** The rows of the tools room, as both engines return them. */
export type ToolsTables = {
  tools_server: { name: string; sealed_config: string; created_at: number }
  tools_gateway: { slug: string; config: string; created_at: number }
  tools_offer: { server: string; rest: string; offered_at: number }
  tools_definition: {
    server: string
    name: string
    definition: string
    fingerprint: string
    state: 'live' | 'held'
    seen_at: number
  }
  tools_change: {
    id: string
    server: string
    name: string
    kind: ChangeKind
    state: ChangeState
    diff: string
    definition: string | null
    fingerprint: string | null
    at: number
    decided_at: number | null
    decided_by: string | null
  }
  tools_name: { gateway: string; kind: NameKind; server: string; original: string; name: string }
  tools_once: {
    key: string
    request_hash: string
    replica: string
    /** `unknown`: it was sent, and nobody will learn how it ended. */
    state: 'running' | 'done' | 'unknown'
    outcome: string | null
    started_at: number
    expires_at: number
    /** Whose key it is; counts towards their quota. */
    owner: string
    /** The size of `outcome`. */
    bytes: number
  }
  /** Calls that wait for an approval, and whose callers look after them as a task. */
  tools_held: {
    /** The approval's. */
    id: string
    state: HeldState
    /** Sealed. */
    request: string
    /** Sealed; what the call asks its caller, or how it ended. */
    outcome: string | null
    /** Where it runs. */
    replica: string | null
    created_at: number
    updated_at: number
    expires_at: number
  }
}

/** `asking`: its server waits for the caller. */
export type HeldState = 'waiting' | 'running' | 'asking' | 'done' | 'cancelled'

export type NameKind = 'tool' | 'prompt'
export type ChangeKind = 'added' | 'changed' | 'removed'
/** `accepted` changes are live; `held` ones wait for an admin; a newer change makes a held one `superseded`. */
export type ChangeState = 'accepted' | 'held' | 'rejected' | 'superseded'
