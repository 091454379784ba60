import { hash } from 'node:crypto'
import { Problem } from '#kernel'
import { isForAdminsOnly } from '../admin/laws.ts'
import type { CheckPolicies, PolicyFinding, PolicySource, Rule } from '../cedar/check.ts'
import { BAD_POLICY, NO_SUCH_VERSION } from '../problems.ts'
import type { RulesStore } from './store.ts'

/** The rules of the files together with one version from the database, or with none. */
export type RuleBook = { readonly rules: readonly Rule[]; readonly label: string }

export type RuleBooks = {
  /** Takes over what the files say now. Refuses them as a whole when one has a mistake. */
  declare(files: readonly PolicySource[]): void
  files(): readonly PolicySource[]
  /** The book with this version; what is refused, names file and line. */
  withVersion(version: number | null): Promise<RuleBook>
  /** The book with this text in the place of a version. */
  withText(source: PolicySource): RuleBook
}

export function createRuleBooks(deps: {
  store: Pick<RulesStore, 'findVersion'>
  checkPolicies: CheckPolicies
}): RuleBooks {
  const { store } = deps
  let files: readonly PolicySource[] = []
  const read = createReader(deps.checkPolicies)
  return {
    declare: (next) => {
      read(next)
      files = next
    },
    files: () => files,
    withVersion: async (version) => {
      const label = labelOf(version === null ? 'v0' : `v${version}`, files)
      if (version === null) return { rules: read(files), label }
      const found = await store.findVersion(version)
      if (!found) throw noVersion(version)
      return { rules: read([...files, { name: `v${version}`, text: found.text }]), label }
    },
    withText: (source) => ({ rules: read([...files, source]), label: labelOf(source.name, files) }),
  }
}

export function noVersion(version: number): Problem {
  return new Problem(NO_SUCH_VERSION, `There is no version ${version} of the policies; \`policy list\` shows all.`)
}

/** `v3`, or `v3+1a2b3c4d` with files beside it. */
function labelOf(name: string, files: readonly PolicySource[]): string {
  if (files.length === 0) return name
  return `${name}+${hash('sha256', JSON.stringify(files), 'hex').slice(0, 8)}`
}

const KEPT = 8

/** Reading and checking takes a while, and a reload asks mostly for what was read before. */
function createReader(checkPolicies: CheckPolicies): (sources: readonly PolicySource[]) => readonly Rule[] {
  const known = new Map<string, readonly Rule[]>()
  return (sources) => {
    const key = hash('sha256', JSON.stringify(sources), 'base64url')
    const before = known.get(key)
    if (before !== undefined) return before
    const { rules, findings } = checkPolicies(sources)
    const errors = findings.filter(({ level }) => level === 'error')
    if (errors.length > 0) throw new Problem(BAD_POLICY, errors.map(showFinding).join('\n'), { findings })
    if (known.size >= KEPT) known.clear()
    known.set(key, rules)
    return rules
  }
}

function showFinding({ source, line, message }: PolicyFinding): string {
  return `${source}:${line}: ${message}`
}

/** Gateways that a permit names: whoever names one wants it to be of default deny, unless it is about administering it. */
export function gatewaysNamedBy(rules: readonly Rule[]): string[] {
  const permits = rules.filter(({ effect, policy }) => effect === 'permit' && !isForAdminsOnly(policy))
  return [...new Set(permits.flatMap(({ look }) => [...look.gateways]))]
}
