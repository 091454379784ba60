import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { createTestPlace, forEachEngine, type TestPlace } from '../../src/storage/testing.ts'
import { startChangingServer, type ChangingServer } from '../fakes/changing-server.ts'
import { ADMIN, lineOf } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { eventually, toolNames } from './talk.ts'

/** An identity provider renames groups by SCIM: nobody gets or loses anything by it that nobody decided on. */
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User'
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const answer = z.looseObject({
  id: z.string().default(''),
  detail: z.string().default(''),
  scimType: z.string().optional(),
})

forEachEngine((engine) => {
  let place: TestPlace
  let github: ChangingServer
  let house: TestHouse
  let scimKey: string
  beforeAll(async () => {
    place = await createTestPlace(engine)
    github = await startChangingServer(['get', 'put'].map((name) => ({ name, description: name })))
    house = await startHouse({
      storageUrl: place.url,
      toml: `
        [[servers]]
        name = "github"
        transport = "http"
        url = "${github.url}"

        [[gateways]]
        slug = "demo"
        access = "grants"
        tools = ["*"]

        [approvals]
        groups = ["approvers"]

        [[content_rules]]
        name = "screened"
        phase = "input"
        groups = ["screened"]
        detect = ["ssn"]
        effect = "block"

        [[login_policy.rules]]
        id = "staff-only"
        priority = 10
        effect = "allow"
        groups = ["staff-*"]
      `,
    })
    await house.listed()
    scimKey = (await house.gatehouse.identity.createKey({ role: 'scim', gateways: [], name: 'idp' }, ADMIN)).key
  })
  afterAll(async () => {
    await house.close()
    await github.close()
    await place.remove()
  })

  async function scim(method: string, path: string, body: object) {
    const response = await fetch(`${house.url}/scim/v2/${path}`, {
      method,
      headers: { authorization: `Bearer ${scimKey}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: answer.parse(JSON.parse((await response.text()) || '{}')) }
  }
  /** Makes a group with one member; returns what it is renamed by, and the member's line. */
  async function groupOf(displayName: string) {
    const userName = `${crypto.randomUUID()}@example.com`
    const { body: user } = await scim('POST', 'Users', { schemas: [USER], userName, active: true })
    const members = [{ value: user.id }]
    const { body: group } = await scim('POST', 'Groups', { schemas: [GROUP], displayName, members })
    const line = await lineOf(house, userName)
    const rename = (to: string) =>
      scim('PATCH', `Groups/${group.id}`, {
        schemas: [PATCH],
        Operations: [{ op: 'replace', path: 'displayName', value: to }],
      })
    return { line, rename }
  }
  const grant = (id: string, ...tools: string[]) =>
    house.gatehouse.policy.addGrant({ subject: { kind: 'group', id }, gateway: 'demo', tools }, ADMIN)
  const groupsOf = async () => (await house.gatehouse.identity.accounts.listGroups()).map(({ name }) => name)

  test('grants follow their group, and members keep what they had', async () => {
    const { line, rename } = await groupOf('support')
    await grant('support', 'github/get')
    const before = await toolNames(line)

    const renamed = await rename('support-eu')
    const after = await toolNames(line)
    const { grants } = await house.gatehouse.policy.listGrants({ subject: 'support-eu' })
    const again = await rename('support-eu')

    expect([before, after]).toEqual([['get'], ['get']])
    expect([renamed.status, again.status]).toEqual([204, 204])
    expect(grants).toMatchObject([{ subject: { kind: 'group', id: 'support-eu' }, tools: ['github/get'] }])
    expect((await house.gatehouse.policy.listGrants({ subject: 'support' })).grants).toEqual([])
    // A group that takes the old name later takes nothing with it.
    const { line: other } = await groupOf('support')
    expect(await toolNames(other)).toEqual([])
    expect(await toolNames(line)).toEqual(['get'])
    const { records } = await house.gatehouse.audit.search({ what: 'group.renamed', decision: 'allowed' })
    expect(records[0]).toMatchObject({ extra: { group: 'support', to: 'support-eu' } })
  })

  test('nobody gets what waits for a group of another name', async () => {
    const { line, rename } = await groupOf('interns')
    const { grant: waiting } = await grant('admins', 'github/*')

    const refused = await rename('admins')

    expect(refused).toMatchObject({ status: 400, body: { scimType: 'mutability' } })
    expect(refused.body.detail).toContain(`grant ${waiting.id}`)
    expect(await toolNames(line)).toEqual([])
    expect(await groupsOf()).toContain('interns')
    await house.gatehouse.policy.removeGrant(waiting.id, ADMIN)
    expect(await rename('admins')).toMatchObject({ status: 204 })
  })

  test.each([
    { from: 'approvers', to: 'any', by: 'approvals.groups' },
    { from: 'any', to: 'approvers', by: 'approvals.groups' },
    { from: 'screened', to: 'free', by: 'content rule screened' },
    { from: 'staff-a', to: 'guests', by: 'login rule staff-only' },
    { from: 'guests', to: 'staff-a', by: 'login rule staff-only' },
  ])('a rename of $from to $to is refused where rules go by the names: $by', async ({ from, to, by }) => {
    const { rename } = await groupOf(from)

    const refused = await rename(to)

    expect(refused).toMatchObject({ status: 400, body: { scimType: 'mutability' } })
    expect(refused.body.detail).toContain(by)
    expect(await groupsOf()).toContain(from)
    await house.gatehouse.identity.accounts.removeGroup(from, ADMIN)
  })

  test('a pattern that meets both names alike is in nobody’s way', async () => {
    const { rename } = await groupOf('staff-b')

    expect(await rename('staff-c')).toMatchObject({ status: 204 })
  })

  test('a forbid cannot be left by a rename, in force or only tried', async () => {
    const { policy } = house.gatehouse
    const { line, rename } = await groupOf('contractors')
    await policy.addGrant({ subject: { kind: 'everyone', id: '' }, gateway: 'demo', tools: ['github/put'] }, ADMIN)
    const text = '@id("no-contractors") forbid(principal in Group::"contractors", action, resource);'
    const { version } = await policy.putPolicy({ text }, ADMIN)
    await policy.shadowPolicy(version, ADMIN)
    const tried = await rename('partners')
    await policy.shadowPolicy(null, ADMIN)
    await policy.activatePolicy(version, ADMIN)

    const refused = await rename('partners')

    for (const { status, body } of [tried, refused]) {
      expect(status).toBe(400)
      expect(body.detail).toContain('policy no-contractors')
    }
    expect(await toolNames(line)).toEqual([])
    await policy.activatePolicy(null, ADMIN)
    expect(await rename('partners')).toMatchObject({ status: 204 })
    await eventually(
      () => toolNames(line),
      (names) => names.includes('put'),
    )
  })
})
