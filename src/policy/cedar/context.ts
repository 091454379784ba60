import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isIP } from 'node:net'
import { isJsonObject, type Json, type JsonObject } from '#kernel'

/** Under which circumstances something is asked. */
export type Circumstances = {
  readonly face: string
  /** What the client calls itself. */
  readonly client: string
  readonly remoteAddress: string | null
  readonly scopes: readonly string[] | null
  /** As if a person had approved it: to find out whether that is all that is missing. */
  readonly isApproved?: boolean
}

const ARGUMENTS = { type: 'Arguments', id: 'arguments' }

/** The context of Cedar, less the arguments. */
export function contextOf(at: Circumstances, now: number): Record<string, CedarValueJson> {
  const { face, client, remoteAddress, scopes, isApproved: approved = false } = at
  const address = remoteAddress === null ? '' : remoteAddress.replace(/^::ffff:/, '')
  return {
    now: { __extn: { fn: 'datetime', arg: new Date(now).toISOString() } },
    face,
    client,
    approved,
    ...(isIP(address) === 0 ? {} : { address: { __extn: { fn: 'ip', arg: address } } }),
    ...(scopes === null ? {} : { scopes: [...scopes] }),
  }
}

export const ARGUMENTS_REFERENCE: CedarValueJson = { __entity: ARGUMENTS }

/**
 * The arguments of a call as tags under their paths: `issue.title`, `labels.0`; a dot in a name is written `\\.` and a
 * backslash `\\\\`, so that no argument can pass for another one. Null when there are more than a rule can be asked about.
 */
export function argumentsEntity(args: JsonObject): EntityJson | null {
  const tags: [string, string][] = []
  flatten({ path: '', depth: 0 }, args, tags)
  return tags.length > MAX_ARGUMENTS ? null : { uid: ARGUMENTS, attrs: {}, parents: [], tags: Object.fromEntries(tags) }
}

const MAX_ARGUMENTS = 10_000
const MAX_DEPTH = 64

function flatten(at: { path: string; depth: number }, value: Json | undefined, tags: [string, string][]): void {
  if (value === undefined || tags.length > MAX_ARGUMENTS) return
  if (at.depth >= MAX_DEPTH || (!isJsonObject(value) && !Array.isArray(value))) {
    tags.push([at.path, typeof value === 'string' ? value : JSON.stringify(value)])
    return
  }
  for (const [name, member] of Object.entries<Json | undefined>(value)) {
    const step = name.replaceAll(/[.\\]/g, '\\$&')
    // By depth, since a name may be empty: what is inside of it is no member of the arguments.
    flatten({ path: at.depth === 0 ? step : `${at.path}.${step}`, depth: at.depth + 1 }, member, tags)
  }
}
