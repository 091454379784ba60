import { canonicalJson, newId, Problem, type Clock } from '#kernel'
import { audited, type Actor, type AuditedDeps } from '../audited.ts'
import type { LivePolicy } from '../live.ts'
import { BAD_GRANT, NO_SUCH_GRANT, OPEN_TO_ALL } from '../problems.ts'
import type { PolicyStore } from '../store.ts'
import type { World } from '../world.ts'
import { createCoverage } from './covers.ts'
import {
  addGrantRequest,
  listGrantsRequest,
  type AddedGrant,
  type AddGrantRequest,
  type Grant,
  type GrantPage,
  type ListGrantsRequest,
} from './schema.ts'

export type Grants = {
  /** Makes a grant, in force here at once and on every replica within a second. Says what changes by it. */
  addGrant(request: AddGrantRequest, by: Actor): Promise<AddedGrant>
  /** Grants in the order of their making, also those that have ended. */
  listGrants(request?: Partial<ListGrantsRequest>): Promise<GrantPage>
  /** Takes a grant back. What it alone allowed is unknown from then on. */
  removeGrant(id: string, by: Actor): Promise<Grant>
}

export type GrantsDeps = AuditedDeps & {
  readonly clock: Clock
  readonly store: PolicyStore
  readonly live: LivePolicy
  readonly world: World
}

export function createGrants(deps: GrantsDeps): Grants {
  return {
    addGrant: (request, by) => addGrant(deps, request, by),
    listGrants: (request = {}) => listGrants(deps, listGrantsRequest.parse(request)),
    removeGrant: (id, by) => removeGrant(deps, id, by),
  }
}

async function addGrant(deps: GrantsDeps, request: AddGrantRequest, by: Actor): Promise<AddedGrant> {
  const now = deps.clock.now()
  const wish = parseRequest(request, now)
  const grant: Grant = { id: newId('grant'), ...wish, createdAt: now, createdBy: by.userId ?? null }
  refuseOpen(deps, grant)
  const effects = effectsOf(deps, grant)
  const { id, subject, gateway, tools, expiresAt } = grant
  const extra = { grant: id, subject: `${subject.kind}:${subject.id}`, tools, expiresAt }
  await audited(deps, { what: 'grant.added', by, gateway, extra }, () => deps.store.insertGrant(grant))
  await deps.live.announce()
  return { grant, effects }
}

function parseRequest(request: AddGrantRequest, now: number) {
  const parsed = addGrantRequest.safeParse(request)
  if (!parsed.success) {
    const words = parsed.error.issues.map(({ path, message }) => [...path.map(String), message].join(': '))
    throw new Problem(BAD_GRANT, words.join('; '))
  }
  const { expiresAt } = parsed.data
  if (expiresAt === null || expiresAt > now) return parsed.data
  throw new Problem(BAD_GRANT, `The grant would have ended at ${expiresAt}, before it was made; give a time to come.`)
}

function refuseOpen({ world }: GrantsDeps, { gateway }: Grant): void {
  const named = world.gateways().find(({ slug }) => slug === gateway)
  if (named?.access !== 'all') return
  const why = `Gateway "${gateway}" has access = "all": everybody it admits may use everything, so a grant would change nothing.`
  throw new Problem(OPEN_TO_ALL, `${why} Set access = "grants", or leave the key out.`)
}

/** What an admin should know before they are surprised. */
function effectsOf(deps: GrantsDeps, grant: Grant): string[] {
  const same = deps.live.current.grants.find((one) => one.id !== grant.id && gives(one) === gives(grant))
  const again = same === undefined ? [] : [`${same.id} gives the same already; each has to be taken back on its own.`]
  return [...whatChanges(deps, grant), ...again]
}

function gives({ subject, gateway, tools, prompts, resources, only }: Grant): string {
  return canonicalJson({ subject, gateway, tools, prompts, resources, only })
}

function whatChanges({ world, live }: GrantsDeps, grant: Grant): string[] {
  const isClosed = ({ slug, access }: { slug: string; access?: 'all' | 'grants' | undefined }): boolean =>
    access === 'grants' || (access === undefined && live.current.isGranted(slug))
  const gateways = world.gateways()
  const named = gateways.find(({ slug }) => slug === grant.gateway)
  if (grant.gateway === null) {
    const [closed, open] = [gateways.filter(isClosed), gateways.filter((gateway) => !isClosed(gateway))]
    const names = (list: typeof gateways): string => list.map(({ slug }) => slug).join(', ')
    return [
      closed.length === 0 ? 'No gateway asks for grants yet.' : `It counts at: ${names(closed)}.`,
      ...(open.length === 0 ? [] : [`Everybody may still use everything at: ${names(open)}. Name one with --gateway.`]),
    ]
  }
  if (named === undefined) return [`There is no gateway "${grant.gateway}" yet; the grant is made anyway.`]
  const opening = isClosed(named)
    ? []
    : [
        `Gateway "${named.slug}" was open to everybody it admits. From now on only what is granted may be used there, also when no grant is left.`,
      ]
  return [...opening, coverageOf(world, grant, named.slug)]
}

function coverageOf(world: World, grant: Grant, slug: string): string {
  const covers = createCoverage(grant)
  const count = (kind: string): number =>
    world.things(slug).filter((thing) => thing.kind === kind && covers(thing)).length
  const [tools, prompts, resources] = [count('tool'), count('prompt'), count('resource')]
  return `At ${slug} it covers ${tools} tools, ${prompts} prompts and ${resources} resources now.`
}

async function listGrants({ store }: GrantsDeps, request: ListGrantsRequest): Promise<GrantPage> {
  const found = await store.listGrants({ ...request, limit: request.limit + 1 })
  const grants = found.slice(0, request.limit)
  return { grants, next: found.length > request.limit ? (grants.at(-1)?.id ?? null) : null }
}

async function removeGrant(deps: GrantsDeps, id: string, by: Actor): Promise<Grant> {
  const grant = await deps.store.findGrant(id)
  if (!grant) {
    throw new Problem(NO_SUCH_GRANT, `There is no grant "${id.slice(0, 64)}"; \`grant list\` shows those there are.`)
  }
  const { subject, gateway, tools } = grant
  const extra = { grant: id, subject: `${subject.kind}:${subject.id}`, tools }
  await audited(deps, { what: 'grant.removed', by, gateway, extra }, () => deps.store.deleteGrant(id))
  await deps.live.announce()
  return grant
}
