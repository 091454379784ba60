import type { AdminOperation } from '#http'
import type { Member } from '#identity'
import { personOf } from '../person.ts'
import { mayApply, type Snapshot } from '../snapshot.ts'
import { subjectsOf, uidText } from '../cedar/subject.ts'
import type { World } from '../world.ts'
import { askedOf } from './asked.ts'
import { judgeAdmin } from './decide.ts'
import { escalationBy } from './escalation.ts'
import { adminScope } from './laws.ts'
import type { AdminHolders } from './schema.ts'

type Holder = AdminHolders['holders'][number]

export type HoldersDeps = {
  readonly world: Pick<World, 'member' | 'members'>
  readonly operations: readonly AdminOperation[]
  readonly snapshot: Snapshot
  readonly now: number
}

const MAX_HOLDERS = 1_000

/** Active accounts without the role that may do something, somewhere and at some time. */
export function findHolders(deps: HoldersDeps): AdminHolders {
  const { world, snapshot } = deps
  const judge = createJudge(deps)
  const holders: Holder[] = []
  const members = snapshot.laws.permits.length === 0 ? [] : world.members()
  for (const member of members) {
    const found = member.isActive && member.role !== 'admin' ? judge(member) : null
    if (found === null) continue
    if (holders.length >= MAX_HOLDERS) return { holders, complete: false, policyVersion: snapshot.label }
    holders.push(found)
  }
  return { holders, complete: true, policyVersion: snapshot.label }
}

/** Whom no rule tells apart is judged once: there may be very many accounts, and one answer takes milliseconds. */
function createJudge({ world, operations, snapshot, now }: HoldersDeps): (member: Member) => Holder | null {
  const modules = [...new Set(operations.map(({ module }) => module))]
  const { laws } = snapshot
  const readsPrincipal = laws.rules.some(({ look }) => look.readsPrincipal)
  const named = new Set(laws.rules.flatMap(({ look }) => [...look.subjects]))
  const known = new Map<string, Pick<Holder, 'modules' | 'rules'>>()
  return ({ userId, kind }) => {
    const principal = personOf(world, { userId, keyId: null })
    const names = subjectsOf(principal).map(uidText)
    const permits = laws.permits.filter((rule) => mayApply(rule, names))
    if (permits.length === 0) return null
    const sign = JSON.stringify([kind, readsPrincipal ? userId : names.filter((name) => named.has(name))])
    const scope = new Set(permits.flatMap(({ policy }) => adminScope(policy)))
    const mayUse = (module: string, writes: boolean): 'allow' | 'deny' | 'depends' => {
      const action = { module, operation: '', writes, place: null }
      const asked = askedOf(principal, action, { face: 'rest', remoteAddress: null, now })
      const unknown = ['resource', 'operation', 'now', 'address']
      return judgeAdmin(laws.all, { asked, isAdmin: false, unknown })
    }
    const found = known.get(sign) ?? {
      modules: modules
        .filter((module) => scope.has('*') || scope.has(module))
        .map((module) => {
          const mayWrite = mayUse(module, true)
          const escalation = mayWrite === 'deny' ? null : escalationBy(module)
          return { module, mayRead: mayUse(module, false), mayWrite, escalation }
        })
        .filter(({ mayRead, mayWrite }) => mayRead !== 'deny' || mayWrite !== 'deny'),
      rules: permits.map(({ id }) => id),
    }
    known.set(sign, found)
    return found.modules.length === 0 ? null : { user: userId, kind, ...found }
  }
}
