import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { forEachEngine } from '../../src/storage/testing.ts'
import type { McpFake } from '../fakes/serve-mcp.ts'
import { clientKinds, type ClientKind, type MatrixClient } from './matrix/clients.ts'
import { ATLASSIAN, GITHUB, startRig, WITHIN_MS, type Enrolled, type Rig } from './scorecard/rig.ts'
import { callTool, eventually, openSession, textOf, toolNames, type Line } from './talk.ts'

/**
 * The access-control scorecard: five tests that a gateway is given (separation, what goes in, what comes out, a change,
 * the way around), each with its gate (at the gateway whatever the client does; before the tool runs; absent from all
 * that is received; at once, with nothing restarted; found again, with the reason). Published servers and clients, on
 * one process with SQLite and on three with Postgres.
 */
const names = z.object({ tools: z.array(z.object({ name: z.string() })) })
const namesOf = (listed: JsonObject): string[] => names.parse(listed).tools.map(({ name }) => name)
const callsOf = (fake: McpFake): number => fake.requests.entries.filter(({ rpc }) => rpc === 'tools/call').length

/** What a client makes of it: the result, or the error in its own words. */
function outcomeOf(client: MatrixClient, name: string, args: JsonObject = {}): Promise<JsonObject> {
  return client.callTool(name, args).catch((error: unknown) => {
    const { code, message } = z.object({ code: z.json(), message: z.string() }).parse(error)
    return { error: { code, message } }
  })
}

forEachEngine((engine) => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig(engine)
  }, 60_000)
  afterAll(() => rig.close())

  /** One client of each kind at each replica. */
  async function connectAll({ lines, connect }: Enrolled): Promise<MatrixClient[]> {
    const wanted = lines.flatMap((line) => clientKinds.map((kind): [ClientKind, Line] => [kind, line]))
    const clients = await Promise.all(wanted.map(([kind, line]) => connect(kind, line)))
    onTestFinished(async () => void (await Promise.all(clients.map((client) => client.close()))))
    return clients
  }

  function allList({ lines }: Enrolled, wanted: readonly string[]) {
    return eventually(
      () => Promise.all(lines.map(toolNames)),
      (all) => all.every((listed) => JSON.stringify(listed) === JSON.stringify(wanted.toSorted())),
      WITHIN_MS,
    )
  }

  describe('1. two people, each with the tools of their own, on the same gateway', () => {
    let alice: Enrolled
    let bob: Enrolled
    beforeAll(async () => {
      alice = await rig.enrol('alice')
      bob = await rig.enrol('bob')
      await alice.grant('github/*', 'filesystem/read_text_file')
      await bob.grant('atlassian/*', 'memory/read_graph')
      await allList(alice, [...GITHUB, 'read_text_file'])
      await allList(bob, [...ATLASSIAN, 'read_graph'])
    })

    test('each real client of either sees and calls these and no others', async () => {
      const [hers, his] = [await connectAll(alice), await connectAll(bob)]

      const listed = await Promise.all(
        [...hers, ...his].map(async (client) => namesOf(await client.request('tools/list'))),
      )
      const called = await Promise.all(hers.map((client) => outcomeOf(client, 'create_issue')))
      const read = await Promise.all(
        hers.map((client) => outcomeOf(client, 'read_text_file', { path: join(rig.files, 'a.txt') })),
      )

      expect(listed).toEqual([
        ...hers.map(() => [...GITHUB, 'read_text_file'].toSorted()),
        ...his.map(() => [...ATLASSIAN, 'read_graph'].toSorted()),
      ])
      expect(called.map((result) => textOf({ result }))).toEqual(hers.map(() => 'create_issue was called'))
      expect(read.map((result) => textOf({ result }))).toEqual(hers.map(() => 'hello from a file'))
    })

    test('who knows the name of another tool hears of it what is said of one that does not exist', async () => {
      const his = await connectAll(bob)
      const before = callsOf(rig.github)

      const foreign = await Promise.all(his.map((client) => outcomeOf(client, 'create_issue', { title: 'mine' })))
      const unknown = await Promise.all(his.map((client) => outcomeOf(client, 'create_isxue', { title: 'mine' })))

      expect(JSON.stringify(foreign)).toBe(JSON.stringify(unknown).replaceAll('isxue', 'issue'))
      expect(foreign[0]).toMatchObject({ error: { message: expect.stringContaining('Unknown tool: "create_issue"') } })
      expect(callsOf(rig.github)).toBe(before)
    })

    test.each([
      { trick: 'says that he is she', headers: { 'gatehouse-user-id': 'alice' } },
      { trick: 'sends headers of a proxy', headers: { 'x-forwarded-user': 'alice', 'x-user-id': 'alice' } },
      { trick: 'names a tool of his own in the header', headers: { 'mcp-name': 'create_page' } },
    ])('at the gateway, whatever the client does: he $trick', async ({ headers }) => {
      const before = callsOf(rig.github)
      const lines = bob.lines.map((line) => ({ ...line, headers }))

      const heard = await Promise.all(lines.map((line) => callTool(line, 'create_issue')))

      expect(heard.map(({ text }) => text.includes('was called'))).toEqual(lines.map(() => false))
      expect(callsOf(rig.github)).toBe(before)
    })

    test.each(['github/create_issue', 'github__create_issue', 'github_create_issue', 'CREATE_ISSUE'])(
      'at the gateway, whatever the client does: he calls it %j',
      async (name) => {
        const before = callsOf(rig.github)

        const heard = await Promise.all(bob.lines.map((line) => callTool(line, name)))

        expect(heard.map(({ error }) => error?.message)).toEqual(bob.lines.map(() => `Unknown tool: "${name}"`))
        expect(callsOf(rig.github)).toBe(before)
      },
    )

    test('at the gateway, whatever the client does: he speaks in her session', async () => {
      const session = await openSession(alice.line)
      const before = callsOf(rig.github)

      const heard = await Promise.all(bob.lines.map((line) => session.call('create_issue', {}, line)))

      expect(heard.map(({ status }) => status)).toEqual(bob.lines.map(() => 404))
      expect(callsOf(rig.github)).toBe(before)
    })

    test('REST says the same', async () => {
      const call = (line: Line, tool: string) =>
        fetch(`${line.url.replace('/mcp/', '/api/v1/gateways/')}/call`, {
          method: 'POST',
          headers: { authorization: `Bearer ${line.key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ tool }),
        }).then(async (response) => `${response.status} ${await response.text()}`)

      const own = await Promise.all(bob.lines.map((line) => call(line, 'create_page')))
      const foreign = await Promise.all(bob.lines.map((line) => call(line, 'create_issue')))
      const unknown = await Promise.all(bob.lines.map((line) => call(line, 'create_isxue')))

      expect(own.map((text) => text.includes('create_page was called'))).toEqual(bob.lines.map(() => true))
      expect(foreign.map(anonymous)).toEqual(unknown.map((text) => anonymous(text.replaceAll('isxue', 'issue'))))
    })
  })
})

/** Without the trace id, which every answer has its own of. */
function anonymous(text: string): string {
  return text.replaceAll(/[0-9a-f]{32}/g, 'TRACE')
}
