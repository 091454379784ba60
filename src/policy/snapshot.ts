import type { Principal } from '#identity'
import { adminLaws, isForAdminsOnly, type AdminLaws } from './admin/laws.ts'
import { Caste, type Heard, type Statute } from './caste.ts'
import type { Rule } from './cedar/check.ts'
import { subjectsOf, uidOf, uidText } from './cedar/subject.ts'
import { compileGrant, subjectUid } from './grants/compile.ts'
import type { Grant } from './grants/schema.ts'

export type SnapshotInput = {
  /** Those that are in force. */
  readonly grants: readonly Grant[]
  readonly rules: readonly Rule[]
  /** Gateways that a grant or a permit has named once. */
  readonly granted: ReadonlySet<string>
  /** Which policies these are, in a few characters. */
  readonly label: string
}

/** All grants and rules at one moment, ready to be asked. A change is another snapshot. */
export type Snapshot = {
  readonly label: string
  readonly grants: readonly Grant[]
  readonly rules: readonly Rule[]
  /** Some rule is about what gateways show. */
  readonly hasRules: boolean
  /** Some rule looks at whether a person has approved. */
  readonly readsApproval: boolean
  /** Whether a gateway that says nothing of its access is one of default deny by now. */
  isGranted(gateway: string): boolean
  casteOf(principal: Principal): Caste
  /** What counts at the admin API. */
  readonly laws: AdminLaws
  /** A grant or rule, in words for people. */
  describe(id: string): string
  noteOf(id: string): string | null
}

/** Castes that outlive a snapshot: who is not touched by a change keeps what was decided. */
export type Castes = Map<string, Caste>

const MAX_CASTES = 2_000
const MAX_DECISIONS = 500_000
const MAX_PRINCIPALS = 20_000

/** Compiles the snapshot. Grants are found by whom they are for, so what a principal costs does not grow with the others'. */
export function buildSnapshot(input: SnapshotInput, castes: Castes, heard?: Heard): Snapshot {
  const { grants, granted, label } = input
  // What is about the admin API alone makes no two principals differ at a gateway.
  const rules = input.rules.filter(({ policy }) => !isForAdminsOnly(policy))
  const bySubject = Map.groupBy(grants, ({ subject }) => {
    const uid = subjectUid(subject)
    return uid === null ? EVERYONE : uidText(uid)
  })
  const named = new Set([...bySubject.keys(), ...rules.flatMap(({ look }) => [...look.subjects])])
  const readsPrincipal = rules.some(({ look }) => look.readsPrincipal)
  const notes = new Map([...grants, ...input.rules].map(({ id, note }) => [id, note]))
  const known = new Map<string, Caste>()
  const byPrincipal = new WeakMap<Principal, Caste>()
  const find = (principal: Principal): Caste => {
    const names = subjectsOf(principal)
      .map(uidText)
      .filter((name) => named.has(name))
    const own = [EVERYONE, ...names].flatMap((name) => bySubject.get(name) ?? [])
    const applying = rules.filter((rule) => mayApply(rule, names))
    const traits = readsPrincipal ? JSON.stringify(subjectsOf(principal)) + claimsText(principal) + principal.kind : ''
    const kind = principal.kind === 'system' ? 'system' : 'user'
    const marks = [...own.map(({ id }) => id), ...applying.map(({ id, print }) => `${id} ${print}`)].toSorted()
    const signature = JSON.stringify([kind, names, traits, marks])
    return keep(castes, signature, () => new Caste(principal, statutesOf(own, applying), heard))
  }
  return {
    label,
    grants,
    rules: input.rules,
    hasRules: rules.length > 0,
    readsApproval: rules.some(({ look }) => look.context.has('approved') || look.context.has('*')),
    isGranted: (gateway) => granted.has(gateway),
    laws: adminLaws(input.rules),
    casteOf: (principal) => {
      const same = byPrincipal.get(principal)
      if (same !== undefined) return same
      const text = textOf(principal, readsPrincipal)
      const caste = known.get(text) ?? find(principal)
      if (known.size >= MAX_PRINCIPALS) known.clear()
      known.set(text, caste)
      byPrincipal.set(principal, caste)
      return caste
    },
    noteOf: (id) => notes.get(id) ?? null,
    describe: (id) => {
      const note = notes.get(id)
      const what = id.startsWith('grant_') ? 'grant' : 'rule'
      return `${what} ${id}${note === undefined || note === null ? '' : ` (${note})`}`
    },
  }
}

/** Stands where a grant names nobody: no uid is written so. */
const EVERYONE = '*'

/** A rule whose scope names somebody else says nothing to this principal. */
export function mayApply({ policy: { principal } }: Rule, names: readonly string[]): boolean {
  if ((principal.op !== '==' && principal.op !== 'in') || !('entity' in principal)) return true
  return names.includes(uidText(uidOf(principal.entity)))
}

function statutesOf(grants: readonly Grant[], rules: readonly Rule[]): Statute[] {
  return [...grants.map(toStatute), ...rules]
}

const NONE: ReadonlySet<string> = new Set()
const NOTHING = { subjects: NONE, gateways: NONE, servers: NONE, operations: NONE, context: NONE }

function toStatute(grant: Grant): Statute {
  return {
    id: grant.id,
    policy: compileGrant(grant),
    look: { ...NOTHING, readsPrincipal: false, namesList: false, namesAdmin: false },
  }
}

function keep(castes: Castes, signature: string, make: () => Caste): Caste {
  const known = castes.get(signature)
  if (known !== undefined) return known
  const decisions = castes.values().reduce((sum, { size }) => sum + size, 0)
  if (castes.size >= MAX_CASTES || decisions >= MAX_DECISIONS) castes.clear()
  const caste = make()
  castes.set(signature, caste)
  return caste
}

/** The principal as one text: equal ones are of one caste. */
function textOf(principal: Principal, withClaims: boolean): string {
  const { kind, userId, role, groups, keyId, clientId } = principal
  const text = `${kind}\n${userId}\n${role}\n${keyId}\n${clientId}\n${groups.join('\n')}`
  return withClaims ? text + claimsText(principal) : text
}

const claims = new WeakMap<object, string>()

function claimsText(principal: Principal): string {
  const known = claims.get(principal.claims)
  if (known !== undefined) return known
  const text = JSON.stringify(principal.claims)
  claims.set(principal.claims, text)
  return text
}
