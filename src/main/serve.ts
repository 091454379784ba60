import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import { createGatewayFace, type GatewayFace } from '#gateway'
import { PEER_HEADER } from '#http'
import { Problem } from '#kernel'
import { gatewayAddressPage } from '#signin'
import { claimDataDir, type Claim } from './claim.ts'
import { watchHouse } from './gauges.ts'
import { openGatehouse, type Gatehouse, type OpenOptions } from './open.ts'
import { requirePort } from './port.ts'
import { ALREADY_RUNNING } from './problems.ts'
import { readRunning, removeRunning, writeRunning } from './running.ts'
import { HOUSE } from './version.ts'

/** A house that listens. */
export type RunningGatehouse = Gatehouse & {
  /** The listening address as a URL, with the port that was really taken. */
  readonly url: string
  readonly publicUrl: string
  /** Lets nobody new in, and waits until the calls that run have ended, or for so long. Then `close`. */
  drain(patienceMs: number): Promise<void>
}

/** Opens the house and listens. Refuses while another process serves this data directory; waits for one that closes. */
export async function serve(options: OpenOptions): Promise<RunningGatehouse> {
  const claim = await claimOrRefuse(options.dataDir)
  try {
    return await serveClaimed(options, claim)
  } catch (error) {
    claim[Symbol.dispose]()
    throw error
  }
}

/** A house that closes no longer answers, and is gone in a moment. */
const CLOSING_MS = 15_000

async function claimOrRefuse(dataDir: string): Promise<Claim> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const claim =
    (await claimDataDir(dataDir, 0)) ?? ((await readRunning(dataDir)) ? null : await claimDataDir(dataDir, CLOSING_MS))
  if (claim !== null) return claim
  const other = await readRunning(dataDir)
  const where = other === null ? '' : `, at ${other.url} (pid ${other.pid})`
  throw new Problem(
    ALREADY_RUNNING,
    `A Gatehouse already runs with the data in ${dataDir}${where}. Stop it first, or use another --data.`,
  )
}

async function serveClaimed(options: OpenOptions, claim: Claim): Promise<RunningGatehouse> {
  const { dataDir, config } = options
  // Before anything is opened: opening may migrate a database that another version still uses.
  await requirePort(config.server.listen)
  const gatehouse = await openGatehouse(options)
  const reached = { publicUrl: config.server.public_url ?? '' }
  const face = createGatewayFace({
    ...gatehouse,
    house: HOUSE,
    publicUrl: () => reached.publicUrl,
    allowedOrigins: config.server.allowed_origins,
    replica: { ...gatehouse.replicas, ownerOf: (state) => gatehouse.tools.ownerOf(state) },
    limits: {
      bodyBytes: config.limits.max_request_bytes,
      bodyDepth: config.limits.max_request_depth,
      sessionIdleMs: config.limits.session_idle_ms,
      sessionsTotal: config.limits.max_sessions,
      // Nobody may push out everybody.
      sessionsPerKey: Math.ceil(config.limits.max_sessions / 2),
      resumeMs: config.limits.resume_ms,
      silenceMs: config.limits.stream_after_ms,
    },
  })
  watchHouse(gatehouse.metrics, { ...gatehouse, face })
  const state = { isDraining: false }
  const handle = route(gatehouse, face, () => reached.publicUrl.replace(/\/$/, ''))
  const server = createServer(receiving(config.limits.receive_ms), (req, res) => {
    // So that a client's next request goes to a house that stays.
    if (state.isDraining) res.shouldKeepAlive = false
    handle(req, res)
  })
  try {
    const url = await listen(server, config.server.listen)
    reached.publicUrl ||= url
    await gatehouse.reachedAt(url)
    await writeRunning(dataDir, { pid: process.pid, url, publicUrl: reached.publicUrl })
    return {
      ...gatehouse,
      url,
      publicUrl: reached.publicUrl,
      drain: async (patienceMs) => {
        state.isDraining = true
        server.close()
        await gatehouse.tools.landed(AbortSignal.timeout(patienceMs))
      },
      close: () => closeAll({ server, face, gatehouse, dataDir, claim }),
    }
  } catch (error) {
    await gatehouse.close()
    throw error
  }
}

/** MCP goes the straight way; everything else is the API's. */
function route(
  gatehouse: Gatehouse,
  face: GatewayFace,
  publicUrl: () => string,
): (req: IncomingMessage, res: ServerResponse) => void {
  const api = getRequestListener((request, { incoming }) =>
    gatehouse.fetch(withPeer(request, gatehouse.addressOf(incoming))),
  )
  return (req, res) => {
    const slug = slugOf(req.url ?? '/')
    if (slug === null && gatehouse.oauth.takes(req.url ?? '/')) void gatehouse.oauth.handle(req, res)
    else if (slug === null) void api(req, res)
    else if (ADDRESS.test(slug) && isVisit(req)) void showAddress(res, `${publicUrl()}/mcp/${slug}`)
    else void face.handle(req, res, slug)
  }
}

const ADDRESS = /^[\w-]{1,64}$/

/** Somebody opened the address of a gateway in a browser; no client of MCP asks for a page. */
function isVisit({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.authorization === undefined && /\btext\/html\b/.test(headers.accept ?? '')
}

async function showAddress(res: ServerResponse, url: string): Promise<void> {
  const { headers, body } = await gatewayAddressPage(url)
  res.writeHead(200, headers).end(body)
}

/** The gateway in `/mcp/{slug}`, or null for every other path. */
function slugOf(path: string): string | null {
  if (!path.startsWith('/mcp/')) return null
  const end = path.search(/[?#]/)
  const slug = path.slice('/mcp/'.length, end < 0 ? undefined : end).replace(/\/$/, '')
  return slug.includes('/') ? null : slug
}

/** Tells the API where a request came from, in a header that nobody outside can set. */
function withPeer(request: Request, address: string): Request {
  const headers = new Headers(request.headers)
  headers.set(PEER_HEADER, address)
  return new Request(request, { headers })
}

/** How long a request may take to arrive, head and body; its answer may last as long as it likes. */
function receiving(receiveMs: number): ServerOptions {
  return {
    headersTimeout: Math.min(receiveMs, 20_000),
    requestTimeout: receiveMs,
    connectionsCheckingInterval: Math.min(receiveMs, 5_000),
  }
}

async function listen(server: Server, at: { host: string; port: number }): Promise<string> {
  server.keepAliveTimeout = 65_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`could not listen on ${at.host}:${at.port}`, { cause: error })))
    server.listen(at.port, at.host, resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : at.port
  return `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`
}

const FINISH_MS = 1_000

/** What was said last still has to leave; a connection that has nothing to say is ended. */
async function finishAnswers(server: Server): Promise<void> {
  const until = performance.now() + FINISH_MS
  for (;;) {
    server.closeIdleConnections()
    if ((await countConnections(server)) === 0 || performance.now() > until) return
    await pause(10)
  }
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)))
}

async function closeAll(parts: {
  server: Server
  face: GatewayFace
  gatehouse: Gatehouse
  dataDir: string
  claim: Claim
}): Promise<void> {
  using _ = parts.claim
  parts.server.close()
  await parts.face.close()
  await finishAnswers(parts.server)
  parts.server.closeAllConnections()
  await parts.gatehouse.close()
  await removeRunning(parts.dataDir)
}
