import type { Audit, AuditRecord } from '#audit'
import { readAdmin, type RecordedAdmin } from '../admin/recorded.ts'
import type { Action } from '../cedar/entities.ts'
import type { Grant } from '../grants/schema.ts'
import { personOf } from '../person.ts'
import type { Principal } from '#identity'
import type { Thing } from '../thing.ts'
import type { Found, World } from '../world.ts'

/** Something that was recorded and that rules decide, as today's house understands it. */
export type Recorded = RecordedUse | ({ readonly kind: 'admin' } & RecordedAdmin)

/** A call of a tool, or another use of what a gateway shows. */
export type RecordedUse = {
  readonly kind: 'use'
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

/** Recorded uses of tools, prompts, resources and the admin API since then, newest first, page by page. */
export async function* readRecorded(
  deps: { audit: Pick<Audit, 'search'>; world: World; grants: readonly Grant[] },
  since: number,
): AsyncGenerator<readonly Recorded[]> {
  const understand = createReader(deps)
  let cursor: string | undefined
  do {
    const page = await deps.audit.search({ since }, { limit: PAGE, cursor })
    yield page.records.flatMap(understand)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
}

/** Groups and things are looked up once each: there are few of them, and many records. */
function createReader({
  world,
  grants,
}: {
  world: World
  grants: readonly Grant[]
}): (record: AuditRecord) => Recorded[] {
  const people = new Map<string, Principal>()
  const things = new Map<string, Found | null>()
  return (record) => {
    const admin = readAdmin(record, world, grants)
    if (admin !== null) return [{ kind: 'admin', ...admin }]
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
    const decided = { before: effectOf(record), isByHook: isByHook(record) }
    return [{ kind: 'use', record, principal, found, action: known.action, ...decided }]
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
