import * as z from 'zod'
import type { AuditRecord } from '#audit'
import type { Subject } from '#http'
import type { Principal } from '#identity'
import type { Grant } from '../grants/schema.ts'
import { personOf } from '../person.ts'
import type { Snapshot } from '../snapshot.ts'
import type { World } from '../world.ts'
import { askedOf, placeOf, type Place } from './asked.ts'
import { judgeAdmin } from './decide.ts'

/** A use of the admin API that was recorded, as today's house understands it. */
export type RecordedAdmin = {
  readonly record: AuditRecord
  readonly module: string
  readonly operation: string
  readonly writes: boolean
  readonly place: Place
  readonly principal: Principal
  readonly isAdmin: boolean
  readonly before: 'allow' | 'deny'
}

/** What the witness writes down; `rule` says which rule, or which role. */
const told = z.object({
  module: z.string(),
  operation: z.string(),
  writes: z.boolean(),
  about: z
    .object({ kind: z.enum(['gateway', 'server', 'grant']), name: z.string() })
    .nullable()
    .default(null),
  effect: z.enum(['allow', 'deny']),
  rule: z.string().nullable(),
})

/** Null for whatever is no use of the admin API, and for what no rule is asked about. */
export function readAdmin(record: AuditRecord, world: World, grants: readonly Grant[]): RecordedAdmin | null {
  const read = told.safeParse(record.extra?.['admin'])
  const { userId, keyId = null } = record
  if (!read.success || userId === undefined || read.data.rule === 'admin-token') return null
  const { module, operation, writes, about, effect: before, rule } = read.data
  const person = personOf(world, { userId, keyId })
  // A key that is bound to nobody is an admin's by its own role.
  const isAdmin = person.kind === 'unknown' ? rule === 'admin-role' : person.role === 'admin'
  const principal: Principal = { ...person, role: isAdmin ? 'admin' : person.role }
  const place = placeOf(about, grants) ?? placeOfRemoved(record, about)
  return { record, module, operation, writes, place, principal, isAdmin, before }
}

/** The record of a grant's end names its gateway. */
function placeOfRemoved({ gateway }: AuditRecord, about: Subject | null): Place {
  return about?.kind === 'grant' && gateway !== undefined ? { kind: 'gateway', name: gateway } : null
}

/** What these rules say of it; the address it came from is not known any more. */
export function judgeRecorded(snapshot: Snapshot, recorded: RecordedAdmin): 'allow' | 'deny' | 'depends' {
  const { record, principal, isAdmin } = recorded
  const asked = askedOf(principal, recorded, { face: 'rest', remoteAddress: null, now: record.at })
  const { forbids, all } = snapshot.laws
  return judgeAdmin(isAdmin ? forbids : all, { asked, isAdmin, unknown: ['address'] })
}
