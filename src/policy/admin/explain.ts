import type { AdminOperation } from '#http'
import type { Principal } from '#identity'
import { Problem } from '#kernel'
import { selfOf, uidText } from '../cedar/subject.ts'
import { personOf } from '../person.ts'
import { NO_SUCH_MODULE } from '../problems.ts'
import { askedOf, type Place } from './asked.ts'
import { decideAdmin, judgeAdmin } from './decide.ts'
import { escalationBy } from './escalation.ts'
import type { HoldersDeps } from './holders.ts'
import { adminScope } from './laws.ts'
import { explainAdminRequest, type AdminExplanation, type ExplainAdminRequest } from './schema.ts'

type Told = AdminExplanation['operations'][number]

/** What somebody may do in a module, by the very decisions that a key of theirs would get. */
export function explainAdmin(deps: HoldersDeps, request: ExplainAdminRequest): AdminExplanation {
  const { user, module, operation, writes, gateway, server } = explainAdminRequest.parse(request)
  const { world, snapshot } = deps
  const wanted = find(deps.operations, { module, operation, writes })
  const principal = personOf(world, { userId: user, keyId: null })
  const isAdmin = principal.role === 'admin'
  const isOff = world.member(user)?.isActive === false
  const place = placeOf(gateway, server)
  const operations = wanted.map((one) => tell(deps, { one, principal, isAdmin, place }))
  const ids = [...new Set(operations.flatMap(({ rules }) => rules))]
  const isHeld = operations.some(({ effect }) => effect !== 'deny')
  const gives =
    operations.some((one) => one.writes && one.effect !== 'deny') && !isAdmin
      ? escalationBy(module, { isOfHouse: place === null })
      : null
  return {
    user,
    groups: [...principal.groups],
    isAdmin,
    module,
    summary: summaryOf({ user, module, isAdmin, operations, place }),
    operations,
    deciding: ids.map((id) => ({ id, words: snapshot.describe(id) })),
    near: isHeld ? [] : nearMisses(deps, module),
    warnings: gives === null ? [] : [`With admin:${module}, ${user} could ${gives}.`],
    advice: isOff
      ? [`The account is switched off, so none of its keys opens anything.`]
      : adviceFor({ principal, module, isAdmin, isHeld, ids }),
    policyVersion: snapshot.label,
  }
}

type Wanted = { module: string; operation: string | undefined; writes: boolean | undefined }

function find(operations: readonly AdminOperation[], { module, operation, writes }: Wanted): AdminOperation[] {
  const ofModule = operations.filter((one) => one.module === module)
  if (ofModule.length === 0) {
    const modules = [...new Set(operations.map((one) => one.module))].toSorted()
    throw new Problem(NO_SUCH_MODULE, `The admin API has no module "${module}"; there are: ${modules.join(', ')}.`)
  }
  const found = ofModule.filter(
    (one) => (operation ?? one.operation) === one.operation && (writes ?? one.writes) === one.writes,
  )
  if (found.length > 0) return found
  const names = ofModule.map((one) => `${one.operation}${one.writes ? ' (writes)' : ''}`)
  throw new Problem(NO_SUCH_MODULE, `admin:${module} has no such operation; there are: ${names.join(', ')}.`)
}

function placeOf(gateway: string | undefined, server: string | undefined): Place {
  if (gateway !== undefined) return { kind: 'gateway', name: gateway }
  return server === undefined ? null : { kind: 'server', name: server }
}

type Case = { one: AdminOperation; principal: Principal; isAdmin: boolean; place: Place }

function tell({ snapshot, now }: HoldersDeps, { one, principal, isAdmin, place }: Case): Told {
  const { operation, writes } = one
  const asked = askedOf(
    principal,
    { ...one, place: isAbout(one, place) ? place : null },
    { face: 'rest', remoteAddress: null, now },
  )
  const { effect, rule, rules } = decideAdmin(snapshot, { asked, isAdmin, isOpen: false })
  const { forbids, all } = snapshot.laws
  const unknown = ['now', 'address']
  const judged = judgeAdmin(isAdmin ? forbids : all, { asked, isAdmin, unknown })
  const deciding = rules ?? (rule === null || rule === 'admin-role' ? [] : [rule])
  return { operation, writes, effect: judged === 'depends' ? judged : effect, rules: [...deciding] }
}

/** Grants are about their gateway. */
function isAbout({ aboutKind }: AdminOperation, place: Place): boolean {
  return (aboutKind === 'grant' ? 'gateway' : aboutKind) === place?.kind
}

function summaryOf(
  told: Pick<AdminExplanation, 'user' | 'module' | 'isAdmin' | 'operations'> & { place: Place },
): string {
  const { user, module, isAdmin, operations, place } = told
  const where = place === null ? '' : ` of ${place.kind} ${place.name}`
  const may = operations.filter(({ effect }) => effect === 'allow').length
  const who = isAdmin ? `${user} is an admin and` : user
  const depends = operations.some(({ effect }) => effect === 'depends')
  const rest = depends ? ' Some hang on the time, or on the address they come from.' : ''
  if (may === operations.length) return `${who} may do all of this in admin:${module}${where}.`
  if (may === 0 && !depends) return `${who} may do nothing of this in admin:${module}${where}.`
  return `${who} may do ${may} of these ${operations.length} in admin:${module}${where}.${rest}`
}

const MAX_NEAR = 20

function nearMisses({ snapshot }: HoldersDeps, module: string): { id: string; words: string }[] {
  const near = snapshot.laws.permits.filter(({ policy }) => {
    const named = adminScope(policy)
    return named.includes('*') || named.includes(module)
  })
  return near.slice(0, MAX_NEAR).map(({ id, look }) => {
    const places = [...look.gateways, ...look.servers]
    return { id, words: `${snapshot.describe(id)}${places.length === 0 ? '' : `, of ${places.join(', ')}`}` }
  })
}

type Advised = { principal: Principal; module: string; isAdmin: boolean; isHeld: boolean; ids: string[] }

function adviceFor({ principal, module, isAdmin, isHeld, ids }: Advised): string[] {
  const { userId: user } = principal
  const names = ids.join(', ')
  if (isHeld && isAdmin)
    return [
      `To keep them out, a rule has to forbid it, or they lose the role: ./gatehouse account update '${user}' --role user`,
    ]
  if (isHeld)
    return [
      `To end it, change: ${names}`,
      `They need a key for the admin API: ./gatehouse key create --admin --user '${user}'`,
    ]
  if (ids.length > 0)
    return [`A forbid wins over every permit and over the role; it would have to be changed: ${names}`]
  return [
    `A rule that permits it: permit(principal == ${uidText(selfOf(principal))}, action == Action::"admin:${module}", resource);`,
  ]
}
