import { setImmediate } from 'node:timers/promises'
import type { AdminOperation } from '#http'
import type { Member, Principal } from '#identity'
import type { Rule } from '../cedar/check.ts'
import { personOf } from '../person.ts'
import { mayApply, type Snapshot } from '../snapshot.ts'
import { subjectsOf, uidText } from '../cedar/subject.ts'
import type { World } from '../world.ts'
import { askedOf, type Place } from './asked.ts'
import { judgeAdmin } from './decide.ts'
import { escalationBy } from './escalation.ts'
import { adminScope, type AdminLaws } from './laws.ts'
import { isPossible, placesNamedBy, withAnyName } from './possible.ts'
import type { AdminHolders } from './schema.ts'

type Holder = AdminHolders['holders'][number]

export type HoldersDeps = {
  readonly world: Pick<World, 'member' | 'members'>
  readonly operations: readonly AdminOperation[]
  readonly snapshot: Snapshot
  readonly now: number
}

const MAX_HOLDERS = 1_000
/** Accounts that rules tell apart: each of them costs some milliseconds. */
const MAX_JUDGED = 5_000

/** Active accounts without the role that may do something, somewhere and at some time. Lets others run in between. */
export async function findHolders(deps: HoldersDeps): Promise<AdminHolders> {
  const { world, snapshot } = deps
  const judge = createJudge(deps)
  const holders: Holder[] = []
  const members = snapshot.laws.permits.length === 0 ? [] : byName(world.members())
  for (const member of members) {
    if (!member.isActive || member.role === 'admin') continue
    if (holders.length >= MAX_HOLDERS || judge.count() >= MAX_JUDGED)
      return { holders, complete: false, policyVersion: snapshot.label }
    const before = judge.count()
    const found = judge.holderOf(member)
    if (judge.count() > before) await setImmediate()
    if (found !== null) holders.push(found)
  }
  return { holders, complete: true, policyVersion: snapshot.label }
}

function byName(members: readonly Member[]): Member[] {
  return members.toSorted((a, b) => (a.userId < b.userId ? -1 : 1))
}

/** Whom no rule tells apart is judged once: there may be very many accounts, and one answer takes milliseconds. */
function createJudge({ world, operations, snapshot, now }: HoldersDeps): Judge {
  const modules = [...new Set(operations.map(({ module }) => module))].toSorted()
  const { laws } = snapshot
  const readsPrincipal = laws.rules.some(({ look }) => look.readsPrincipal)
  const named = new Set(laws.rules.flatMap(({ look }) => [...look.subjects]))
  const known = new Map<string, Judged>()
  const holderOf = ({ userId, kind }: Member): Holder | null => {
    const principal = personOf(world, { userId, keyId: null })
    const names = subjectsOf(principal).map(uidText)
    const permits = laws.permits.filter((rule) => mayApply(rule, names))
    if (permits.length === 0) return null
    const sign = JSON.stringify([kind, readsPrincipal ? userId : names.filter((name) => named.has(name))])
    const found = known.get(sign) ?? judge({ principal, permits, laws, modules, now })
    known.set(sign, found)
    return found.modules.length === 0 ? null : { user: userId, kind, ...found }
  }
  return { holderOf, count: () => known.size }
}

/** `count`: how many had to be judged. */
type Judge = { holderOf(member: Member): Holder | null; count(): number }
type Judged = Pick<Holder, 'modules' | 'rules'>
type Case = {
  readonly principal: Principal
  /** Those whose scope does not name somebody else. */
  readonly permits: readonly Rule[]
  readonly laws: AdminLaws
  readonly modules: readonly string[]
  readonly now: number
}

function judge(of: Case): Judged {
  const scope = new Set(of.permits.flatMap(({ policy }) => adminScope(policy)))
  const modules = of.modules
    .filter((module) => scope.has('*') || scope.has(module))
    .map((module) => {
      const mayWrite = mayUse(of, { module, writes: true })
      const isOfHouse = mayUseAt(of, { module, writes: true, place: null }) !== 'deny'
      const escalation = mayWrite === 'deny' ? null : escalationBy(module, { isOfHouse })
      return { module, mayRead: mayUse(of, { module, writes: false }), mayWrite, escalation }
    })
    .filter(({ mayRead, mayWrite }) => mayRead !== 'deny' || mayWrite !== 'deny')
  return { modules, rules: of.permits.map(({ id }) => id) }
}

const UNKNOWN = ['operation', 'now', 'address']

function mayUse(of: Case, what: { module: string; writes: boolean }): Effect {
  const judged = placesNamedBy(of.permits).map((place) => mayUseAt(of, { ...what, place, isAnyName: true }))
  const [first = 'deny', ...others] = judged
  return others.every((one) => one === first) ? first : 'depends'
}

type Effect = 'allow' | 'deny' | 'depends'
type What = { module: string; writes: boolean; place: Place; isAnyName?: true }

function mayUseAt({ principal, permits, laws, now }: Case, { isAnyName, ...what }: What): Effect {
  const at = { face: 'rest', remoteAddress: null, now }
  const exact = askedOf(principal, { ...what, operation: '' }, at)
  const asked = isAnyName ? withAnyName(exact) : exact
  const possible = permits.filter((rule) => isPossible(rule, asked, UNKNOWN))
  if (possible.length === 0) return 'deny'
  const policies = { ...laws.forbids, ...Object.fromEntries(possible.map(({ id, policy }) => [id, policy])) }
  return judgeAdmin(policies, { asked, isAdmin: false, unknown: UNKNOWN })
}
