import { Problem } from '#kernel'
import { SCIM_CHANGED } from './problems.ts'
import type { ScimStore, Versioned } from './store.ts'

/** Versions of resources as HTTP speaks of them: RFC 7644 §3.14, RFC 9110 §13.1. */
export function etagOf({ version }: Pick<Versioned, 'version'>): string {
  return `W/"${version}"`
}

/**
 * True when a list of versions, as `If-Match` and `If-None-Match` have it, names this one. Strong or weak is the same:
 * SCIM's versions are weak ones, and are sent back as they were given.
 */
export function isNamed(etag: string, header: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//i, '')
  return header.trim() === '*' || header.split(',').some((tag) => opaque(tag) === opaque(etag))
}

type Hold = { kind: 'user' | 'group'; resource: Versioned; ifMatch: string | null }

/** Before a conditional change is made: of those that are for one version, only the first goes on, on whichever replica. */
export async function holdVersion(store: ScimStore, { kind, resource, ifMatch }: Hold): Promise<void> {
  if (ifMatch === null) return
  if (isNamed(etagOf(resource), ifMatch) && (await store.claim(kind, resource))) return
  throw new Problem(SCIM_CHANGED, 'There is a newer version of this resource; read it again, and change that one.')
}
