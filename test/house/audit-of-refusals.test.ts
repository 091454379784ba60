import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { expect, test } from 'vitest'
import { clientOf } from '../../src/cli/reach.ts'
import { createTestPlace, forEachEngine, type TestPlace } from '../../src/storage/testing.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { startHouseProcess } from './start-house-process.ts'
import { callTool, eventually, toolNames, type Line } from './talk.ts'

/** Every way in which a call can be refused, under load: each attempt leaves one record, whatever becomes of the house. */
const LANES = 12
const BREAK_AT = 120
const KILL_AT = 360

type Kind = 'allowed' | 'not granted' | 'unknown' | 'forbidden' | 'blocked' | 'held'

/** What is called, and what its record must say. */
const kinds: Readonly<Record<Kind, { tool: string; order: string; decision: string; rule?: string | null }>> = {
  allowed: { tool: 'lookup', order: 'a', decision: 'allowed' },
  'not granted': { tool: 'create_issue', order: 'a', decision: 'denied', rule: null },
  unknown: { tool: 'nothing', order: 'a', decision: 'denied' },
  forbidden: { tool: 'lookup', order: 'secret', decision: 'denied', rule: 'no-secrets' },
  blocked: { tool: 'lookup', order: '219-09-9999', decision: 'denied', rule: 'content:no-ssn' },
  held: { tool: 'charge', order: 'a', decision: 'denied' },
}
const KINDS: readonly Kind[] = ['allowed', 'not granted', 'unknown', 'forbidden', 'blocked', 'held']
const RULE = `@id("no-secrets") forbid(principal, action, resource == Tool::"effects/lookup")
  when { context.args.hasTag("order") && context.args.getTag("order") like "secret*" };`

function tomlFor(effects: { url: string }, github: { url: string }): string {
  return `
    [audit]
    on_store_failure = "spool"

    [approvals]
    wait_ms = 0

    [[servers]]
    name = "effects"
    transport = "http"
    url = "${effects.url}"

    [[servers]]
    name = "github"
    transport = "http"
    url = "${github.url}"

    [[gateways]]
    slug = "demo"
    tools = ["*"]
    access = "grants"
    approve = ["destructive"]

    [[content_rules]]
    name = "no-ssn"
    phase = "input"
    detect = ["ssn"]
    effect = "block"
  `
}

type Attempt = { readonly kind: Kind; readonly traceId: string }

/** Attempts of all kinds in turn, on some lanes, until nothing answers any more; returns those that were answered. */
async function attemptUntilItFails(line: Line, onAnswered: (count: number) => void): Promise<Attempt[]> {
  const answered: Attempt[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (;;) {
      const number = (next += 1)
      const kind = KINDS[number % KINDS.length] ?? 'allowed'
      const { tool, order } = kinds[kind]
      const traceId = randomBytes(16).toString('hex')
      const meta = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` }
      // The same call again would be the same approval.
      const heard = await callTool(line, tool, { order: `${order} of ${number}` }, { meta }).catch(() => null)
      if (heard === null) return
      answered.push({ kind, traceId })
      onAnswered(answered.length)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return answered
}

/** As somebody with the database at hand would do it. */
async function onDatabase(place: TestPlace, statement: string): Promise<void> {
  if (place.engine === 'sqlite') {
    using database = new DatabaseSync(place.url.slice('sqlite:'.length), { timeout: 5_000 })
    return database.exec(statement)
  }
  const client = new pg.Client({ connectionString: place.url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

async function callRecords(house: TestHouse) {
  const found = []
  let cursor: string | undefined
  do {
    const page = await house.gatehouse.audit.search({ what: 'tools/call' }, { cursor, limit: 1_000 })
    found.push(...page.records)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return found
}

forEachEngine((engine) => {
  test('each has exactly one record with its reason, through an outage of the store and kill -9', async () => {
    await using effects = await startSideEffectServer()
    await using github = await startChangingServer([{ name: 'create_issue', description: 'Not for her.' }])
    await using place = await createTestPlace(engine)
    const toml = tomlFor(effects, github)
    const child = await startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const api = clientOf({ ...child, fetch: (request) => fetch(request) })
    const { key } = await api.createKey({ body: { userId: 'alice', gateways: ['demo'] } })
    const subject = { kind: 'user', id: 'alice' } as const
    await api.addGrant({ body: { subject, gateway: 'demo', tools: ['effects/*'] } })
    const { version } = await api.putPolicy({ body: { text: RULE, note: null } })
    await api.activatePolicy({ body: { version } })
    const line = { url: `${child.url}/mcp/demo`, key }
    await eventually(
      () => toolNames(line),
      (names) => names.length === 2,
    )

    const outage: Promise<void>[] = []
    const answered = await attemptUntilItFails(line, (count) => {
      if (count === BREAK_AT) outage.push(onDatabase(place, 'alter table audit_record rename to audit_record_away'))
      if (count === KILL_AT) void child.kill()
    })
    await child.kill()
    await Promise.all(outage)
    const spooled = await readFile(join(place.dataDir, 'audit-spool.jsonl'), 'utf8')
    await onDatabase(place, 'alter table audit_record_away rename to audit_record')
    await using house = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
    await eventually(
      () => house.gatehouse.audit.state().writesTo,
      (writesTo) => writesTo === 'store',
    )

    const records = Map.groupBy(await callRecords(house), ({ traceId }) => traceId)
    expect(answered.length).toBeGreaterThanOrEqual(KILL_AT)
    expect(spooled.trim().split('\n').length).toBeGreaterThan(50)
    expect([...records].filter(([, { length }]) => length !== 1)).toEqual([])
    const told = answered.map(({ kind, traceId }) => {
      const { decision, extra } = records.get(traceId)?.[0] ?? {}
      return { kind, decision, rule: kinds[kind].rule === undefined ? undefined : extra?.['rule'] }
    })
    expect(told).toEqual(answered.map(({ kind }) => ({ kind, decision: kinds[kind].decision, rule: kinds[kind].rule })))
    expect(effects.executions.entries.filter(({ tool }) => tool === 'charge')).toEqual([])
    expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true, problem: null })
  })
})
