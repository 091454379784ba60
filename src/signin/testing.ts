/** For tests only: the pages over accounts in memory, with real passkeys and one-time codes, behind a real listener. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import { createEgress, PEER_HEADER } from '#http'
import { SILENT } from '../audit/testing.ts'
import { openTestStorage } from '../storage/testing.ts'
import type { LoginDecision } from '#login'
import { createSignInPages } from './app.ts'
import { SIGNIN_MIGRATIONS } from './index.ts'
import { createSeal } from './seal.ts'
import { identitySourceConfig } from './sources/config.ts'
import { createSources } from './sources/service.ts'
import { createSignInStore } from './store.ts'
import { createMemoryAccounts, createMemoryServer, createMemorySessions } from './testing-ports.ts'

export type TestPages = Awaited<ReturnType<typeof openTestPages>>

export async function openTestPages(
  options: {
    sources?: readonly Parameters<typeof identitySourceConfig.parse>[0][]
    mayEnter?: (services: readonly string[]) => 'allow' | 'deny'
    publicUrl?: string
  } = {},
) {
  const place = await openTestStorage({ engine: 'sqlite', migrations: { ...AUDIT_MIGRATIONS, ...SIGNIN_MIGRATIONS } })
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const audit: Audit = await createAudit({ storage: place.storage, clock, log: SILENT, dataDir: place.place.dataDir })
  const reached = { url: options.publicUrl ?? '' }
  const publicUrl = (): string => reached.url
  const accounts = createMemoryAccounts({ clock, publicUrl })
  const sessions = createMemorySessions({ clock })
  const server = createMemoryServer()
  const sources = createSources({
    sources: (options.sources ?? []).map((source) => identitySourceConfig.parse(source)),
    accounts,
    store: createSignInStore(place.storage),
    egress: createEgress(),
    audit,
    clock,
  })
  const mayEnter = ({ services }: { services: readonly string[] }): LoginDecision => {
    const effect = options.mayEnter?.(services) ?? 'allow'
    return { effect, winner: effect === 'deny' ? 'test-rule' : null, reason: 'a test', rules: [] }
  }
  const seal = createSeal(randomBytes(32))
  const ground = { audit, clock, log: SILENT, seal, csrfKey: randomBytes(32), publicUrl }
  const pages = createSignInPages({ ...ground, accounts, sessions, server, sources, loginPolicy: { mayEnter } })
  const answer = getRequestListener((request, { incoming }) => {
    const headers = new Headers(request.headers)
    headers.set(PEER_HEADER, incoming.socket.remoteAddress ?? '')
    return pages.fetch(new Request(request, { headers }))
  })
  const listener = createServer((req, res) => void answer(req, res))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const url = `http://localhost:${port}`
  reached.url ||= url
  const close = async (): Promise<void> => {
    listener.close()
    listener.closeAllConnections()
    await sources.close()
    await audit.close()
    await place.close()
  }
  return { url, accounts, sessions, server, sources, audit, clock, close, [Symbol.asyncDispose]: close }
}
