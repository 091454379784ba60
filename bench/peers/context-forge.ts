import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { findPeer, freePort, startPeer, type Peer } from './process.ts'

const ADMIN = 'admin@example.com'
const made = z.object({ id: z.string() })
const tools = z.array(z.object({ id: z.string(), name: z.string() })).min(1)

/** ContextForge (PyPI `mcp-contextforge-gateway`), as it comes: one process, SQLite, tokens and roles checked. */
export async function startContextForge(upstream: string): Promise<Peer | null> {
  const program = findPeer('contextforge', 'mcpgateway')
  if (program === null) return null
  const cwd = await mkdtemp(join(tmpdir(), 'gatehouse-peer-'))
  const secret = randomBytes(32).toString('hex')
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  const command = [program, '--host', '127.0.0.1', '--port', String(port)] as const
  const peer = await startPeer(command, { url: `${base}/health`, cwd, env: settings(cwd, secret) })
  const key = adminToken(secret)
  const { server, tool } = await register({ base, key, upstream })
  return {
    name: 'ContextForge',
    target: { url: `${base}/servers/${server}/mcp`, era: 'legacy', key, tool },
    hasSessions: false,
    cpuMicros: peer.cpuMicros,
    stop: async () => {
      await peer.stop()
      await rm(cwd, { recursive: true, force: true })
    },
  }
}

/** The defaults, but for what lets it reach an upstream on this machine, quiet logs, and its rate limit (100 calls a minute) out of the way. */
function settings(cwd: string, secret: string): Record<string, string> {
  return {
    DATABASE_URL: `sqlite:///${join(cwd, 'mcp.db')}`,
    JWT_SECRET_KEY: secret,
    AUTH_ENCRYPTION_SECRET: secret,
    PLATFORM_ADMIN_EMAIL: ADMIN,
    PLATFORM_ADMIN_PASSWORD: `Aa1!${secret}`,
    LOG_LEVEL: 'ERROR',
    RATE_LIMITING_ENABLED: 'false',
    SSRF_ALLOW_LOCALHOST: 'true',
    SSRF_ALLOW_PRIVATE_NETWORKS: 'true',
  }
}

/** What its own tool for tokens makes. */
function adminToken(secret: string): string {
  const now = Math.floor(Date.now() / 1_000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const user = { email: ADMIN, full_name: 'Admin', is_admin: true, auth_provider: 'local' }
  const claims = { sub: ADMIN, username: ADMIN, iat: now, exp: now + 86_400, jti: randomUUID(), user, teams: null }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, iss: 'mcpgateway', aud: 'mcpgateway-api' })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

async function register(at: {
  base: string
  key: string
  upstream: string
}): Promise<{ server: string; tool: string }> {
  await ask(at, '/gateways', { name: 'up', url: at.upstream, transport: 'STREAMABLEHTTP' }, made)
  const [tool] = await ask(at, '/tools', undefined, tools)
  const wish = { server: { name: 'bench', associated_tools: [tool?.id] } }
  const { id } = await ask(at, '/servers', wish, made)
  return { server: id, tool: tool?.name ?? '' }
}

async function ask<Reply>(
  { base, key }: { base: string; key: string },
  path: string,
  body: object | undefined,
  reply: z.ZodType<Reply>,
): Promise<Reply> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const sent = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  const response = await fetch(base + path, sent)
  if (!response.ok) throw new Error(`ContextForge answered ${path} with ${response.status}: ${await response.text()}`)
  return reply.parse(await response.json())
}
