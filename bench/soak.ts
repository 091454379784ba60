/**
 * `nice -n 10 node bench/soak.ts --minutes 30`: does the house grow? It is given mixed traffic at a low rate for a day
 * (or for as long as is said), and looked at every minute after a collection of garbage. The slope after the warm-up, by
 * least squares, says how it would go on. Everything is also in `bench/out/soak.json`.
 *
 * The traffic: calls and lists in both eras, to servers of both eras over HTTP and to a program, for fifty users;
 * sessions that are opened and left alone; a program that dies in every second call; refresh tokens that are swapped.
 *
 * A day in less: `--at-once 8 --rate 1000` takes as many turns as there is time for, and `--users 5000` fills what is
 * kept for each user. `--snapshots` lets the house come to rest after the warm-up and at the end, and compares what is
 * then on the heap, by kinds of objects.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { refresh, textOf, type Tokens } from '../test/house/oauth-client.ts'
import { callTool, openSession, toolNames, type Line } from '../test/house/talk.ts'
import { startChild } from './child.ts'
import { heapGrowth, type Growth } from './measure/heap-growth.ts'
import { round, slopeOf } from './numbers.ts'

const HOUR_MS = 3_600_000
/** Sessions end after a minute without a call (`children/soak-house.ts`), processes after half of one. */
const QUIET_MS = 110_000
/** Each has a process of their own, and so many may run at once. */
const USERS_OF_PROGRAM = 4
const MIB = 1_048_576

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1440' },
    rate: { type: 'string', default: '20' },
    'at-once': { type: 'string', default: '1' },
    users: { type: 'string', default: '50' },
    snapshots: { type: 'boolean', default: false },
    'sample-seconds': { type: 'string', default: '60' },
  },
})
const forMs = Number(values.minutes) * 60_000
const atOnce = Number(values['at-once'])
const users = Number(values.users)
const pauseMs = (1_000 * atOnce) / Number(values.rate)
const sampleMs = Number(values['sample-seconds']) * 1_000

const sample = z.object({
  rss: z.number(),
  heap: z.number(),
  handles: z.number(),
  files: z.number(),
  sockets: z.number(),
  sessions: z.number(),
  processes: z.number(),
})
type Sample = z.output<typeof sample> & { readonly atMs: number; readonly turns: number }
const addresses = z.object({ modern: z.string(), legacy: z.string() })
const opened = z.object({
  url: z.string(),
  key: z.string(),
  tokens: z.object({ clientId: z.string(), access: z.string(), refreshToken: z.string() }),
})

const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-soak-'))
const upstream = await startChild('upstream')
const house = await startChild('soak-house', { dataDir, ...(await upstream.ask('addresses', {}, addresses)) })
const { url, key, tokens } = await house.ask('open', {}, opened)

const began = performance.now()
const samples: Sample[] = []
const failures = new Map<string, number>()
let turns = 0
let isQuiet = false
/** Three servers have a tool `echo`, so the gateway gives each a name of its own, but for the first. */
const echoes: string[] = []
let latest: Tokens = tokens

/** The first third is the warm-up, an hour of it at the most. */
const warmMs = Math.min(forMs / 3, HOUR_MS)
const looking = look()
const growing = values.snapshots ? watchGrowth() : Promise.resolve([])
await Promise.all(Array.from({ length: atOnce }, takeTurns))
const growth = await growing
await looking
await report(growth)
await Promise.all([house.stop(), upstream.stop()])
await rm(dataDir, { recursive: true, force: true })

async function look(): Promise<void> {
  do {
    await wait(sampleMs)
    const taken = { ...(await house.ask('sample', {}, sample)), atMs: performance.now() - began, turns }
    samples.push(taken)
    console.log(lineOf(taken))
  } while (performance.now() - began + sampleMs < forMs)
}

async function takeTurns(): Promise<void> {
  while (performance.now() - began < forMs) {
    while (isQuiet) await wait(100)
    turns += 1
    const turn = takeTurn(turns).catch((error: unknown) => fail(error))
    await Promise.all([turn, wait(pauseMs)])
  }
}

/** What is left of the traffic once nobody calls and every session has ended: after the warm-up, and at the end. */
async function watchGrowth(): Promise<Growth[]> {
  const [before = '', after = ''] = ['before', 'after'].map((name) => join(dataDir, `${name}.heapsnapshot`))
  await wait(warmMs)
  await snapshotAtRest(before)
  await wait(Math.max(0, forMs - (performance.now() - began) - QUIET_MS))
  await snapshotAtRest(after)
  return (await heapGrowth(before, after)).slice(0, 40)
}

async function snapshotAtRest(file: string): Promise<void> {
  isQuiet = true
  await wait(QUIET_MS)
  await house.ask('snapshot', { file }, z.string())
  isQuiet = false
}

/** Nine kinds of turns, one after the other, for one user after the other. */
async function takeTurn(turn: number): Promise<void> {
  const line = lineOfUser(turn % users)
  const text = `turn ${turn}`
  switch (turn % 9) {
    case 0:
      return expectText((await callTool(line, await echoOf(line, 'modern'), { text })).text, text)
    case 1:
      return expectText((await (await openSession(line)).call(await echoOf(line, 'legacy'), { text })).text, text)
    case 2:
      return void (await openSession(line)) // and never closed
    case 3:
      return void (await (await openSession(line)).ask('tools/list'))
    case 4:
      return void (await toolNames(line))
    case 5:
      return expectText((await callTool(lineOfUser(turn % USERS_OF_PROGRAM), 'increment')).text, '"content"')
    case 6:
      return turn % 90 === 6 ? swapTokens() : expectText((await callTool(byToken(line), 'pid')).text, '"content"')
    case 7:
      if (turn % 90 === 7) await callTool(line, await echoOf(line, 'frail')) // dies in every second one
      return void (await callTool(line, await echoOf(line, 'modern')))
    default:
      return expectText((await callTool(line, 'no-such-tool')).text, 'no-such-tool')
  }
}

function lineOfUser(user: number): Line {
  return { url: `${url}/mcp/soak`, key, headers: { 'gatehouse-user-id': `user-${user}@example.com` } }
}

async function echoOf(line: Line, server: string): Promise<string> {
  if (echoes.length === 0) echoes.push(...(await toolNames(line)).filter((name) => name.endsWith('echo')))
  return echoes.find((name) => name.startsWith(server)) ?? 'echo'
}

function byToken({ url: at }: Line): Line {
  return { url: at, key: latest.access }
}

async function swapTokens(): Promise<void> {
  const { clientId } = latest
  const { status, body } = await refresh({ url } as Parameters<typeof refresh>[0], latest) // the one part it uses
  if (status !== 200) throw new Error(`refresh: ${status}`)
  latest = { clientId, access: textOf(body['access_token']), refreshToken: textOf(body['refresh_token']) }
}

function expectText(text: string, part: string): void {
  if (!text.includes(part)) throw new Error(`no ${part} in ${text.slice(0, 120)}`)
}

function fail(error: unknown): void {
  const reason = String(error).slice(0, 160)
  if (failures.size < 50 || failures.has(reason)) failures.set(reason, (failures.get(reason) ?? 0) + 1)
}

function lineOf({ atMs, rss, heap, handles, files, sockets, sessions, processes }: Sample): string {
  const sizes = `rss ${round(rss / MIB, 1)} MiB, heap ${round(heap / MIB, 1)} MiB`
  return `${round(atMs / 60_000, 1)} min, ${turns} turns: ${sizes}, ${handles} handles, ${files} files, ${sockets} sockets, ${sessions} sessions, ${processes} processes`
}

async function report(growth: readonly Growth[]): Promise<void> {
  const counted = samples.filter(({ atMs }) => atMs >= warmMs)
  const slope = (of: (one: Sample) => number): number => slopeOf(counted.map((one) => [one.atMs / HOUR_MS, of(one)]))
  const result = {
    minutes: (performance.now() - began) / 60_000,
    warmUpMinutes: warmMs / 60_000,
    turns,
    rssMibPerHour: slope(({ rss }) => rss / MIB),
    heapMibPerHour: slope(({ heap }) => heap / MIB),
    handlesPerHour: slope(({ handles }) => handles),
    socketsPerHour: slope(({ sockets }) => sockets),
    failures: Object.fromEntries(failures),
    growth,
    samples,
  }
  await mkdir(join(import.meta.dirname, 'out'), { recursive: true })
  await writeFile(join(import.meta.dirname, 'out/soak.json'), `${JSON.stringify(result, null, 2)}\n`)
  const { samples: _, ...told } = result
  console.log(JSON.stringify(told, null, 2))
}
