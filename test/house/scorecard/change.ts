/** 4. What somebody may do is changed: at once and everywhere, told to those it concerns, and nothing starts again. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { MatrixClient } from '../matrix/clients.ts'
import { callTool, eventually, textOf, type Heard } from '../talk.ts'
import { allList, connectAll, findAgain, namesOf, newTrace, outcomeOf } from './kit.ts'
import { ATLASSIAN, at, GITHUB, WITHIN_MS, type Enrolled, type Rig } from './rig.ts'

/** How long replicas may take that did not make the change themselves. */
const ELSEWHERE_MS = 1_000
const QUIET_MS = 400

export function change(rig: () => Rig): void {
  describe('4. a change of what somebody may do', () => {
    let erin: Enrolled
    let frank: Enrolled
    beforeAll(async () => {
      erin = await rig().enrol('erin')
      frank = await rig().enrol('frank')
      await erin.grant('github/list_repos')
      await frank.grant('atlassian/*')
      await allList(erin, ['list_repos'])
      await allList(frank, ATLASSIAN)
    })
    const isCalled = (heard: Heard) => textOf(heard) === 'create_issue was called'
    const isUnknown = (heard: Heard) => heard.error?.message === 'Unknown tool: "create_issue"'
    /** At the replica where the change was made the very next call is judged by it; at the others soon. */
    const expectEverywhere = async (is: (heard: Heard) => boolean): Promise<void> => {
      const [here, ...others] = erin.lines
      expect(here && is(await callTool(here, 'create_issue'))).toBe(true)
      await Promise.all(others.map((line) => eventually(() => callTool(line, 'create_issue'), is, ELSEWHERE_MS)))
    }
    const openings = () =>
      rig().github.requests.entries.filter(({ rpc }) => rpc === 'initialize' || rpc === 'tools/list').length

    test('a grant and its end hold at once on every replica; real clients of both eras are told once, the others never', async () => {
      const [hers, his] = [await connectAll(erin), await connectAll(frank)]
      await Promise.all([...hers, ...his].map((client) => client.listen()))
      await Promise.all(hers.map((client) => client.callTool('list_repos')))
      const before = openings()
      const pids = rig().replicas.map(({ pid }) => pid)

      const id = await erin.grant('github/create_issue')
      await expectEverywhere(isCalled)
      await allTold(hers, 1)
      const listed = await Promise.all(hers.map(async (client) => namesOf(await client.request('tools/list'))))
      const called = await Promise.all(hers.map((client) => client.callTool('create_issue')))
      await rig().first.api.removeGrant({ params: { id } })
      await expectEverywhere(isUnknown)
      await allTold(hers, 2)
      const refused = await Promise.all(hers.map((client) => outcomeOf(client, 'create_issue')))
      // Nothing more may come.
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS))

      expect(listed).toEqual(hers.map(() => GITHUB))
      expect(called.map((result) => textOf({ result }))).toEqual(hers.map(() => 'create_issue was called'))
      expect(refused.map((one) => JSON.stringify(one).includes('Unknown tool'))).toEqual(hers.map(() => true))
      expect([timesTold(hers), timesTold(his)]).toEqual([hers.map(() => 2), his.map(() => 0)])
      expect(openings()).toBe(before)
      expect(pids.map((pid) => process.kill(pid, 0))).toEqual(pids.map(() => true))
      await allList(frank, ATLASSIAN)
    })

    test('a rule that is put in force and rolled back does the same, and each refusal names it and its version', async () => {
      const { api } = rig().first
      const clients = await connectAll(erin)
      await Promise.all(clients.map((client) => client.listen()))
      await erin.grant('github/create_issue')
      await allTold(clients, 1)
      const text =
        '@id("erin-looks-only")\nforbid(principal == User::"erin", action, resource == Tool::"github/create_issue");'
      const { version } = await api.putPolicy({ body: { text, note: 'she looks' } })

      await api.activatePolicy({ body: { version } })
      await expectEverywhere(isUnknown)
      await allTold(clients, 2)
      const traces = erin.lines.map(newTrace)
      await Promise.all(
        erin.lines.map((line, index) => callTool(line, 'create_issue', {}, { meta: at(traces, index).meta })),
      )
      const records = await Promise.all(traces.map(({ traceId }) => findAgain(rig(), traceId, 'ERIN-looks')))
      const why = await api.explainPolicy({ body: { user: 'erin', gateway: 'demo', name: 'create_issue' } })
      await api.rollbackPolicy()
      await expectEverywhere(isCalled)

      for (const record of records) {
        expect(record).toMatchObject({ decision: 'denied', userId: 'erin', server: 'github', tool: 'create_issue' })
        expect(record.extra).toMatchObject({
          rule: 'erin-looks-only',
          access: { effect: 'deny', rules: ['erin-looks-only'] },
          policyVersion: `v${version}`,
        })
      }
      const byVersion = await api.searchAudit({ query: { policyVersion: `v${version}`, decision: 'denied' } })
      expect(byVersion.records).toEqual(expect.arrayContaining(records))
      expect(why).toMatchObject({ effect: 'deny', deciding: [{ id: 'erin-looks-only' }] })
      await allTold(clients, 3)
    })

    test('every change is logged, with who made it', async () => {
      const { api } = rig().first
      const of = async (what: string) => (await api.searchAudit({ query: { what, text: 'erin' } })).records.length

      expect([await of('grant.added'), await of('grant.removed')]).toEqual([3, 1])
      const { records } = await api.searchAudit({ query: { what: 'policy.activated' } })
      expect(records).toMatchObject([{ decision: 'allowed', userId: 'admin', face: 'cli' }])
    })
  })
}

/** Resolves when each has heard of so many changes, and fails when one hears of more or not in time. */
function allTold(clients: readonly MatrixClient[], times: number) {
  return eventually(
    () => timesTold(clients),
    (all) => all.every((told) => told === times),
    WITHIN_MS,
  )
}

function timesTold(clients: readonly MatrixClient[]): number[] {
  return clients.map(
    ({ heard }) => heard.entries.filter(({ method }) => method === 'notifications/tools/list_changed').length,
  )
}
