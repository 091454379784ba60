import type { Audit } from '#audit'
import { createCoverage } from '../grants/covers.ts'
import type { Grant } from '../grants/schema.ts'
import { buildSnapshot } from '../snapshot.ts'
import type { World } from '../world.ts'
import { readRecorded } from './recorded.ts'
import type { UsageReply } from './schema.ts'

const MAX_RECORDS = 1_000_000

type Use = { calls: number; lastUsedAt: number | null; readonly used: Set<string> }

/** How much of each grant was needed since then: every recorded call counts for all grants that allow it today. */
export async function findUsage(
  deps: { audit: Pick<Audit, 'search'>; world: World },
  asked: { grants: readonly Grant[]; since: number },
): Promise<UsageReply> {
  const { grants, since } = asked
  const uses = new Map(grants.map(({ id }): [string, Use] => [id, { calls: 0, lastUsedAt: null, used: new Set() }]))
  const snapshot = buildSnapshot({ grants, rules: [], granted: new Set(), label: 'usage' }, new Map())
  const at = { face: '', client: '', remoteAddress: null, scopes: null }
  let records = 0
  for await (const page of readRecorded(deps, since)) {
    for (const { principal, thing, action, before, record } of page) {
      records += 1
      if (thing === null || before === 'deny') continue
      const { reasons } = snapshot.casteOf(principal).decide({ thing, action, at, now: record.at })
      for (const id of reasons) note(uses.get(id), `${thing.server}/${thing.name}`, record.at)
    }
    if (records >= MAX_RECORDS) break
  }
  const told = grants.map((grant) => describeUse(deps.world, { grant, since, use: uses.get(grant.id) }))
  return { since, records, complete: records < MAX_RECORDS, grants: told }
}

function note(use: Use | undefined, name: string, at: number): void {
  if (use === undefined) return
  use.calls += 1
  use.lastUsedAt = Math.max(use.lastUsedAt ?? 0, at)
  use.used.add(name)
}

function describeUse(
  world: World,
  of: { grant: Grant; since: number; use: Use | undefined },
): UsageReply['grants'][number] {
  const { grant, since } = of
  const use = of.use ?? { calls: 0, lastUsedAt: null, used: new Set<string>() }
  const covers = countCovered(world, grant)
  const verdict = use.calls === 0 ? 'unused' : use.used.size < covers ? 'wide' : 'used'
  const { calls, lastUsedAt } = use
  return { grant, verdict, calls, lastUsedAt, covers, used: [...use.used].toSorted(), isYoung: grant.createdAt > since }
}

function countCovered(world: World, grant: Grant): number {
  const covers = createCoverage(grant)
  const gateways = world.gateways().filter(({ slug }) => grant.gateway === null || slug === grant.gateway)
  const names = gateways.flatMap(({ slug }) =>
    world
      .things(slug)
      .filter(covers)
      .map(({ kind, server, name }) => `${kind} ${server}/${name}`),
  )
  return new Set(names).size
}
