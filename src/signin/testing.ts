/** For tests only: the pages over a real identity room, behind a real listener. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Secret as TotpSecret, TOTP } from 'otpauth'
import { APPROVALS_MIGRATIONS, approvalsConfig, createApprovals } from '#approvals'
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import { createEgress, PEER_HEADER } from '#http'
import { createIdentity, IDENTITY_MIGRATIONS, type Identity, type Member, type Role } from '#identity'
import { Secret } from '#kernel'
import { createMetrics } from '#telemetry'
import { SILENT } from '../audit/testing.ts'
import { openTestStorage } from '../storage/testing.ts'
import type { LoginDecision } from '#login'
import { createSignInPages } from './app.ts'
import { accountsFrom, sessionsFrom } from './from-identity.ts'
import { SIGNIN_MIGRATIONS } from './index.ts'
import { createSeal } from './seal.ts'
import { identitySourceConfig } from './sources/config.ts'
import { createSources } from './sources/service.ts'
import { createSignInStore } from './store.ts'
import type { Accounts, Session, Sessions } from './ports.ts'
import { createMemoryServer } from './testing/server.ts'

export type TestPages = Awaited<ReturnType<typeof openTestPages>>

export async function openTestPages(
  options: {
    sources?: readonly Parameters<typeof identitySourceConfig.parse>[0][]
    mayEnter?: (services: readonly string[]) => 'allow' | 'deny'
    publicUrl?: string
  } = {},
) {
  const place = await openTestStorage({
    engine: 'sqlite',
    migrations: { ...APPROVALS_MIGRATIONS, ...AUDIT_MIGRATIONS, ...IDENTITY_MIGRATIONS, ...SIGNIN_MIGRATIONS },
  })
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const audit: Audit = await createAudit({ storage: place.storage, clock, log: SILENT, dataDir: place.place.dataDir })
  const reached = { url: options.publicUrl ?? '' }
  const publicUrl = (): string => reached.url
  const identity = await createIdentity({ storage: place.storage, clock, audit, log: SILENT, publicUrl })
  const accounts = accountsFrom(identity)
  const sessions = sessionsFrom(identity)
  const server = createMemoryServer()
  const sources = createSources({
    sources: (options.sources ?? []).map((source) => identitySourceConfig.parse(source)),
    accounts,
    store: createSignInStore(place.storage),
    egress: createEgress(),
    audit,
    clock,
  })
  const loginPolicy = policyOf(options.mayEnter ?? (() => 'allow'))
  const seal = createSeal(randomBytes(32))
  const approvals = openApprovals({ storage: place.storage, clock, audit, publicUrl })
  const ground = { approvals, audit, clock, log: SILENT, seal, csrfKey: randomBytes(32), publicUrl }
  const pages = createSignInPages({ ...ground, accounts, sessions, server, sources, loginPolicy })
  const { listener, url } = await listenWith(pages)
  reached.url ||= url
  const close = async (): Promise<void> => {
    listener.close()
    listener.closeAllConnections()
    approvals.close()
    await sources.close()
    await identity.close()
    await audit.close()
    await place.close()
  }
  return {
    url,
    accounts,
    server,
    sources,
    audit,
    clock,
    ...peopleOf({ identity, accounts, sessions }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Nothing waits for anybody here. */
function openApprovals(
  ground: Pick<Parameters<typeof createApprovals>[0], 'storage' | 'clock' | 'audit' | 'publicUrl'>,
) {
  return createApprovals({
    ...ground,
    log: SILENT,
    metrics: createMetrics(),
    client: createEgress().open({ trusted: false, allow: [] }),
    seal: { seal: () => '', open: () => null },
    config: approvalsConfig.parse({}),
    findMember: () => null,
  })
}

/** A policy of one rule. */
function policyOf(effectOf: (services: readonly string[]) => 'allow' | 'deny') {
  const mayEnter = ({ services }: { services: readonly string[] }): LoginDecision => {
    const effect = effectOf(services)
    return { effect, winner: effect === 'deny' ? 'test-rule' : null, reason: 'a test', rules: [] }
  }
  const test = ({ service }: { service: string }) => ({
    ...mayEnter({ services: [service] }),
    account: 'active' as const,
  })
  return { mayEnter, test }
}

/** The pages behind a listener that says who is there, as the one of the house does. */
async function listenWith(pages: ReturnType<typeof createSignInPages>) {
  const answer = getRequestListener((request, { incoming }) => {
    const headers = new Headers(request.headers)
    headers.set(PEER_HEADER, incoming.socket.remoteAddress ?? '')
    return pages.fetch(new Request(request, { headers }))
  })
  const listener = createServer((req, res) => void answer(req, res))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { listener, url: `http://localhost:${port}` }
}

/** What tests do with people, and ask of them. */
function peopleOf({ identity, accounts, sessions }: { identity: Identity; accounts: Accounts; sessions: Sessions }) {
  const accountOf = (userId: string): Member => {
    const found = identity.directory().findByUserId(userId)
    if (found === null) throw new Error(`a test expects an account ${userId}`)
    return found
  }
  return {
    accountOf,
    hasAccount: (userId: string): boolean => identity.directory().findByUserId(userId) !== null,
    add: async (userId: string, { password, groups = [], ...more }: Added = {}): Promise<Member> => {
      const { id } = await identity.accounts.create({ userId, ...more }, BY)
      if (password !== undefined) await identity.passwords.set(id, new Secret(password), BY)
      for (const group of groups) {
        await identity.accounts.createGroup(group, BY)
        await identity.accounts.addMember(group, userId, BY)
      }
      return accountOf(userId)
    },
    makeSetup: async (userId: string): Promise<string> => {
      await identity.accounts.create({ userId, role: 'admin' }, BY)
      return (await identity.links.create(userId, BY)).token
    },
    remove: (userId: string) => identity.accounts.remove(userId, BY),
    switchOff: (userId: string) => identity.accounts.update(userId, { isActive: false }, BY),
    giveTotp: async (userId: string): Promise<void> => {
      const { accountId } = accountOf(userId)
      const { secret } = await accounts.beginTotp(accountId)
      await accounts.finishTotp(accountId, new TOTP({ secret: TotpSecret.fromBase32(secret) }).generate())
    },
    /** Of everybody, oldest first. */
    sessions: async (): Promise<readonly Session[]> => {
      const all = await Promise.all(
        identity
          .directory()
          .all()
          .map(({ accountId }) => sessions.list(accountId)),
      )
      return all.flat().toSorted((a, b) => (a.id < b.id ? -1 : 1))
    },
  }
}

type Added = { password?: string; role?: Role; name?: string; groups?: readonly string[] }

const BY = { userId: 'root', keyId: null, face: 'cli' } as const
