import type { Audit, AuditRecord } from '#audit'
import type { Action } from '../cedar/entities.ts'
import { personOf } from '../person.ts'
import type { Principal } from '#identity'
import type { Thing } from '../thing.ts'
import type { Found, World } from '../world.ts'

/** A call that was recorded, as today's house understands it. */
export type Recorded = {
  readonly record: AuditRecord
  readonly principal: Principal
  /** What it is today; null where the gateway shows it no more. */
  readonly found: Found | null
  readonly action: Action
  /** What the policy said then. */
  readonly before: 'allow' | 'deny'
  /** Whether a hook hid the thing, whatever the rules said. */
  readonly isByHook: boolean
}

const KINDS: Readonly<Record<string, { kind: Thing['kind']; action: Action }>> = {
  'tools/call': { kind: 'tool', action: 'call' },
  'prompts/get': { kind: 'prompt', action: 'prompt' },
  'resources/read': { kind: 'resource', action: 'read' },
}

const PAGE = 1_000

/** Recorded uses of tools, prompts and resources since then, newest first, page by page. */
export async function* readRecorded(
  deps: { audit: Pick<Audit, 'search'>; world: World },
  since: number,
): AsyncGenerator<readonly Recorded[]> {
  const understand = createReader(deps.world)
  let cursor: string | undefined
  do {
    const page = await deps.audit.search({ since }, { limit: PAGE, cursor })
    yield page.records.flatMap(understand)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
}

/** Groups and things are looked up once each: there are few of them, and many records. */
function createReader(world: World): (record: AuditRecord) => Recorded[] {
  const people = new Map<string, Principal>()
  const things = new Map<string, Found | null>()
  return (record) => {
    const known = KINDS[record.what]
    const { userId, gateway, server, tool, keyId = null } = record
    if (!known || userId === undefined || gateway === undefined || server === undefined || tool === undefined) return []
    const isAdmin = wasAdmin(record)
    const principal = once(people, JSON.stringify([userId, keyId, isAdmin]), (): Principal => {
      const person = personOf(world, { userId, keyId })
      return isAdmin ? { ...person, kind: 'local-admin' } : person
    })
    const found = once(things, JSON.stringify([gateway, server, known.kind, tool]), () =>
      world.find(gateway, { kind: known.kind, name: `${server}/${tool}` }),
    )
    return [{ record, principal, found, action: known.action, before: effectOf(record), isByHook: isByHook(record) }]
  }
}

/** Who came with the admin token and named nobody. */
function wasAdmin({ userId, keyId, extra }: AuditRecord): boolean {
  return userId === 'admin' && keyId === undefined && extra?.['rule'] === 'admin'
}

/** A call that was refused later, by a limit or a content rule, had been allowed by the policy. */
function effectOf({ extra }: AuditRecord): 'allow' | 'deny' {
  const access: Readonly<Record<string, unknown>> = Object(extra?.['access'])
  return access['effect'] === 'deny' ? 'deny' : 'allow'
}

function isByHook({ extra }: AuditRecord): boolean {
  const { rules }: Readonly<Record<string, unknown>> = Object(extra?.['access'])
  return Array.isArray(rules) && String(rules[0]).startsWith('hook:')
}

const MAX_KEPT = 200_000

function once<T>(known: Map<string, T>, key: string, make: () => T): T {
  const before = known.get(key)
  if (before !== undefined) return before
  if (known.size >= MAX_KEPT) known.clear()
  const made = make()
  known.set(key, made)
  return made
}
