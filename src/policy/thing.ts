import type { Json } from '#kernel'

/** What may be used: one tool, prompt or resource, as one gateway shows it. Immutable; built when a view is built. */
export type Thing = {
  readonly kind: 'tool' | 'prompt' | 'resource'
  readonly gateway: string
  /** What the gateway's own configuration says: everybody it admits, or default deny; absent: `all` until it is granted. */
  readonly access: Access | undefined
  readonly server: string
  /** Tags of the server. */
  readonly tags: readonly string[]
  /** The server's own name for it: a tool's or prompt's name, a resource's address or template. */
  readonly name: string
  /** It says of itself that it changes nothing. Reading a resource and getting a prompt never do. */
  readonly readOnly: boolean
  /** It may destroy something; a tool that says nothing may. */
  readonly destructive: boolean
  /** All of the above as one text: equal things are decided once. Null for what no list holds, which is asked anew. */
  readonly key: string | null
}

export type Access = 'all' | 'grants'

type Described = Pick<Thing, 'kind' | 'gateway' | 'access' | 'server' | 'tags' | 'name'> & {
  /** The `annotations` of a tool's definition. */
  readonly annotations?: Json | undefined
}

/** The thing with this description; hints are read as MCP means them. */
export function describeThing({ annotations, ...rest }: Described): Thing {
  const hints = rest.kind === 'tool' ? readHints(annotations) : { readOnly: true, destructive: false }
  const { kind, gateway, access, server, tags, name } = rest
  const key = JSON.stringify([kind, gateway, access, server, tags, name, hints.readOnly, hints.destructive])
  return { ...rest, ...hints, key }
}

/** MCP 2025-11-25, ToolAnnotations: not read-only and destructive unless it says otherwise. */
function readHints(annotations: Json | undefined): { readOnly: boolean; destructive: boolean } {
  const hints: Readonly<Record<string, unknown>> = Object(annotations)
  const readOnly = hints['readOnlyHint'] === true
  return { readOnly, destructive: !readOnly && hints['destructiveHint'] !== false }
}
