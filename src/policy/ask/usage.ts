import type { Audit } from '#audit'
import { createCoverage } from '../grants/covers.ts'
import type { Grant } from '../grants/schema.ts'
import { buildSnapshot } from '../snapshot.ts'
import type { Thing } from '../thing.ts'
import type { World } from '../world.ts'
import { readRecorded } from './recorded.ts'
import type { UsageReply } from './schema.ts'

const MAX_RECORDS = 1_000_000

type Use = { calls: number; lastUsedAt: number | null; readonly used: Map<string, Thing> }

/**
 * How much of each grant was needed since then: every recorded call counts for all grants that allow it today,
 * to people with the groups that they have today.
 */
export async function findUsage(
  deps: { audit: Pick<Audit, 'search'>; world: World },
  asked: { grants: readonly Grant[]; since: number },
): Promise<UsageReply> {
  const { grants, since } = asked
  const uses = new Map(grants.map(({ id }): [string, Use] => [id, { calls: 0, lastUsedAt: null, used: new Map() }]))
  const snapshot = buildSnapshot({ grants, rules: [], granted: new Set(), label: 'usage' }, new Map())
  const at = { face: '', client: '', remoteAddress: null, scopes: null }
  let records = 0
  for await (const page of readRecorded({ ...deps, grants }, since)) {
    for (const recorded of page) {
      if (recorded.kind === 'admin') continue
      const { principal, found, action, before, record } = recorded
      records += 1
      if (found === null || before === 'deny') continue
      const caste = snapshot.casteOf(principal)
      const reasons = found.things.flatMap((thing) => caste.decide({ thing, action, at, now: record.at }).reasons)
      for (const id of new Set(reasons)) note(uses.get(id), found.thing, record.at)
    }
    if (records >= MAX_RECORDS) break
  }
  const told = grants.map((grant) => describeUse(deps.world, { grant, since, use: uses.get(grant.id) }))
  return { since, records, complete: records < MAX_RECORDS, grants: told }
}

function note(use: Use | undefined, thing: Thing, at: number): void {
  if (use === undefined) return
  use.calls += 1
  use.lastUsedAt = Math.max(use.lastUsedAt ?? 0, at)
  use.used.set(`${thing.kind} ${nameOf(thing)}`, thing)
}

function describeUse(
  world: World,
  told: { grant: Grant; since: number; use: Use | undefined },
): UsageReply['grants'][number] {
  const { grant, since } = told
  const use = told.use ?? { calls: 0, lastUsedAt: null, used: new Map<string, Thing>() }
  const covers = countCovered(world, grant)
  const verdict = use.calls === 0 ? 'unused' : use.used.size < covers ? 'wide' : 'used'
  const { calls, lastUsedAt } = use
  const of = (kind: Thing['kind']): string[] =>
    [...use.used.values()].flatMap((thing) => (thing.kind === kind ? [nameOf(thing)] : [])).toSorted()
  const used = { tools: of('tool'), prompts: of('prompt'), resources: of('resource') }
  return { grant, verdict, calls, lastUsedAt, covers, used, isYoung: grant.createdAt > since }
}

function nameOf({ server, name }: Thing): string {
  return `${server}/${name}`
}

function countCovered(world: World, grant: Grant): number {
  const covers = createCoverage(grant)
  const gateways = world.gateways().filter(({ slug }) => grant.gateway === null || slug === grant.gateway)
  const names = gateways.flatMap(({ slug }) =>
    world
      .things(slug)
      .filter(covers)
      .map((thing) => `${thing.kind} ${nameOf(thing)}`),
  )
  return new Set(names).size
}
