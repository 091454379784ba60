/** 2. What may not go in: a mock social-security number is stopped before any tool runs, in whatever dress it comes. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { ask, callTool, openSession, post, textOf, type Heard, type Line } from '../talk.ts'
import { callByRest, callsOf, connectAll, everythingWritten, findAgain, newTrace, outcomeOf } from './kit.ts'
import { at, type Enrolled, type Rig } from './rig.ts'

const SSN = '219-09-9999'
const BLOCKED = { isError: true, _meta: { 'io.gatehouse/problem': { code: 'content/blocked-input', rule: 'no-ssn' } } }

/** A number as a stranger might dress it, and where it might be put. */
const dresses: readonly [string, JsonObject][] = [
  ['in other words', { order: `the number of Ann is ${SSN}.` }],
  ['in full-width digits', { order: '２１９-０９-９９９９' }],
  ['in Arabic digits', { order: '٢١٩-٠٩-٩٩٩٩' }],
  ['with zero-width characters', { order: '2\u200b19-0\u200d9-99\u206099' }],
  ['with other dashes', { order: '219\u201109\u20139999' }],
  ['with no-break spaces', { order: '219\u00a009\u00a09999' }],
  ['percent-encoded', { order: 'x?ssn=%32%31%39%2D09%2D9999' }],
  ['as HTML', { order: '219&#45;09&#x2d;9999' }],
  ['as a name', { order: 'a', [SSN]: 1 }],
  ['deep inside', { order: 'a', more: [{ of: [{ it: SSN }] }] }],
  ['as JSON in a text', { order: JSON.stringify({ ssn: SSN }) }],
  ['as JSON in JSON', { order: JSON.stringify({ text: JSON.stringify(`ssn ${SSN}`) }) }],
]

export function input(rig: () => Rig): void {
  describe('2. a number that may not go in', () => {
    let cathy: Enrolled
    beforeAll(async () => {
      cathy = await rig().enrol('cathy')
      await cathy.grant('payments/*', 'leaky/*', 'memory/*', 'filesystem/*', 'everything/*')
      await callTool(cathy.line, 'lookup', { order: 'a' })
    })
    /** Refused by the rule, all of them, and without a word of what was found. */
    const expectBlocked = (heard: readonly Pick<Heard, 'result'>[]): void => {
      expect(heard.map(({ result }) => result)).toMatchObject(heard.map(() => BLOCKED))
      expect(JSON.stringify(heard)).not.toMatch(/219.{0,12}09/)
    }

    test('no real client gets it to any server, published ones included', async () => {
      const clients = await connectAll(cathy)
      const before = callsOf(rig().payments)
      const file = join(rig().files, 'blocked.txt')
      const entity = { name: 'Ann', entityType: 'person', observations: [`has ${SSN}`] }

      const refused = await Promise.all(
        clients.flatMap((client) => [
          outcomeOf(client, 'charge', { order: `order of ${SSN}` }),
          outcomeOf(client, 'create_entities', { entities: [entity] }),
          outcomeOf(client, 'write_file', { path: file, content: SSN }),
          outcomeOf(client, 'echo', { message: SSN }),
        ]),
      )

      expectBlocked(refused.map((result) => ({ result })))
      expect(callsOf(rig().payments)).toBe(before)
      expect(await readFile(rig().memory, 'utf8').catch(() => '')).not.toContain('Ann')
      expect(await readdir(rig().files)).not.toContain('blocked.txt')
    })

    test.each(dresses)('before the tool runs, whatever the client does: %s', async (_dress, args) => {
      const before = callsOf(rig().payments)

      const heard = await Promise.all(cathy.lines.map((line) => callTool(line, 'charge', args)))

      expectBlocked(heard)
      expect(callsOf(rig().payments)).toBe(before)
    })

    test('before the tool runs, whatever the client does: escaped in the message, said twice, in a batch', async () => {
      const before = callsOf(rig().payments)
      const escaped = String.raw`\u0032\u0031\u0039-09-9999`
      const call = (id: number, order: string) =>
        `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"charge","arguments":{${order}}}}`
      const say = async (line: Line, version: string, body: string) => {
        const { headers } = await openSession(line, version)
        return (await post(line, { headers, body })).text
      }

      const texts = await Promise.all(
        cathy.lines.flatMap((line) => [
          say(line, '2025-11-25', call(1, `"order":"${escaped}"`)),
          say(line, '2025-11-25', call(1, `"order":"a","order":"${SSN}"`)),
          say(line, '2025-03-26', `[${call(1, `"order":"${SSN}"`)},${call(2, `"order":"${escaped}"`)}]`),
        ]),
      )

      expect(texts.map((text) => text.match(/"content\/blocked-input"/g)?.length)).toEqual(
        cathy.lines.flatMap(() => [1, 1, 2]),
      )
      expect(callsOf(rig().payments)).toBe(before)
    })

    test('before the server hears of it, whatever the client asks for: in metadata, reading, following, completing', async () => {
      const { leaky } = rig()
      const asked = () => leaky.requests.entries.filter(({ rpc }) => !/list|discover|initialize/.test(rpc ?? '')).length
      const before = asked()
      const ref = { type: 'ref/resource', uri: 'leaky://keys/{name}' }

      const heard = await Promise.all(
        cathy.lines.flatMap((line) => [
          callTool(line, 'take', { text: 'a' }, { meta: { 'a.example/note': SSN } }),
          ask(line, 'resources/read', { uri: `leaky://keys/${SSN}` }),
          ask(line, 'completion/complete', { ref, argument: { name: 'name', value: SSN } }),
          openSession(line).then(({ ask: say }) => say('resources/subscribe', { uri: `leaky://keys/${SSN}` })),
        ]),
      )

      expect(heard.map(({ text }) => text.includes('no-ssn'))).toEqual(heard.map(() => true))
      expect(heard.map(({ text }) => text.includes(SSN))).toEqual(heard.map(() => false))
      expect(asked()).toBe(before)
      const { records } = await rig().first.api.searchAudit({ query: { user: 'cathy', server: 'leaky' } })
      expect(records.map(({ what, tool, decision }) => `${decision} ${what} ${tool}`).toSorted()).toEqual(
        cathy.lines
          .flatMap(() => [
            'denied tools/call take',
            'denied resources/read leaky://keys/{name}',
            'denied completion/complete leaky://keys/{name}',
            'denied resources/subscribe undefined',
          ])
          .toSorted(),
      )
    })

    test('REST refuses it too, and what is harmless passes', async () => {
      const before = callsOf(rig().payments)

      const refused = await Promise.all(cathy.lines.map((line) => callByRest(line, 'charge', { order: SSN })))
      const passed = await Promise.all(cathy.lines.map((line) => callTool(line, 'charge', { order: '219-O9' })))

      expect(refused.map((text) => text.includes('content/blocked-input'))).toEqual(refused.map(() => true))
      expect(passed.map((heard) => textOf(heard).startsWith('charged 219-O9'))).toEqual(passed.map(() => true))
      expect(callsOf(rig().payments)).toBe(before + passed.length)
    })

    test('it is logged: one record each, found by everything, with the rule and its version and not the number', async () => {
      const traces = cathy.lines.map(newTrace)
      await Promise.all(
        cathy.lines.map((line, index) => callTool(line, 'charge', { order: SSN }, { meta: at(traces, index).meta })),
      )

      const records = await Promise.all(traces.map(({ traceId }) => findAgain(rig(), traceId, 'CONTENT:no-SSN')))

      for (const record of records) {
        expect(record).toMatchObject({
          what: 'tools/call',
          decision: 'denied',
          userId: 'cathy',
          gateway: 'demo',
          server: 'payments',
          tool: 'charge',
          reason: expect.stringContaining('no-ssn'),
        })
        expect(record.extra).toMatchObject({
          rule: 'content:no-ssn',
          content: [
            { rule: 'no-ssn', id: 'file:no-ssn', effect: 'block', found: 1, version: expect.stringMatching(/^\w{8,}/) },
          ],
        })
      }
      expect(await everythingWritten(rig())).not.toContain(SSN)
    })
  })
}
