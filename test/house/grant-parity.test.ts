import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { openHouse } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession, toolNames } from './talk.ts'

/**
 * Grant parity: what is listed is what can be called, and nothing else, whoever asks and by whatever path. Every sample
 * is a real call to a running house; a few of those on the command line are processes of their own.
 */
const ADMIN = { userId: 'admin@example.com', keyId: null, face: 'cli' } as const
const SAMPLES = 10_000
const EPOCHS = 4
const AT_ONCE = 32
const GITHUB = ['create_issue', 'list_repos', 'delete_repo']
const ATLASSIAN = ['create_page', 'search', 'delete_page']
/** Names that nobody has: near ones, and tools in the names of their servers. */
const NOTHING = ['create_isue', 'nothing', 'github/search', 'search2']
const NAMES = [...GITHUB, ...ATLASSIAN, ...NOTHING]
const USERS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank']
const PATTERNS = ['github/*', 'atlassian/search', '*/create_*', 'github/list_repos', 'atlassian/*', 'tag:wiki', '*']
const PATHS = ['modern', 'legacy', 'rest', 'cli'] as const
type Path = (typeof PATHS)[number]
/** A command line costs ten times as much as a call, most of it its own words: one in ten. */
const OTHERS = ['modern', 'legacy', 'rest'] as const
const SAMPLED: readonly Path[] = [...PATHS, ...OTHERS, ...OTHERS]

const seed = Number(process.env['GATEHOUSE_TEST_SEED'] ?? Date.now() % 2_147_483_646)

/** Park and Miller's "minimal standard" generator: the same seed gives the same samples. */
function chooserFrom(start: number) {
  let at = start + 1
  return <T>(some: readonly T[]): T => {
    at = (at * 48_271) % 2_147_483_647
    const chosen = some[at % some.length]
    if (chosen === undefined) throw new Error('there is nothing to choose from')
    return chosen
  }
}

type Said = { readonly isCalled: boolean; readonly words: string }
type Caller = { list(path: Path): Promise<string[]>; call(path: Path, tool: string): Promise<Said> }

async function start() {
  const servers = await Promise.all(
    [GITHUB, ATLASSIAN].map((names) => startChangingServer(names.map((name) => ({ name, description: name })))),
  )
  onTestFinished(async () => void (await Promise.all(servers.map((server) => server.close()))))
  const [github, atlassian] = servers
  const house = await openHouse({
    toml: `
      [storage]
      durability = "process"

      [[servers]]
      name = "github"
      transport = "http"
      url = "${github?.url}"

      [[servers]]
      name = "atlassian"
      transport = "http"
      url = "${atlassian?.url}"
      tags = ["wiki"]

      [[gateways]]
      slug = "demo"
      access = "grants"
      tools = ["github/*", "atlassian/*"]
    `,
  })
  const callers = new Map(await Promise.all(USERS.map(async (user) => [user, await callerFor(house, user)] as const)))
  return { house, callers, servers }
}

type House = Awaited<ReturnType<typeof startHouse>>

/** One user by every path. On the command line it is the admin of the machine who acts for them. */
async function callerFor(house: House, user: string): Promise<Caller> {
  const key = await house.createKey({ user, gateway: 'demo' })
  const line = { url: gatewayUrl(house, 'demo'), key }
  const session = await openSession(line)
  const rest = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const response = await fetch(`${house.url}/api/v1/gateways/demo/${path}`, { ...init, headers })
    return { isOk: response.ok, words: `${response.status} ${await response.text()}` }
  }
  const cli = (...words: string[]) =>
    testCli({ cwd: house.dataDir })(...words, '--gateway', 'demo', '--user', user, '--data', house.dataDir, '--json')
  const named = (listing: unknown): string[] => Object(listing)['tools'].map(({ name }: { name: string }) => name)
  const lists: Record<Path, () => Promise<string[]>> = {
    modern: () => toolNames(line),
    legacy: async () => named((await session.ask('tools/list')).result),
    rest: async () => named(JSON.parse((await rest('tools')).words.slice('200 '.length))),
    cli: async () => named(JSON.parse((await cli('tools')).out)),
  }
  const calls: Record<Path, (tool: string) => Promise<Said>> = {
    modern: async (tool) => {
      const { error, status, message } = await callTool(line, tool)
      return { isCalled: error === undefined, words: JSON.stringify([status, { ...message, id: 0 }]) }
    },
    legacy: async (tool) => {
      const { error, status, message } = await session.call(tool)
      return { isCalled: error === undefined, words: JSON.stringify([status, { ...message, id: 0 }]) }
    },
    rest: async (tool) => {
      const { isOk, words } = await rest('call', { method: 'POST', body: JSON.stringify({ tool }) })
      return { isCalled: isOk, words }
    },
    cli: async (tool) => {
      const { code, out, err } = await cli('call', tool)
      return { isCalled: code === 0, words: JSON.stringify([code, out, err]) }
    },
  }
  return { list: (path) => lists[path](), call: (path, tool) => calls[path](tool) }
}

/** Other grants for everybody, and a rule that forbids somebody something. */
async function govern({ gatehouse: { policy } }: House, choose: ReturnType<typeof chooserFrom>): Promise<void> {
  for (const { id } of (await policy.listGrants({ limit: 100 })).grants) await policy.removeGrant(id, ADMIN)
  for (const id of USERS.slice(0, -1)) {
    const tools = [choose(PATTERNS), choose(PATTERNS)]
    await policy.addGrant({ subject: { kind: 'user', id }, gateway: 'demo', tools }, ADMIN)
  }
  const text = `@id("not-this") forbid(principal == User::"${choose(USERS)}", action, resource == Tool::"github/${choose(GITHUB)}");`
  const { version } = await policy.putPolicy({ text }, ADMIN)
  await policy.activatePolicy(version, ADMIN)
}

/** A refusal without what the caller sent and without what is another in every answer. */
function wordsAbout(tool: string, words: string): string {
  return words.replaceAll(tool, 'TOOL').replaceAll(/"(traceId|instance|requestId)":"[^"]*"/g, '"$1":""')
}

test('what is listed is what can be called, and a refusal never tells whether a tool exists', async () => {
  const { house, callers, servers } = await start()
  const choose = chooserFrom(seed)
  const wrong: string[] = []
  const refusals = new Map<Path, Set<string>>(PATHS.map((path) => [path, new Set()]))
  const counted = { called: 0, refused: 0 }
  const startedAt = performance.now()

  for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
    await govern(house, choose)
    const listed = new Map<string, readonly string[]>()
    for (const [user, caller] of callers)
      for (const path of PATHS) listed.set(`${user} ${path}`, await caller.list(path))
    const samples = Array.from(
      { length: SAMPLES / EPOCHS },
      () => [choose(USERS), choose(NAMES), choose(SAMPLED)] as const,
    )
    const lane = async (): Promise<void> => {
      for (let next = samples.pop(); next !== undefined; next = samples.pop()) {
        const [user, tool, path] = next
        const said = await callers.get(user)?.call(path, tool)
        const isListed = listed.get(`${user} ${path}`)?.includes(tool)
        if (said?.isCalled !== isListed) wrong.push(`${epoch}: ${path} ${user} ${tool}: ${said?.words}`)
        counted[said?.isCalled ? 'called' : 'refused'] += 1
        if (!said?.isCalled) refusals.get(path)?.add(wordsAbout(tool, said?.words ?? ''))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }

  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  console.log(`grant parity: ${JSON.stringify(counted)} in ${seconds} s; GATEHOUSE_TEST_SEED=${seed} makes them again`)
  const upstream = servers.flatMap(({ requests }) => requests.entries.filter(({ rpc }) => rpc === 'tools/call'))
  expect(wrong).toEqual([])
  expect([...refusals.values()].map((words) => [...words])).toEqual(PATHS.map(() => [expect.stringContaining('TOOL')]))
  expect(upstream.length).toBe(counted.called)
  expect(counted.called).toBeGreaterThan(SAMPLES / 10)
  expect(counted.refused).toBeGreaterThan(SAMPLES / 10)
}, 240_000)

test('the command line as a process of its own lists and calls the same', async () => {
  const { house } = await start()
  const { policy } = house.gatehouse
  await policy.addGrant(
    { subject: { kind: 'user', id: 'alice' }, gateway: 'demo', tools: ['github/list_repos'] },
    ADMIN,
  )
  const program = join(import.meta.dirname, '../../src/cli/main.ts')
  const run = (...words: string[]) =>
    promisify(execFile)(process.execPath, [
      program,
      ...words,
      '--gateway',
      'demo',
      '--user',
      'alice',
      '--data',
      house.dataDir,
    ])
  const refusal = (tool: string) =>
    run('call', tool).then(
      () => '',
      ({ stderr }: { stderr: string }) => stderr.replaceAll(tool, 'TOOL'),
    )

  const [listed, called, theirs, nobodys] = await Promise.all([
    run('tools', '--json'),
    run('call', 'list_repos'),
    refusal('search'),
    refusal('nothing'),
  ])

  expect(Object(JSON.parse(listed.stdout))['tools']).toMatchObject([{ name: 'list_repos' }])
  expect(called.stdout).toContain('list_repos was called')
  expect(theirs).toBe(nobodys)
  expect(theirs).toContain('TOOL')
}, 60_000)
