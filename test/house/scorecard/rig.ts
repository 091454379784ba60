/**
 * What the scorecard is played on: published MCP servers, and stand-ins for other people's services, behind one gateway
 * in one process on SQLite or in three on one Postgres. All goes over the wire, as operators and users would do it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { clientOf } from '../../../src/cli/reach.ts'
import { createTestPlace, type TestEngine } from '../../../src/storage/testing.ts'
import { startChangingServer } from '../../fakes/changing-server.ts'
import { startLeakyServer } from '../../fakes/leaky-server.ts'
import { createIdentityCheck } from '../../fakes/identity-check.ts'
import { startSideEffectServer } from '../../fakes/side-effect-server.ts'
import { startStrictUpstream } from '../../fakes/strict-upstream.ts'
import { connect, type ClientKind, type ConnectOptions } from '../matrix/clients.ts'
import { startHouseProcess, type HouseProcess } from '../start-house-process.ts'
import { ask, eventually, gatewayUrl, type Line } from '../talk.ts'

export const GITHUB = ['create_issue', 'list_repos']
export const ATLASSIAN = ['create_page', 'search_pages']
/** What the guarded server wants of its callers. Only the gateway has it. */
export const UPSTREAM_TOKEN = 'held-by-the-gateway-only'
/** How long a change may take until every replica and every client knows. */
export const WITHIN_MS = 2_000

export type Replica = HouseProcess & { readonly api: ReturnType<typeof clientOf>; readonly dataDir: string }
export type Rig = Awaited<ReturnType<typeof startRig>>

export async function startRig(engine: TestEngine) {
  const cleanUp = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-scorecard-'))
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }))
  const place = cleanUp.use(await createTestPlace(engine))
  const upstreams = await startUpstreams(cleanUp)
  const files = join(directory, 'files')
  await mkdir(files)
  await writeFile(join(files, 'a.txt'), 'hello from a file')
  const memory = join(directory, 'memory.json')
  const toml = tomlFor(upstreams, { files, memory })
  const start = (name: string, publicUrl?: string) =>
    startReplica(cleanUp, {
      toml,
      dataDir: join(directory, name),
      storageUrl: place.url,
      ...(publicUrl === undefined ? {} : { publicUrl }),
    })
  const first = await start('a') // alone, as it makes the tables
  upstreams.strict.trust(createIdentityCheck({ issuer: first.url, audience: upstreams.strict.url }))
  const others = engine === 'postgres' ? ['b', 'c'] : []
  const replicas = [first, ...(await Promise.all(others.map((name) => start(name, first.url))))]
  await first.api.checkServer({ params: { name: 'strict' } })
  return {
    ...upstreams,
    replicas,
    first,
    files,
    memory,
    enrol: (user: string) => enrol(replicas, user),
    close: () => cleanUp.disposeAsync(),
  }
}

async function startUpstreams(cleanUp: AsyncDisposableStack) {
  const described = (names: readonly string[]) => names.map((name) => ({ name, description: `Does ${name}.` }))
  const [github, atlassian, guarded, payments, leaky] = await Promise.all([
    startChangingServer(described(GITHUB)),
    startChangingServer(described(ATLASSIAN)),
    startChangingServer(described(['read_payroll']), { token: UPSTREAM_TOKEN }),
    startSideEffectServer(),
    startLeakyServer(),
  ])
  const strict = await startStrictUpstream('modern')
  for (const fake of [github, atlassian, guarded, payments, leaky, strict]) cleanUp.use(fake)
  return { github, atlassian, guarded, payments, leaky, strict }
}

async function startReplica(
  cleanUp: AsyncDisposableStack,
  options: Parameters<typeof startHouseProcess>[0],
): Promise<Replica> {
  await mkdir(options.dataDir)
  const house = await startHouseProcess(options)
  cleanUp.defer(() => house.stop())
  const api = clientOf({ ...house, fetch: (request) => fetch(request) })
  return { ...house, api, dataDir: options.dataDir }
}

type Upstreams = Awaited<ReturnType<typeof startUpstreams>>
/** What these get with every request, and may demand. */
const MORE: Readonly<Record<string, string>> = {
  guarded: `headers = { authorization = "Bearer ${UPSTREAM_TOKEN}" }`,
  payments: 'identity_token = true',
  strict: 'identity_token = true',
}

function tomlFor(upstreams: Upstreams, { files, memory }: { files: string; memory: string }): string {
  const http = Object.entries(upstreams).map(([name, { url }]) => {
    return `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n${MORE[name] ?? ''}`
  })
  return [
    ...http,
    program('everything', ['stdio']),
    program('filesystem', [files]),
    `${program('memory')}\nenv = { MEMORY_FILE_PATH = "${memory}" }`,
    '[[gateways]]\nslug = "demo"\naccess = "grants"\ntools = ["*"]',
    '[[content_rules]]\nname = "no-ssn"\nphase = "input"\ndetect = ["ssn"]\neffect = "block"',
    '[[content_rules]]\nname = "no-keys"\nphase = "output"\ndetect = ["secrets"]\neffect = "redact"',
    // One field by name, at the published servers.
    '[[content_rules]]\nname = "no-notes"\nphase = "output"\ntools = ["memory/*"]\npath = "$..observations[*]"\neffect = "redact"',
    '[[content_rules]]\nname = "no-weather"\nphase = "output"\ntools = ["everything/*"]\npath = "$.conditions"\neffect = "redact"',
  ].join('\n')
}

function program(name: string, args: readonly string[] = []): string {
  const manifest = createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${name}/package.json`)
  const command = JSON.stringify([process.execPath, join(dirname(manifest), 'dist/index.js'), ...args])
  return `[[servers]]\nname = "${name}"\ntransport = "stdio"\nisolation = "shared"\nmax_processes = 1\ncommand = ${command}`
}

/** A person with a key, known at every replica. */
async function enrol(replicas: readonly Replica[], user: string) {
  const { api } = at(replicas, 0)
  const { key } = await api.createKey({ body: { userId: user, gateways: ['demo'] } })
  const lines = replicas.map((replica): Line => ({ url: gatewayUrl(replica, 'demo'), key }))
  await eventually(
    () => Promise.all(lines.map((line) => ask(line, 'tools/list'))),
    (all) => all.every(({ status }) => status === 200),
  )
  const grant = async (...tools: string[]) => {
    const { grant: made } = await api.addGrant({
      body: { subject: { kind: 'user', id: user }, gateway: 'demo', tools },
    })
    return made.id
  }
  const connectAs = (kind: ClientKind, line: Line, options: Partial<ConnectOptions> = {}) =>
    connect(kind, { url: line.url, headers: { authorization: `Bearer ${key}` }, ...options })
  return { user, key, lines, line: at(lines, 0), grant, connect: connectAs }
}
export type Enrolled = Awaited<ReturnType<typeof enrol>>

export function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new Error(`there are only ${items.length}`)
  return item
}
