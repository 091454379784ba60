import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { startHouse, type TestHouse } from './start-house.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User'
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error'

let house: TestHouse
beforeAll(async () => {
  house = await startHouse({ toml: '[[gateways]]\nslug = "demo"\ntools = ["*"]\n' })
})
afterAll(() => house.close())

const resource = z.looseObject({ id: z.string().default('') })

type Ask = { method?: string; token?: string | undefined; body?: unknown; type?: string }

async function ask(path: string, { method = 'GET', token, body, type = 'application/scim+json' }: Ask) {
  const response = await fetch(`${house.url}/scim/v2/${path}`, {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), 'content-type': type },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const contentType = response.headers.get('content-type')
  return { status: response.status, contentType, body: resource.parse(text === '' ? {} : JSON.parse(text)) }
}

async function clientOf(name: string) {
  const { key } = await house.gatehouse.identity.createKey({ role: 'scim', gateways: [], name }, ADMIN)
  return (method: string, path: string, body?: unknown) => ask(path, { method, token: key, body })
}

const member = (userId: string) => house.gatehouse.identity.directory().findByUserId(userId)

// --- Microsoft Entra ID: the requests of its published guide for SCIM endpoints --------------------------------------

describe('Entra ID', () => {
  test('finds nobody when the connection is tested, then makes, changes, disables and deletes a user', async () => {
    const entra = await clientOf('entra')
    const probe = await entra('GET', `Users?filter=userName+eq+%22${crypto.randomUUID()}%22`)
    const made = await entra('POST', 'Users', {
      schemas: [USER, ENTERPRISE],
      externalId: '0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef',
      userName: 'Test_User_ab6490ee@testuser.com',
      active: true,
      addresses: null,
      displayName: null,
      emails: [{ primary: true, type: 'work', value: 'Test_User_fd0ea19b@testuser.com' }],
      meta: { resourceType: 'User' },
      name: { formatted: 'givenName familyName', familyName: 'familyName', givenName: 'givenName' },
      roles: [],
    })
    const path = `Users/${made.body.id}`
    const changed = await entra('PATCH', path, {
      schemas: [PATCH],
      Operations: [
        { op: 'Replace', path: 'emails[type eq "work"].value', value: 'updatedEmail@contoso.com' },
        { op: 'Replace', path: 'name.familyName', value: 'updatedFamilyName' },
        { op: 'Add', path: `${ENTERPRISE}:department`, value: 'Sales' },
        { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+1 555' },
        { op: 'Add', value: { 'name.givenName': 'updatedGivenName' } },
      ],
    })
    const operations = [{ op: 'Replace', path: 'active', value: 'False' }]
    const disabled = await entra('PATCH', path, { schemas: [PATCH], Operations: operations })

    expect(probe).toMatchObject({ status: 200, contentType: 'application/scim+json', body: { totalResults: 0 } })
    expect(made).toMatchObject({ status: 201, body: { displayName: 'givenName familyName', active: true } })
    expect(changed).toMatchObject({
      status: 200,
      body: {
        emails: [{ value: 'updatedEmail@contoso.com' }],
        name: { familyName: 'updatedFamilyName', givenName: 'updatedGivenName' },
      },
    })
    expect(disabled.body['active']).toBe(false)
    expect(member('Test_User_ab6490ee@testuser.com')).toMatchObject({ isActive: false, role: 'user' })
    expect((await entra('DELETE', path)).status).toBe(204)
    const missing = { schemas: [ERROR], status: '404' }
    expect(await entra('GET', path)).toMatchObject({ status: 404, body: missing })
  })

  test('makes a group, asks for it without its members, and changes who is in it', async () => {
    const entra = await clientOf('entra')
    const { id } = (await entra('POST', 'Users', { schemas: [USER], userName: 'member@testuser.com' })).body
    const made = await entra('POST', 'Groups', {
      schemas: [GROUP, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
      externalId: '8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159',
      displayName: 'displayName',
      meta: { resourceType: 'Group' },
    })
    const path = `Groups/${made.body.id}`
    const patch = (operation: object) => entra('PATCH', path, { schemas: [PATCH], Operations: [operation] })
    const found = await entra('GET', 'Groups?excludedAttributes=members&filter=displayName+eq+%22displayName%22')

    expect(found.body).toMatchObject({ totalResults: 1, Resources: [{ id: made.body.id }] })
    expect(JSON.stringify(found.body)).not.toContain('members')
    expect((await patch({ op: 'Add', path: 'members', value: [{ $ref: null, value: id }] })).status).toBe(204)
    expect(member('member@testuser.com')?.groups).toEqual(['displayName'])
    const check = `Groups?filter=${encodeURIComponent(`id eq "${made.body.id}" and members eq "${id}"`)}`
    expect((await entra('GET', check)).body['totalResults']).toBe(1)
    await patch({ op: 'Replace', path: 'displayName', value: 'renamed' })
    expect(member('member@testuser.com')?.groups).toEqual(['renamed'])
    await patch({ op: 'Remove', path: 'members', value: [{ $ref: null, value: id }] })
    expect(member('member@testuser.com')?.groups).toEqual([])
    expect((await entra('DELETE', path)).status).toBe(204)
  })
})

// --- Okta: the requests of its published guide for SCIM 2.0 ----------------------------------------------------------

describe('Okta', () => {
  test('looks for a user, makes, reads, replaces, deactivates and activates it again', async () => {
    const okta = await clientOf('okta')
    const search = 'Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100'
    const user = {
      schemas: [USER],
      userName: 'test.user@okta.local',
      name: { givenName: 'Test', familyName: 'User' },
      emails: [{ primary: true, value: 'test.user@okta.local', type: 'work' }],
      displayName: 'Test User',
      locale: 'en-US',
      externalId: '00ujl29u0le5T6Aj10h7',
      groups: [],
      password: '1mz050nq',
      active: true,
    }
    const before = await okta('GET', search)
    const made = await okta('POST', 'Users', user)
    const path = `Users/${made.body.id}`
    const replaced = await okta('PUT', path, {
      ...user,
      id: made.body.id,
      name: { givenName: 'Another', familyName: 'User' },
    })
    const active = (value: boolean) => ({ schemas: [PATCH], Operations: [{ op: 'replace', value: { active: value } }] })

    expect(before.body).toMatchObject({ totalResults: 0, startIndex: 1, itemsPerPage: 0, Resources: [] })
    expect(made).toMatchObject({ status: 201, body: { userName: user.userName, name: user.name, emails: user.emails } })
    expect(JSON.stringify(made.body)).not.toContain(user.password)
    expect((await okta('GET', search)).body['totalResults']).toBe(1)
    expect(replaced.body).toMatchObject({ name: { givenName: 'Another' }, displayName: 'Test User' })
    expect((await okta('PATCH', path, active(false))).body['active']).toBe(false)
    expect(member(user.userName)?.isActive).toBe(false)
    expect((await okta('PATCH', path, active(true))).body['active']).toBe(true)
    expect((await okta('POST', 'Users', user)).body).toMatchObject({ schemas: [ERROR], scimType: 'uniqueness' })
  })

  test('pushes a group with members, renames it, and adds and removes members in one request', async () => {
    const okta = await clientOf('okta')
    const [one, two] = [
      (await okta('POST', 'Users', { userName: 'one@okta.local' })).body.id,
      (await okta('POST', 'Users', { userName: 'two@okta.local' })).body.id,
    ]
    const made = await okta('POST', 'Groups', {
      schemas: [GROUP],
      displayName: 'Test SCIMv2',
      members: [{ value: one, display: 'one@okta.local' }],
    })
    const path = `Groups/${made.body.id}`
    const patch = (...Operations: object[]) => okta('PATCH', path, { schemas: [PATCH], Operations })
    await patch({ op: 'replace', value: { id: made.body.id, displayName: 'Test SCIMv2 new' } })
    await patch(
      { op: 'remove', path: `members[value eq "${one}"]` },
      { op: 'add', path: 'members', value: [{ value: two, display: 'two@okta.local' }] },
    )

    expect([member('one@okta.local')?.groups, member('two@okta.local')?.groups]).toEqual([[], ['Test SCIMv2 new']])
    expect((await okta('GET', 'Groups?startIndex=1&count=100')).body).toMatchObject({ totalResults: 1 })
    expect((await okta('GET', `Users/${two}`)).body['groups']).toMatchObject([{ value: made.body.id }])
  })
})

// --- whoever means harm ----------------------------------------------------------------------------------------------

describe('attacks', () => {
  const makeKey = async (request: Parameters<TestHouse['gatehouse']['identity']['createKey']>[0]) =>
    house.gatehouse.identity.createKey(request, ADMIN)

  test('only a key for SCIM opens SCIM, until it is revoked, and it opens nothing else', async () => {
    const { id, key } = await makeKey({ role: 'scim', gateways: [], name: 'limited' })
    const user = await makeKey({ gateways: ['*'] })
    const admin = await makeKey({ gateways: ['*'], role: 'admin' })
    const status = async (path: string, token: string | undefined) => (await ask(path, { token })).status
    const bearer = { authorization: `Bearer ${key}` }
    const elsewhere = ['/api/v1/accounts', '/api/v1/keys', '/api/v1/audit', '/api/v1/gateways/demo/tools']

    for (const path of ['Users', 'ServiceProviderConfig', 'nothing']) {
      expect(await status(path, undefined)).toBe(401)
      expect(await status(path, 'gh_nonsense')).toBe(401)
      for (const token of [user.key, admin.key]) expect(await status(path, token)).toBe(403)
      expect(await status(path, house.adminToken)).toBe(401)
    }
    expect(await status('Users', key)).toBe(200)
    for (const path of elsewhere)
      expect([401, 403]).toContain((await fetch(`${house.url}${path}`, { headers: bearer })).status)
    const mcp = { ...bearer, 'content-type': 'application/json', 'gatehouse-user-id': 'anne' }
    const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    expect([401, 403]).toContain(
      (await fetch(`${house.url}/mcp/demo`, { method: 'POST', headers: mcp, body: call })).status,
    )
    expect(house.gatehouse.identity.authenticate({ authorization: key, gateway: 'demo', userId: 'a' }).ok).toBe(false)
    await house.gatehouse.identity.revokeKey(id, ADMIN)
    expect(await ask('Users', { token: key })).toMatchObject({
      status: 401,
      body: { schemas: [ERROR], status: '401' },
    })
  })

  test('the account of an administrator is neither found, nor taken over, nor deactivated', async () => {
    const mallory = await clientOf('mallory')
    const { accounts } = house.gatehouse.identity
    const admin = await accounts.create({ userId: 'Root@example.com', role: 'admin' }, ADMIN)
    const off = { schemas: [PATCH], Operations: [{ op: 'replace', path: 'active', value: false }] }

    for (const userName of ['Root@example.com', 'ROOT@EXAMPLE.COM', 'ｒｏｏｔ@example.com'])
      expect(await mallory('POST', 'Users', { userName })).toMatchObject({
        status: 409,
        body: { scimType: 'uniqueness' },
      })
    for (const id of [admin.id, admin.userId, encodeURIComponent(admin.userId)])
      for (const [method, body] of [['GET'], ['PATCH', off], ['PUT', { userName: admin.userId }], ['DELETE']] as const)
        expect((await mallory(method, `Users/${id}`, body)).status).toBe(404)
    const own = (await mallory('POST', 'Users', { userName: 'own@example.com', roles: ['admin'], role: 'admin' })).body
      .id
    const rename = [{ op: 'replace', path: 'userName', value: admin.userId }]
    const renamed = await mallory('PATCH', `Users/${own}`, { schemas: [PATCH], Operations: rename })
    expect(renamed).toMatchObject({ status: 400, body: { scimType: 'mutability' } })
    for (const path of ['id', 'meta', 'groups', 'role', 'source', '__proto__', 'constructor', 'isActive']) {
      const operations = [{ op: 'add', path, value: 'admin' }]
      expect((await mallory('PATCH', `Users/${own}`, { schemas: [PATCH], Operations: operations })).status).toBe(400)
    }
    expect(member('own@example.com')?.role).toBe('user')
    expect(await accounts.get(admin.userId)).toEqual(admin)
  })

  test('a filter is equality of a few attributes, whatever is put into it', async () => {
    const mallory = await clientOf('mallory-filters')
    await mallory('POST', 'Users', { userName: 'x@example.com' })
    const strange = [
      '',
      'userName',
      'userName eq',
      'userName eq x',
      'userName ne "x"',
      'userName sw ""',
      'userName pr',
      'userName eq "x" or userName eq "y"',
      'not (userName eq "x")',
      '(userName eq "x")',
      'password eq "x"',
      'source eq "local"',
      'userName eq "x" and',
      'userName eq "x"; drop table identity_account',
      'userName eq "\\u0000"',
      'userName eq "x" and "1" eq "1"',
      `userName eq "${'x'.repeat(2_000)}"`,
      'userName.value eq "x"',
      Array(6).fill('userName eq "x"').join(' and '),
    ]
    for (const filter of strange) {
      const answer = await mallory('GET', `Users?filter=${encodeURIComponent(filter)}`)
      expect(answer, filter).toMatchObject({ status: 400, body: { scimType: 'invalidFilter' } })
    }
    for (const value of [`' or '1'='1`, '%', '*', `x@example.com' --`, '"'])
      expect(
        (await mallory('GET', `Users?filter=${encodeURIComponent(`userName eq ${JSON.stringify(value)}`)}`)).body,
      ).toMatchObject({ totalResults: 0 })
  })

  test('a body that is huge, deep or no JSON is refused, and so are values that no account can have', async () => {
    const { key } = await makeKey({ role: 'scim', gateways: [], name: 'mallory-bodies' })
    const post = (body: unknown, type?: string) =>
      ask('Users', { method: 'POST', token: key, body, ...(type === undefined ? {} : { type }) })
    const error = (status: string, scimType?: string) => ({
      contentType: 'application/scim+json',
      body: { schemas: [ERROR], status, ...(scimType === undefined ? {} : { scimType }) },
    })

    expect(await post(`{"userName":"${'x'.repeat(1_100_000)}"}`)).toMatchObject(error('413'))
    expect(await post(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toMatchObject(error('400', 'invalidSyntax'))
    expect(await post('{"userName":')).toMatchObject(error('400', 'invalidSyntax'))
    expect(await post('{"userName":"x"}', 'text/plain')).toMatchObject(error('415'))
    for (const body of [
      {},
      [],
      'null',
      { userName: '' },
      { userName: 7 },
      { userName: 'a\u202eb' },
      { userName: ' x ' },
      { userName: 'x', active: 'maybe' },
      { userName: 'x', emails: [{ value: 'no address' }] },
      { userName: 'x', displayName: 'x'.repeat(201) },
    ])
      expect(await post(body), JSON.stringify(body)).toMatchObject(error('400', 'invalidValue'))
    expect(member('x')).toBeNull()
    for (const path of ['Bulk', 'Me', 'Users/a/b', 'Users/%00', 'Users/%E0%A4%A', '%2e%2e/api/v1/keys'])
      expect((await ask(path, { token: key })).status, path).toBe(404)
    expect((await ask('Users', { method: 'DELETE', token: key })).status).toBe(405)
  })

  test('every refused change is recorded under the key that tried it', async () => {
    const { id, key } = await makeKey({ role: 'scim', gateways: [], name: 'mallory-audit' })
    await ask('Users/acc_0', { method: 'DELETE', token: key })

    const { records } = await house.gatehouse.audit.search({ key: id })

    expect(records).toMatchObject([
      { what: 'api.attempted', decision: 'failed', face: 'scim', extra: { operation: 'scimRemoveUser' } },
      { what: 'key.created' },
    ])
    expect(JSON.stringify(records)).not.toContain(key)
    expect(house.logs.join('\n')).not.toContain(key)
  })
})

test('requests are counted by what was asked and how it ended, whatever was written into the address', async () => {
  const client = await clientOf('counted')

  await client('GET', 'Groups/grp_nothing')
  await client('GET', 'Groups/grp_nothing')
  await client('GET', 'Somewhere/else')
  await ask('Users', {})

  const metrics = await house.gatehouse.metrics.render()
  expect(metrics).toContain('gatehouse_scim_requests_total{operation="scimShowGroup",status="404"} 2')
  expect(metrics).toContain('gatehouse_scim_requests_total{operation="scimUnknown",status="404"}')
  expect(metrics).toMatch(/gatehouse_scim_requests_total\{operation="scimListUsers",status="401"\} \d/)
  expect(metrics).not.toContain('nothing')
})
