import { setTimeout as pause } from 'node:timers/promises'
import type { Audit } from '#audit'
import type { Egress } from '#http'
import { Problem, type Clock, type JsonObject } from '#kernel'
import type { Accounts } from '../ports.ts'
import { NO_SUCH_SOURCE, SOURCE_REFUSED } from '../problems.ts'
import type { SignInStore } from '../store.ts'
import { readClaims, type Reading, type Vouched } from './claims.ts'
import type { IdentitySource } from './config.ts'
import { createAssertions, type Assertions } from './assertions.ts'
import { openUpstream, titleOf, type PendingCheck, type Upstream } from './upstream.ts'

export type SourcesDeps = {
  readonly sources: readonly IdentitySource[]
  readonly accounts: Pick<Accounts, 'find' | 'findByUserId' | 'createPerson' | 'takeOver' | 'factors'>
  readonly store: SignInStore
  readonly egress: Egress
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}

/** What becomes of somebody whom a source vouches for. */
export type Arrival =
  | { readonly kind: 'known'; readonly accountId: string }
  /** There is an account of that name; its owner must prove a local factor before the two become one. */
  | { readonly kind: 'must-link'; readonly accountId: string; readonly userId: string }

export type Sources = {
  /** Those that may sign people in. */
  buttons(): readonly { readonly name: string; readonly title: string }[]
  list(): readonly IdentitySource[]
  begin(name: string, redirectUri: string, how: { isPreview: boolean }): Promise<{ url: string; pending: PendingCheck }>
  /** The verified claims of whoever came back, read as the settings say. Throws a Problem for whatever does not fit. */
  finish(name: string, callbackUrl: URL, pending: PendingCheck): Promise<{ claims: JsonObject; reading: Reading }>
  /** Finds or makes the account, and takes over groups. Throws a Problem where nobody may come in. */
  arrive(person: Vouched): Promise<Arrival>
  /** Makes somebody there and somebody here one. The caller has made sure of a fresh local factor. */
  link(person: Vouched, accountId: string): Promise<void>
  assertions: Assertions
  links(accountId: string): Promise<readonly { source: string; title: string; linkedAt: number }[]>
  unlink(accountId: string, source: string): Promise<void>
  /** Takes over the sources of a changed config file. Whoever is at one that is another now has to start again. */
  declare(sources: readonly IdentitySource[]): void
  /** Who somebody with these claims would be. Nothing is checked and nothing changes. */
  preview(name: string, claims: JsonObject): Promise<Preview>
  close(): Promise<void>
}

export type Preview = {
  readonly reading: Reading
  /** Whom the sign-in would lead to. */
  readonly outcome: 'known' | 'must-link' | 'created' | 'refused'
  readonly userId: string | null
  readonly reason: string | null
}

/** Opens a way to each source; none is asked before somebody needs it. */
export function createSources(deps: SourcesDeps): Sources {
  let sources = deps.sources
  /** A source that is declared anew is another one, and has a way of its own. */
  const upstreams = new Map<IdentitySource, Upstream>()
  const upstreamOf = (source: IdentitySource): Upstream => {
    const open = upstreams.get(source) ?? openUpstream(source, { egress: deps.egress, now: () => deps.clock.now() })
    upstreams.set(source, open)
    return open
  }
  const find = (name: string, { isPreview }: { isPreview: boolean }): IdentitySource => {
    const source = sources.find((one) => one.name === name)
    if (source !== undefined && (source.enabled || isPreview)) return source
    throw new Problem(NO_SUCH_SOURCE, `There is no identity source "${name.slice(0, 40)}" that signs people in.`)
  }
  return {
    buttons: () =>
      sources.filter(({ enabled }) => enabled).map((source) => ({ name: source.name, title: titleOf(source) })),
    list: () => sources,
    begin: async (name, redirectUri, how) => upstreamOf(find(name, how)).begin(redirectUri),
    finish: async (name, callbackUrl, pending) => {
      const source = find(name, { isPreview: true })
      const claims = await upstreamOf(source).finish(callbackUrl, pending)
      return { claims, reading: readClaims(source, claims) }
    },
    arrive: async (person) => arrive(deps, find(person.source, { isPreview: false }), person),
    link: (person, accountId) => link(deps, person, accountId),
    assertions: createAssertions({
      ...deps,
      sources: () => sources,
      upstreamOf,
      arrive: (source, person) => arrive(deps, source, person),
    }),
    links: async (accountId) => {
      const found = await deps.store.linksOf(accountId)
      return found.map(({ source, linkedAt }) => ({ source, linkedAt, title: titleFor(sources, source) }))
    },
    unlink: (accountId, source) => deps.store.removeLinks(accountId, source),
    preview: (name, claims) => preview(deps, find(name, { isPreview: true }), claims),
    declare: (next) => {
      const before = new Map(sources.map((source) => [JSON.stringify(source), source]))
      sources = next.map((source) => before.get(JSON.stringify(source)) ?? source)
      for (const [source, upstream] of upstreams) {
        if (sources.includes(source)) continue
        upstreams.delete(source)
        void upstream.close() // ends when its last answer is there
      }
    },
    close: async () => {
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()))
    },
  }
}

function titleFor(sources: readonly IdentitySource[], name: string): string {
  const source = sources.find((one) => one.name === name)
  return source === undefined ? name : titleOf(source)
}

const SWITCHED_OFF = 'This account is switched off. Ask an administrator.'

async function arrive(deps: SourcesDeps, source: IdentitySource, person: Vouched): Promise<Arrival> {
  const linked = await deps.store.findLink(person.issuer, person.subject)
  if (linked !== null) return comeBack(deps, person, linked.accountId)
  const found = person.userId === null ? null : await deps.accounts.findByUserId(person.userId)
  if (found === null) return { kind: 'known', accountId: await createAccount(deps, source, person) }
  if (!found.isActive) throw refuse(SWITCHED_OFF)
  if (!(await mayJoinUnasked(deps, person, found.accountId)))
    return { kind: 'must-link', accountId: found.accountId, userId: found.userId }
  await link(deps, person, found.accountId)
  return { kind: 'known', accountId: found.accountId }
}

async function comeBack(deps: SourcesDeps, person: Vouched, accountId: string): Promise<Arrival> {
  const account = await deps.accounts.find(accountId)
  if (account === null) throw refuse(SWITCHED_OFF)
  await deps.accounts.takeOver(accountId, person)
  return { kind: 'known', accountId }
}

/**
 * An account that nobody can sign in to otherwise, made by provisioning, is joined by the verified address of whoever
 * gives such addresses out. One with a factor of its own never is: its owner is asked.
 */
async function mayJoinUnasked(deps: SourcesDeps, person: Vouched, accountId: string): Promise<boolean> {
  if (!person.isAuthoritative) return false
  const { hasPassword, hasTotp, passkeys } = await deps.accounts.factors(accountId)
  const links = await deps.store.linksOf(accountId)
  return !hasPassword && !hasTotp && passkeys.length === 0 && links.length === 0
}

async function createAccount(deps: SourcesDeps, source: IdentitySource, person: Vouched): Promise<string> {
  const { userId, userIdRefused, name } = person
  if (userId === null) throw refuse(`You cannot have an account here by this: ${userIdRefused}.`)
  if (!source.auto_create)
    throw refuse(`"${userId}" has no account here yet, and this source makes none. Ask an administrator for one.`)
  const account = await deps.accounts.createPerson({ userId, name, role: source.role }, `source:${source.name}`)
  if (account === null) return findWinner(deps, person, userId)
  await link(deps, person, account.accountId)
  return account.accountId
}

/** Somebody arrives for the first time in two windows at once: one makes the account and links it, the other finds it. */
async function findWinner(deps: SourcesDeps, person: Vouched, userId: string): Promise<string> {
  for (const until = performance.now() + WAIT_MS; performance.now() < until; await pause(POLL_MS)) {
    const linked = await deps.store.findLink(person.issuer, person.subject)
    if (linked !== null && (await deps.accounts.find(linked.accountId)) !== null) return linked.accountId
  }
  throw refuse(`An account has or had the user id "${userId}". Try once more, or ask an administrator.`)
}

const WAIT_MS = 3_000
const POLL_MS = 50

async function link(deps: SourcesDeps, person: Vouched, accountId: string): Promise<void> {
  const { issuer, subject, source } = person
  await deps.audit.record({
    what: 'identity.linked',
    decision: 'allowed',
    face: 'web',
    extra: { account: accountId, source, subject },
  })
  const made = await deps.store.addLink({ issuer, subject, accountId, source, linkedAt: deps.clock.now() })
  // Linked to this very account in another window is as good.
  if (made === 'taken' && (await deps.store.findLink(issuer, subject))?.accountId !== accountId)
    throw refuse('This identity is linked to an account already. Unlink it there first.')
  await deps.accounts.takeOver(accountId, person)
}

async function preview(deps: SourcesDeps, source: IdentitySource, claims: JsonObject): Promise<Preview> {
  const reading = readClaims(source, claims)
  const refused = (reason: string | null): Preview => ({ reading, outcome: 'refused', userId: null, reason })
  if (!reading.ok) return refused(reading.reason)
  const { person } = reading
  const linked = await deps.store.findLink(person.issuer, person.subject)
  if (linked !== null) {
    const account = await deps.accounts.find(linked.accountId)
    if (account === null) return refused(SWITCHED_OFF)
    return { reading, outcome: 'known', userId: account.userId, reason: null }
  }
  if (person.userId === null) return refused(person.userIdRefused)
  const found = await deps.accounts.findByUserId(person.userId)
  if (found?.isActive === false) return refused(SWITCHED_OFF)
  if (found !== null) {
    const outcome = (await mayJoinUnasked(deps, person, found.accountId)) ? 'known' : 'must-link'
    return { reading, outcome, userId: found.userId, reason: null }
  }
  if (!source.auto_create) return refused(`"${person.userId}" has no account, and auto_create is false`)
  return { reading, outcome: 'created', userId: person.userId, reason: null }
}

function refuse(detail: string): Problem {
  return new Problem(SOURCE_REFUSED, detail)
}
