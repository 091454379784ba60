import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditRecord } from '../../src/audit/index.ts'
import type { ReplayReply } from '../../src/policy/ask/schema.ts'
import { createTestPlace, forEachEngine, type TestPlace } from '../../src/storage/testing.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, toolNames } from './talk.ts'

/**
 * Replay is right when it names exactly the calls that really end otherwise once the rules are in force: so all calls are
 * made before, replayed against rules that are not in force, and made again under each of them.
 */
const TOOLS = {
  github: ['create_issue', 'delete_repo', 'get_file', 'list_repos'],
  atlassian: ['create_page', 'delete_page', 'search'],
} as const
const GATEWAYS = ['granted', 'open'] as const
const USERS = ['ann', 'ben', 'cleo', 'dan', 'eve'] as const

const CANDIDATES = [
  { name: 'forbids a group', text: 'forbid(principal in Group::"support", action, resource in Server::"github");' },
  {
    name: 'forbids by name and kind, allows one more',
    text: `@id("x") forbid(principal, action == Action::"call", resource) when { resource.name like "delete_*" };
      @id("y") permit(principal == User::"dan", action, resource in Gateway::"granted") when { resource.server == "atlassian" };`,
  },
  {
    name: 'looks at who they are and how they come',
    text: `forbid(principal in Role::"guest", action, resource) unless { resource.name == "search" };
      forbid(principal, action, resource == Tool::"atlassian/create_page") when { context.face == "mcp" };`,
  },
  { name: 'says nothing to any of them', text: 'forbid(principal == User::"zoe", action, resource);' },
] as const
const BY_ARGUMENTS = `forbid(principal, action, resource == Tool::"github/get_file")
  when { context.args.hasTag("path") && context.args.getTag("path") like "/etc/*" };`

type Call = { readonly user: string; readonly gateway: string; readonly server: string; readonly tool: string }

const calls: readonly Call[] = USERS.flatMap((user) =>
  GATEWAYS.flatMap((gateway) =>
    Object.entries(TOOLS).flatMap(([server, tools]) => tools.map((tool) => ({ user, gateway, server, tool }))),
  ),
)
/** Some calls are made more often than others. */
const timesOf = (call: Call): number => 1 + (calls.indexOf(call) % 3)
const textOf = ({ user, gateway, server, tool }: Call): string => `${user} ${gateway} ${server}/${tool}`

forEachEngine((engine) => {
  describe('replay', () => {
    const cleanUp = new AsyncDisposableStack()
    let house: TestHouse
    let place: TestPlace
    const keys = new Map<string, string>()
    const replayed = new Map<string, ReplayReply>()
    let before: ReadonlyMap<string, boolean>
    let byArguments: ReplayReply

    beforeAll(async () => {
      const [github, atlassian] = await Promise.all(
        Object.values(TOOLS).map((names) => startChangingServer(names.map((name) => ({ name, description: name })))),
      )
      if (!github || !atlassian) throw new Error('two servers were started')
      cleanUp.use(github)
      cleanUp.use(atlassian)
      place = cleanUp.use(await createTestPlace(engine))
      house = cleanUp.use(await startHouse({ toml: tomlFor(github.url, atlassian.url), storageUrl: place.url }))
      await house.listed()
      for (const user of USERS) await join(house, user)
      for (const gateway of GATEWAYS)
        for (const user of USERS) keys.set(`${user} ${gateway}`, await house.createKey({ user, gateway }))
      await grantSome(house)

      before = await makeAll()
      const { policy } = house.gatehouse
      for (const { name, text } of CANDIDATES) replayed.set(name, await policy.replay({ since: 0, text }))
      byArguments = await policy.replay({ since: 0, text: BY_ARGUMENTS })
    }, 60_000)
    afterAll(() => cleanUp.disposeAsync())

    const lineOf = (user: string, gateway: string) => ({
      url: gatewayUrl(house, gateway),
      key: keys.get(`${user} ${gateway}`),
    })

    /** Makes every call as often as it is made; true where it was allowed. */
    async function makeAll(once?: 'once'): Promise<ReadonlyMap<string, boolean>> {
      const make = async (call: Call): Promise<readonly [string, boolean]> => {
        const line = lineOf(call.user, call.gateway)
        const heard = await Promise.all(
          Array.from({ length: once ? 1 : timesOf(call) }, () => callTool(line, call.tool)),
        )
        return [textOf(call), heard.every(({ error }) => error === undefined)]
      }
      return new Map(await Promise.all(calls.map(make)))
    }

    test.each(CANDIDATES)(
      'names each call that ends otherwise, and no other: a rule that $name',
      async ({ name, text }) => {
        const { policy } = house.gatehouse
        const { version } = await policy.putPolicy({ text }, ADMIN)

        await policy.activatePolicy(version, ADMIN)
        const after = await makeAll('once')
        await policy.rollbackPolicy(ADMIN)

        const words = (allowed: boolean | undefined) => (allowed === true ? 'allow' : 'deny')
        const expected = calls
          .filter((call) => before.get(textOf(call)) !== after.get(textOf(call)))
          .map((call) => {
            const [was, is] = [words(before.get(textOf(call))), words(after.get(textOf(call)))]
            return `${textOf(call)} ${was} ${is} ${timesOf(call)}`
          })
        const told = replayed.get(name)
        expect(
          told?.changes
            .map((change) => `${textOf(change)} ${change.before} ${change.after} ${change.calls}`)
            .toSorted(),
        ).toEqual(expected.toSorted())
        expect(told).toMatchObject({
          records: calls.reduce((sum, call) => sum + timesOf(call), 0),
          changed: told?.changes.reduce((sum, change) => sum + change.calls, 0),
          unknown: 0,
          depends: 0,
          complete: true,
        })
      },
    )

    test('counts what hangs on arguments apart, and guesses nothing', () => {
      const concerned = calls.filter((call) => call.tool === 'get_file' && before.get(textOf(call)))

      expect(concerned.length).toBeGreaterThan(USERS.length)
      expect(byArguments).toMatchObject({
        changed: 0,
        changes: [],
        depends: concerned.reduce((sum, call) => sum + timesOf(call), 0),
      })
    })

    test('a rule that is there takes effect in the replay only where it was not in force before', async () => {
      expect(replayed.get('says nothing to any of them')).toMatchObject({ changed: 0, changes: [] })
      expect(await house.gatehouse.policy.replay({ since: Date.now() + 1, text: null })).toMatchObject({ records: 0 })
    })

    test('what is forbidden with any arguments, or may not be listed, is neither shown nor called, at open gateways too', async () => {
      const { policy } = house.gatehouse
      const text = `forbid(principal, action, resource == Tool::"github/get_file")
          when { principal.kind == "person" || context.args.hasTag("path") };
        forbid(principal, action == Action::"list", resource == Tool::"atlassian/search");`
      const { version } = await policy.putPolicy({ text }, ADMIN)

      await policy.activatePolicy(version, ADMIN)
      const shown = await Promise.all(GATEWAYS.map((gateway) => toolNames(lineOf('ann', gateway))))
      const called = await makeAll('once')
      await policy.rollbackPolicy(ADMIN)

      expect(shown).toEqual([
        ['create_issue', 'delete_repo', 'list_repos'],
        ['create_issue', 'create_page', 'delete_page', 'delete_repo', 'list_repos'],
      ])
      expect(
        calls.filter(({ tool }) => tool === 'get_file' || tool === 'search').filter((call) => called.get(textOf(call))),
      ).toEqual([])
    })

    test('every past denial is explained as its record has it, and what is not listed was refused', async () => {
      const { audit, policy } = house.gatehouse
      const { records } = await audit.search({ decision: 'denied', what: 'tools/call' }, { limit: 1_000 })
      const denied = records.filter(
        ({ extra }) => extra?.['policyVersion'] === records.at(-1)?.extra?.['policyVersion'],
      )

      const explained = await Promise.all(denied.map((record) => policy.explain(questionOf(record))))

      expect(denied.length).toBeGreaterThan(20)
      expect(explained.map(({ effect }) => effect)).toEqual(denied.map(() => 'deny'))
      expect(explained.map(({ deciding }) => deciding[0]?.id ?? null)).toEqual(
        denied.map(({ extra }) => extra?.['rule']),
      )
      for (const user of USERS) {
        const allowed = calls.filter(
          (call) => call.user === user && call.gateway === 'granted' && before.get(textOf(call)),
        )
        expect(await toolNames(lineOf(user, 'granted'))).toEqual(allowed.map(({ tool }) => tool).toSorted())
      }
    })
  })
})

function questionOf({ userId = '', gateway = '', server = '', tool = '' }: AuditRecord) {
  return { user: userId, gateway, name: `${server}/${tool}` }
}

function tomlFor(github: string, atlassian: string): string {
  const server = (name: string, url: string) => `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n`
  return [
    server('github', github),
    server('atlassian', atlassian),
    '[[gateways]]\nslug = "granted"\naccess = "grants"\ntools = ["*"]\n',
    '[[gateways]]\nslug = "open"\naccess = "all"\ntools = ["*"]\n',
  ].join('')
}

async function join({ gatehouse }: TestHouse, userId: string): Promise<void> {
  const { accounts } = gatehouse.identity
  await accounts.create({ userId, role: userId === 'eve' ? 'guest' : 'user' }, ADMIN)
  if (userId === 'ann') await accounts.createGroup('support', ADMIN)
  if (userId === 'ann' || userId === 'cleo') await accounts.addMember('support', userId, ADMIN)
}

async function grantSome({ gatehouse }: TestHouse): Promise<void> {
  const grant = (kind: 'user' | 'group' | 'role', id: string, ...tools: string[]) =>
    gatehouse.policy.addGrant({ subject: { kind, id }, gateway: 'granted', tools }, ADMIN)
  await grant('group', 'support', 'github/*', 'atlassian/search')
  await grant('user', 'ben', '*/create_*', 'github/delete_repo')
  await grant('user', 'dan', 'github/get_file')
  await grant('role', 'guest', '*/delete_*', 'atlassian/*')
}
