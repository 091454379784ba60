/** 1. Two people with different tools on one gateway: neither sees, calls, nor hears of what is the other's. */
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { callTool, openSession, post, textOf } from '../talk.ts'
import { allList, callByRest, callsOf, connectAll, findAgain, namesOf, newTrace, outcomeOf } from './kit.ts'
import { ATLASSIAN, at, GITHUB, type Enrolled, type Rig } from './rig.ts'

export function separation(rig: () => Rig): void {
  describe('1. two people, each with the tools of their own, on the same gateway', () => {
    let alice: Enrolled
    let bob: Enrolled
    let sessions: Awaited<ReturnType<typeof openSession>>[]
    beforeAll(async () => {
      alice = await rig().enrol('alice')
      bob = await rig().enrol('bob')
      await alice.grant('github/*', 'filesystem/read_text_file')
      await bob.grant('atlassian/*', 'memory/read_graph')
      await allList(alice, [...GITHUB, 'read_text_file'])
      await allList(bob, [...ATLASSIAN, 'read_graph'])
      sessions = await Promise.all(bob.lines.map((line) => openSession(line)))
    })

    test('each real client of either sees and calls these and no others', async () => {
      const [hers, his] = [await connectAll(alice), await connectAll(bob)]

      const listed = await Promise.all(
        [...hers, ...his].map(async (client) => namesOf(await client.request('tools/list'))),
      )
      const called = await Promise.all(hers.map((client) => outcomeOf(client, 'create_issue')))
      const read = await Promise.all(
        hers.map((client) => outcomeOf(client, 'read_text_file', { path: join(rig().files, 'a.txt') })),
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
      const before = callsOf(rig().github)

      const foreign = await Promise.all(his.map((client) => outcomeOf(client, 'create_issue', { title: 'mine' })))
      const unknown = await Promise.all(his.map((client) => outcomeOf(client, 'create_isxue', { title: 'mine' })))

      expect(JSON.stringify(foreign)).toBe(JSON.stringify(unknown).replaceAll('isxue', 'issue'))
      expect(foreign[0]).toMatchObject({ error: { message: expect.stringContaining('Unknown tool: "create_issue"') } })
      expect(callsOf(rig().github)).toBe(before)
    })

    test.each([
      { trick: 'says that he is she', headers: { 'gatehouse-user-id': 'alice' } },
      { trick: 'sends headers of a proxy', headers: { 'x-forwarded-user': 'alice', 'x-user-id': 'alice' } },
      { trick: 'names a tool of his own in the header', headers: { 'mcp-name': 'create_page' } },
    ])('at the gateway, whatever the client does: he $trick', async ({ headers }) => {
      const before = callsOf(rig().github)
      const lines = bob.lines.map((line) => ({ ...line, headers }))

      const heard = await Promise.all(lines.map((line) => callTool(line, 'create_issue')))

      expect(heard.map(({ text }) => text.includes('was called'))).toEqual(lines.map(() => false))
      expect(callsOf(rig().github)).toBe(before)
    })

    test.each([
      'github/create_issue',
      'github__create_issue',
      'github_create_issue',
      'CREATE_ISSUE',
      'Create_Issue',
      'create_issue ',
      ' create_issue',
      'create_issue\0',
      'create_issue/../create_issue',
      'create\u200b_issue',
      '\u0441reate_issue',
      '\uff43reate_issue',
      'create\uff3fissue',
      'cre\u0061\u0300te_issue',
    ])('at the gateway, whatever the client does: he calls it %j', async (name) => {
      const before = callsOf(rig().github)

      const heard = await Promise.all(sessions.map((session) => session.call(name)))

      expect(heard.map(({ error }) => error?.message)).toEqual(
        sessions.map(() => `Unknown tool: ${JSON.stringify(name)}`),
      )
      expect(callsOf(rig().github)).toBe(before)
    })

    test('at the gateway, whatever the client does: he hides it in a batch, or says a member twice', async () => {
      const before = callsOf(rig().github)
      const call = (id: number, name: string) =>
        `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"create_page","name":"${name}"}}`

      const texts = await Promise.all(
        bob.lines.map(async (line) => {
          const { headers } = await openSession(line, '2025-03-26')
          return (await post(line, { headers, body: `[${call(1, 'create_page')},${call(2, 'create_issue')}]` })).text
        }),
      )

      expect(texts.map((text) => text.includes('create_page was called'))).toEqual(texts.map(() => true))
      expect(texts.map((text) => text.includes('Unknown tool: \\"create_issue\\"'))).toEqual(texts.map(() => true))
      expect(callsOf(rig().github)).toBe(before)
    })

    test('it is logged that no rule allows it, and found by everything', async () => {
      const traces = bob.lines.map(newTrace)
      await Promise.all(
        bob.lines.map((line, index) => callTool(line, 'create_issue', {}, { meta: at(traces, index).meta })),
      )

      const records = await Promise.all(traces.map(({ traceId }) => findAgain(rig(), traceId, 'NO rule allows it')))

      const expected = { decision: 'denied', userId: 'bob', server: 'github', tool: 'create_issue' }
      expect(records).toMatchObject(
        records.map(() => ({ ...expected, extra: { rule: null, access: { effect: 'deny' } } })),
      )
    })

    test('at the gateway, whatever the client does: he speaks in her session', async () => {
      const session = await openSession(alice.line)
      const before = callsOf(rig().github)

      const heard = await Promise.all(bob.lines.map((line) => session.call('create_issue', {}, line)))

      expect(heard.map(({ status }) => status)).toEqual(bob.lines.map(() => 404))
      expect(callsOf(rig().github)).toBe(before)
    })

    test('REST says the same', async () => {
      const own = await Promise.all(bob.lines.map((line) => callByRest(line, 'create_page')))
      const foreign = await Promise.all(bob.lines.map((line) => callByRest(line, 'create_issue')))
      const unknown = await Promise.all(bob.lines.map((line) => callByRest(line, 'create_isxue')))

      expect(own.map((text) => text.includes('create_page was called'))).toEqual(bob.lines.map(() => true))
      expect(foreign.map(anonymous)).toEqual(unknown.map((text) => anonymous(text.replaceAll('isxue', 'issue'))))
    })
  })
}

/** Without the trace id, which every answer has its own of. */
function anonymous(text: string): string {
  return text.replaceAll(/[0-9a-f]{32}/g, 'TRACE')
}
