import { expect, it } from 'vitest'
import * as z from 'zod'
import { forEachEngine } from '../../storage/testing.ts'
import { SILENT } from '../../audit/testing.ts'
import { openTestIdentity, type TestIdentity } from '../testing.ts'
import { scimRoutes } from './routes.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' }
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'

const resource = z.looseObject({
  id: z.string().default(''),
  meta: z.object({ location: z.string(), version: z.string().optional() }).optional(),
})

/** Asks as an identity provider with a key of this name does. */
async function clientOf(house: TestIdentity, name: string) {
  const { key } = await house.identity.createKey({ role: 'scim', gateways: [], name }, ADMIN)
  const answer = scimRoutes({
    ...house,
    publicUrl: () => 'https://gate.example',
    witness: (_use, run) => run(),
    log: SILENT,
  })
  return async (method: string, path: string, body?: unknown, conditions: Record<string, string> = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await answer(
      new Request(`https://gate.example/scim/v2/${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/scim+json', ...conditions },
        ...(text === undefined ? {} : { body: text }),
      }),
    )
    const said = await response.text()
    const { headers } = response
    const answered = { etag: headers.get('etag') ?? '', location: headers.get('location') }
    return { ...answered, status: response.status, body: resource.parse(said === '' ? {} : JSON.parse(said)) }
  }
}

const anne = { userName: 'anne@example.com', externalId: 'x-1', name: { givenName: 'Anne', familyName: 'Berg' } }
const patch = (...Operations: object[]) => ({ schemas: [PATCH], Operations })
const search = (filter: string) => `?filter=${encodeURIComponent(filter)}`

forEachEngine((engine) => {
  it('a person is made, found, changed, deactivated with all keys, and removed', async () => {
    await using house = await openTestIdentity(engine)
    const ask = await clientOf(house, 'entra')
    const made = await ask('POST', 'Users', { ...anne, emails: [{ value: 'a@example.com', type: 'work' }] })
    const { id } = made.body
    const { key } = await house.identity.createKey({ userId: anne.userName, gateways: ['*'] }, ADMIN)

    expect(made).toMatchObject({ status: 201, body: { ...anne, displayName: 'Anne Berg', active: true } })
    expect(made.body.meta?.location).toBe(`https://gate.example/scim/v2/Users/${id}`)
    for (const filter of ['userName eq "ANNE@example.com"', 'externalId eq "x-1"', 'displayName eq "Anne Berg"'])
      expect((await ask('GET', `Users${search(filter)}`)).body).toMatchObject({ totalResults: 1, Resources: [{ id }] })
    expect((await ask('GET', `Users${search('userName eq "nobody"')}`)).body['totalResults']).toBe(0)
    await ask('PATCH', `Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'False' }))
    expect(house.identity.authenticate({ authorization: key, gateway: 'demo' }).ok).toBe(false)
    const again = await ask('PATCH', `Users/${id}`, patch({ op: 'replace', value: { active: true } }))
    expect(again.body['active']).toBe(true)
    const put = await ask('PUT', `Users/${id}`, { ...anne, externalId: 'x-2', displayName: 'A. Berg' })
    expect(put.body).toMatchObject({ externalId: 'x-2', displayName: 'A. Berg', emails: [] })
    expect((await ask('DELETE', `Users/${id}`)).status).toBe(204)
    expect((await ask('GET', `Users/${id}`)).status).toBe(404)
    expect((await ask('POST', 'Users', anne)).body).toMatchObject({ status: '409', scimType: 'uniqueness' })
    const { records } = await house.audit.search({})
    const ours = records.filter(({ face }) => face === 'scim').map(({ what }) => what)
    expect(ours.toReversed()).toEqual([
      'account.created',
      'account.deactivated',
      'account.activated',
      'account.changed',
      'account.removed',
    ])
  })

  it('a group gives its members what its name is granted, until they leave it', async () => {
    await using house = await openTestIdentity(engine)
    const ask = await clientOf(house, 'entra')
    const ids: string[] = []
    for (const userName of ['a', 'b', 'c']) ids.push((await ask('POST', 'Users', { userName })).body.id)
    const [a = '', b = '', c = ''] = ids
    const groupsOf = (userId: string) => house.identity.directory().findByUserId(userId)?.groups
    const made = await ask('POST', 'Groups', { displayName: 'support', externalId: 'g', members: [{ value: a }] })
    const path = `Groups/${made.body.id}`

    expect(made).toMatchObject({ status: 201, body: { displayName: 'support', members: [{ value: a, display: 'a' }] } })
    await ask('PATCH', path, patch({ op: 'Add', path: 'members', value: [{ value: b }, { value: c }] }))
    expect([groupsOf('a'), groupsOf('b')]).toEqual([['support'], ['support']])
    await ask('PATCH', path, patch({ op: 'Remove', path: 'members', value: [{ value: a }] }))
    await ask('PATCH', path, patch({ op: 'remove', path: `members[value eq "${b}"]` }))
    expect(['a', 'b', 'c'].map(groupsOf)).toEqual([[], [], ['support']])
    for (const filter of [
      `members eq "${c}"`,
      `members[value eq "${c}"]`,
      `id eq "${made.body.id}" and members eq "${c}"`,
    ])
      expect((await ask('GET', `Groups${search(filter)}`)).body['totalResults']).toBe(1)
    expect((await ask('GET', `Groups${search(`members eq "${a}"`)}`)).body['totalResults']).toBe(0)
    await ask('PATCH', path, patch({ op: 'replace', value: { id: made.body.id, displayName: 'helpers' } }))
    expect(groupsOf('c')).toEqual(['helpers'])
    expect((await ask('GET', `Users/${c}`)).body['groups']).toMatchObject([{ display: 'helpers' }])
    expect((await ask('GET', `${path}?excludedAttributes=members`)).body).not.toHaveProperty('members')
    await ask('PUT', path, { displayName: 'helpers', members: [{ value: a }] })
    expect(['a', 'c'].map(groupsOf)).toEqual([['helpers'], []])
    expect((await ask('DELETE', path)).status).toBe(204)
    expect(groupsOf('a')).toEqual([])
  })

  it('a client sees and changes nothing of another source or of this house', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    const [entra, okta] = [await clientOf(house, 'entra'), await clientOf(house, 'okta')]
    const admin = await accounts.create({ userId: 'root@example.com', role: 'admin' }, ADMIN)
    await accounts.createGroup('admins', ADMIN)
    const theirs = (await okta('POST', 'Users', { userName: 'olga' })).body.id
    const theirGroup = (await okta('POST', 'Groups', { displayName: 'okta' })).body.id
    const own = (await entra('POST', 'Groups', { displayName: 'own' })).body.id

    for (const id of [admin.id, theirs, admin.userId, `${theirs}' or '1'='1`]) {
      const at = `Users/${encodeURIComponent(id)}`
      for (const [method, body] of [
        ['GET'],
        ['DELETE'],
        ['PUT', { userName: 'x' }],
        ['PATCH', patch({ op: 'replace', path: 'active', value: false })],
      ] as const)
        expect((await entra(method, at, body)).status).toBe(404)
      const joined = await entra(
        'PATCH',
        `Groups/${own}`,
        patch({ op: 'add', path: 'members', value: [{ value: id }] }),
      )
      expect(joined).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } })
    }
    for (const method of ['GET', 'DELETE']) expect((await entra(method, `Groups/${theirGroup}`)).status).toBe(404)
    for (const userName of ['ROOT@example.com', 'olga'])
      expect((await entra('POST', 'Users', { userName })).body).toMatchObject({ scimType: 'uniqueness' })
    for (const displayName of ['admins', 'okta']) {
      expect((await entra('POST', 'Groups', { displayName })).status).toBe(409)
      expect((await entra('PUT', `Groups/${own}`, { displayName })).status).toBe(409)
    }
    expect((await entra('GET', 'Users')).body).toMatchObject({ totalResults: 0, Resources: [] })
    expect(await accounts.get('root@example.com')).toEqual(admin)
    expect((await okta('GET', 'Users')).body['totalResults']).toBe(1)
  })

  it.each(['Users', 'Groups'])('of %s, a change for one version is refused when there is a newer one', async (type) => {
    await using house = await openTestIdentity(engine)
    const ask = await clientOf(house, 'entra')
    const name = (text: string) => ({ userName: 'anne', displayName: text })
    const made = await ask('POST', type, name('one'))
    const path = `${type}/${made.body.id}`
    const put = (text: string, ifMatch: string) => ask('PUT', path, name(text), { 'if-match': ifMatch })
    const same = { 'if-none-match': made.etag }

    expect(made).toMatchObject({ location: made.body.meta?.location, etag: made.body.meta?.version })
    expect(await ask('GET', path, undefined, same)).toMatchObject({ status: 304, body: { id: '' }, etag: made.etag })
    const rivals = await Promise.all(['two', 'three'].map((text) => put(text, made.etag)))
    expect(new Set(rivals.map(({ status }) => status))).toEqual(new Set([200, 412]))
    const now = await ask('GET', path, undefined, same)
    expect(now).toMatchObject({ status: 200, body: { displayName: rivals[0]?.status === 200 ? 'two' : 'three' } })
    expect(rivals.map(({ etag }) => etag)).toContain(now.etag)
    expect((await ask('DELETE', path, undefined, { 'if-match': made.etag })).body).toMatchObject({ status: '412' })
    expect(await put('four', `W/"0", ${now.etag}`)).toMatchObject({ status: 200, body: { displayName: 'four' } })
    const patched = await ask('PATCH', path, patch({ op: 'replace', value: { displayName: 'five' } }), {
      'if-match': '*',
    })
    expect(patched.etag).toBe((await ask('GET', path)).etag)
    expect((await ask('DELETE', path, undefined, { 'if-match': patched.etag })).status).toBe(204)
  })

  it('whatever is shown of a person or a group, no other state has its version', async () => {
    await using house = await openTestIdentity(engine)
    const { accounts } = house.identity
    const ask = await clientOf(house, 'entra')
    const [anne, ben] = [
      await ask('POST', 'Users', { userName: 'anne' }),
      await ask('POST', 'Users', { userName: 'ben' }),
    ]
    const group = await ask('POST', 'Groups', { displayName: 'one', members: [{ value: ben.body.id }] })
    const paths = [`Users/${anne.body.id}`, `Users/${ben.body.id}`, `Groups/${group.body.id}`]
    const seen = new Map<string, string>()
    const look = async () => {
      for (const path of paths) {
        const { etag, body } = await ask('GET', path)
        const state = JSON.stringify(body)
        expect(seen.get(path + etag) ?? state).toBe(state)
        seen.set(path + etag, state)
      }
    }
    const [, , groupPath = ''] = paths
    const change = (operation: object) => ask('PATCH', groupPath, patch(operation))

    for (const step of [
      () => change({ op: 'add', path: 'members', value: [{ value: anne.body.id }] }),
      () => change({ op: 'replace', path: 'displayName', value: 'two' }),
      () => change({ op: 'remove', path: `members[value eq "${anne.body.id}"]` }),
      () => accounts.update('anne', { name: 'Anne' }, ADMIN),
      () => accounts.addMember('two', 'anne', ADMIN),
      () => accounts.handOver('ben', 'local', ADMIN),
      () => accounts.handOver('ben', 'scim:entra', ADMIN),
      () => change({ op: 'add', path: 'members', value: [{ value: ben.body.id }] }),
      () => accounts.remove('ben', ADMIN).then(() => paths.splice(1, 1)),
      () => change({ op: 'add', path: 'members', value: [{ value: anne.body.id }] }),
      () => accounts.removeGroup('two', ADMIN).then(() => paths.pop()),
    ]) {
      await look()
      await step()
    }
    await look()
    expect(seen.size).toBeGreaterThan(11)
  })

  it('people and groups are found by what does not tell capitals from small letters, whichever way it is asked', async () => {
    await using house = await openTestIdentity(engine)
    const ask = await clientOf(house, 'entra')
    await ask('POST', 'Users', { ...anne, displayName: 'Anne Berg', emails: [{ value: 'Anne@example.com' }] })
    await ask('POST', 'Groups', { displayName: 'Support' })
    await ask('POST', 'Groups', { displayName: 'support' })
    const count = async (type: string, filter: string) =>
      (await ask('GET', `${type}${search(filter)}`)).body['totalResults']

    for (const filter of [
      'displayname EQ "anne BERG"',
      'emails eq "ANNE@example.com"',
      'emails.value eq "anne@example.com"',
      'emails[type eq "work"].value eq "anne@example.com"',
      'emails[value eq "anne@example.com"] and externalId eq "x-1"',
    ])
      expect([filter, await count('Users', filter)]).toEqual([filter, 1])
    expect(await count('Users', 'externalId eq "X-1"')).toBe(0)
    expect(await count('Groups', 'displayName eq "SUPPORT"')).toBe(2)
    for (const filter of ['emails[type eq "home"].value eq "anne@example.com"', 'userName.value eq "x"'])
      expect((await ask('GET', `Users${search(filter)}`)).body).toMatchObject({ scimType: 'invalidFilter' })
  })

  it('lists come in pages that begin with 1', async () => {
    await using house = await openTestIdentity(engine)
    const ask = await clientOf(house, 'entra')
    for (const userName of ['a', 'b', 'c']) await ask('POST', 'Users', { userName })

    const page = (await ask('GET', 'Users?startIndex=2&count=1')).body

    expect(page).toMatchObject({ totalResults: 3, startIndex: 2, itemsPerPage: 1, Resources: [{ userName: 'b' }] })
    expect((await ask('GET', 'Users?count=0')).body).toMatchObject({ totalResults: 3, Resources: [] })
    expect((await ask('GET', 'Users?startIndex=-5&count=x')).body).toMatchObject({ startIndex: 1, itemsPerPage: 3 })
  })
})

it('the names of attributes are the same in capitals and in small letters, wherever they stand', async () => {
  await using house = await openTestIdentity('sqlite')
  const ask = await clientOf(house, 'entra')
  const sent = { USERNAME: 'anne', Active: 'TRUE', NAME: { GIVENNAME: 'Anne' }, Emails: [{ VALUE: 'a@example.com' }] }

  const made = await ask('POST', 'Users', sent)
  const path = `Users/${made.body.id}`
  const changed = await ask('PATCH', path, { operations: [{ OP: 'REPLACE', Value: { Name: { FamilyName: 'Berg' } } }] })
  const group = await ask('POST', 'Groups', { DISPLAYNAME: 'support', Members: [{ Value: made.body.id }] })

  expect(made).toMatchObject({
    status: 201,
    body: { name: { givenName: 'Anne' }, emails: [{ value: 'a@example.com' }] },
  })
  expect(changed.body).toMatchObject({ name: { formatted: 'Anne Berg', givenName: 'Anne', familyName: 'Berg' } })
  expect(group.body).toMatchObject({ members: [{ value: made.body.id }] })
})

it.each<[what: string, operation: object, left: string | undefined]>([
  ['the one for work', { op: 'Replace', path: 'emails[type eq "work"].value', value: 'b@x.com' }, 'b@x.com'],
  ['the primary one', { op: 'replace', path: 'emails[primary eq true].value', value: 'b@x.com' }, 'b@x.com'],
  [
    'both in one',
    { op: 'replace', path: 'emails[type eq "work" and primary eq true].value', value: 'b@x.com' },
    'b@x.com',
  ],
  ['it by itself', { op: 'replace', path: 'emails[value eq "A@x.com"].value', value: 'b@x.com' }, 'b@x.com'],
  ['all that is said of it', { op: 'replace', path: 'emails[type eq "work"]', value: { value: 'b@x.com' } }, 'b@x.com'],
  ['another kind of address', { op: 'Add', path: 'emails[type eq "home"].value', value: 'home@x.com' }, 'a@x.com'],
  ['another address', { op: 'remove', path: 'emails[value eq "home@x.com"]' }, 'a@x.com'],
  ['what it is for', { op: 'add', path: 'emails[type eq "work"].primary', value: true }, 'a@x.com'],
  ['a further one', { op: 'add', path: 'emails', value: [{ type: 'home', value: 'home@x.com' }] }, 'a@x.com'],
  ['a newer one for work', { op: 'add', path: 'emails', value: { type: 'work', value: 'b@x.com' } }, 'b@x.com'],
  [
    'others in its place',
    { op: 'replace', path: 'emails', value: [{ type: 'home', value: 'home@x.com' }] },
    'home@x.com',
  ],
  ['that it is gone', { op: 'remove', path: 'emails[value eq "a@x.com"]' }, undefined],
  ['that all are gone', { op: 'remove', path: 'emails' }, undefined],
])('the address of somebody is right after a PATCH that says %s', async (_, operation, left) => {
  await using house = await openTestIdentity('sqlite')
  const ask = await clientOf(house, 'entra')
  const { id } = (await ask('POST', 'Users', { ...anne, emails: [{ value: 'a@x.com', type: 'work' }] })).body

  const { status, body } = await ask('PATCH', `Users/${id}`, patch(operation))

  expect(status).toBe(200)
  expect(body['emails']).toEqual(left === undefined ? [] : [{ value: left, type: 'work', primary: true }])
})

it('a PATCH of addresses that nobody can understand is refused', async () => {
  await using house = await openTestIdentity('sqlite')
  const ask = await clientOf(house, 'entra')
  const { id } = (await ask('POST', 'Users', anne)).body
  const answer = async (path: string, value: unknown) =>
    (await ask('PATCH', `Users/${id}`, patch({ op: 'replace', path, value }))).body['scimType']

  expect(await answer('emails[type ne "work"].value', 'b@x.com')).toBe('invalidPath')
  expect(await answer('emails[type eq "work"].nonsense', 'b@x.com')).toBe('invalidPath')
  expect(await answer('emails.value', 5)).toBe('invalidValue')
})

it('a client that asks too often has to wait, and holds up no other one', async () => {
  await using house = await openTestIdentity('sqlite')
  const [eager, calm] = [await clientOf(house, 'eager'), await clientOf(house, 'calm')]
  const times = async (amount: number) => {
    const answers = []
    for (let at = 0; at < amount; at++) answers.push((await eager('GET', 'Schemas')).status)
    return answers
  }

  expect(new Set(await times(200))).toEqual(new Set([200]))
  expect((await eager('GET', 'Schemas')).body).toMatchObject({ status: '429' })
  expect((await calm('GET', 'Schemas')).status).toBe(200)
  house.clock.at += 100
  expect(await times(6)).toEqual([200, 200, 200, 200, 200, 429])
})

it('the last active admin is neither deactivated nor removed by its identity provider', async () => {
  await using house = await openTestIdentity('sqlite')
  const ask = await clientOf(house, 'entra')
  const { id } = (await ask('POST', 'Users', anne)).body
  await house.identity.accounts.update(id, { role: 'admin' }, ADMIN)

  const off = await ask('PATCH', `Users/${id}`, patch({ op: 'replace', path: 'active', value: false }))

  expect(off).toMatchObject({ status: 409, body: { status: '409' } })
  expect((await ask('DELETE', `Users/${id}`)).status).toBe(409)
  expect((await house.identity.accounts.get(id)).isActive).toBe(true)
})

it('two keys of one name are one client, so that a key can be replaced', async () => {
  await using house = await openTestIdentity('sqlite')
  const [before, after] = [await clientOf(house, 'entra'), await clientOf(house, 'entra')]
  const { id } = (await before('POST', 'Users', anne)).body

  expect((await after('GET', `Users/${id}`)).status).toBe(200)
})

it('a person who was made inactive is never active, not even for a moment', async () => {
  await using house = await openTestIdentity('sqlite')
  const ask = await clientOf(house, 'entra')

  const { id } = (await ask('POST', 'Users', { ...anne, active: false })).body

  expect(house.identity.directory().findByUserId(anne.userName)?.isActive).toBe(false)
  expect((await ask('PUT', `Users/${id}`, anne)).body['active']).toBe(false)
  const { records } = await house.audit.search({ face: 'scim' })
  expect(records.map(({ what }) => what)).toEqual(['account.created'])
})

it('an account of this house belongs to a client only after an administrator has handed it over', async () => {
  await using house = await openTestIdentity('sqlite')
  const { accounts } = house.identity
  const ask = await clientOf(house, 'entra')
  const { id } = await accounts.create({ userId: anne.userName }, ADMIN)
  expect((await ask('POST', 'Users', anne)).status).toBe(409)

  await accounts.handOver(anne.userName, 'scim:entra', ADMIN)
  const found = await ask('GET', `Users${search(`userName eq "${anne.userName}"`)}`)
  await ask('POST', 'Groups', { displayName: 'support', members: [{ value: id }] })

  expect(found.body).toMatchObject({ totalResults: 1, Resources: [{ id }] })
  expect((await accounts.get(id)).groups).toEqual(['support'])
  expect(await accounts.handOver(id, 'local', ADMIN)).toMatchObject({ source: 'local', groups: [] })
  expect((await ask('GET', `Users/${id}`)).status).toBe(404)
  await accounts.create({ userId: 'robot', kind: 'system' }, ADMIN)
  await expect(accounts.handOver('robot', 'scim:entra', ADMIN)).rejects.toThrow('system account')
})
