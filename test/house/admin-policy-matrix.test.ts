import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { JUDGED_MODULES } from '#policy'
import type { Operation } from '../../src/http/contract/contract.ts'
import { ADMIN_OPERATIONS } from '../../src/main/index.ts'
import { ALL_OPERATIONS, sampleBody, samplePath } from './every-operation.ts'
import { tokensFor } from './oauth-client.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/**
 * Everybody who could come to the admin API, at every operation there is, under rules that permit far too much to
 * everybody: none of these names the admin API in its scope. The rules are in a file, where no operation changes them.
 */
const BROAD = `
permit(principal, action, resource);
permit(principal, action in Action::"use", resource);
permit(principal, action in [Action::"call", Action::"list", Action::"execute"], resource);
permit(principal, action, resource) when { action in Action::"admin" || action == Action::"admin:keys" };
permit(principal in Role::"guest", action, resource) when { resource.destructive || resource.readOnly };
`
const EXPLICIT = `
@id("everything") permit(principal == User::"all@example.com", action in Action::"admin", resource);
@id("looks") permit(principal in Group::"lookers", action in Action::"admin", resource) unless { context.writes };
@id("auditors") permit(principal in Group::"auditors", action == Action::"admin:audit", resource);
@id("robots") permit(principal == SystemAccount::"robot", action in [Action::"admin:grants", Action::"call"], resource);
@id("off") permit(principal == User::"off@example.com", action in Action::"admin", resource);
@id("not-eve") forbid(principal == User::"eve@example.com", action, resource);
`

type Case = { readonly module: string; readonly writes: boolean }
const everything = () => true
const nothing = () => false

/** Who comes, whether they are let in, and how it is answered where they are not. */
const CALLERS: Readonly<Record<string, { may: (of: Case) => boolean; or: 401 | 403 }>> = {
  'the token of the machine': { may: everything, or: 401 },
  'an admin': { may: everything, or: 403 },
  'an admin key of nobody': { may: everything, or: 403 },
  'an admin key of somebody without an account': { may: nothing, or: 403 },
  'an admin whom a rule forbids everything': { may: nothing, or: 403 },
  'somebody whom a rule permits everything': { may: everything, or: 403 },
  'somebody whom a rule permits to look': { may: ({ writes }) => !writes, or: 403 },
  'somebody whom a rule permits one module': { may: ({ module }) => module === 'audit', or: 403 },
  'a system account whom a rule permits one module': { may: ({ module }) => module === 'grants', or: 403 },
  'a system account': { may: nothing, or: 403 },
  'somebody whom no rule permits it': { may: nothing, or: 403 },
  'a guest': { may: nothing, or: 403 },
  'a switched-off account whom a rule permits everything': { may: nothing, or: 403 },
  'a key for gateways of somebody whom a rule permits everything': { may: nothing, or: 403 },
  'a key for SCIM': { may: nothing, or: 403 },
  'an access token of somebody whom a rule permits everything': { may: nothing, or: 401 },
  'a browser of somebody whom a rule permits everything': { may: nothing, or: 401 },
  'a stranger': { may: nothing, or: 401 },
}

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
let cwd: string
let house: TestHouse
const credentials = new Map<string, HeadersInit>()

const bearer = (token: string): HeadersInit => ({ authorization: `Bearer ${token}` })

async function account(
  userId: string,
  of: { role?: 'admin' | 'user' | 'guest'; group?: string; kind?: 'system' } = {},
) {
  const { accounts } = house.gatehouse.identity
  const { group, ...rest } = of
  const made = await accounts.create({ userId, ...rest }, ADMIN)
  if (group === undefined) return made
  await accounts.createGroup(group, ADMIN)
  await accounts.addMember(group, userId, ADMIN)
  return made
}

async function keyOf(userId: string | null, role: 'admin' | 'user' | 'scim' = 'admin'): Promise<HeadersInit> {
  const gateways = role === 'scim' ? [] : role === 'user' ? ['demo', 'other'] : ['*']
  return bearer((await house.gatehouse.identity.createKey({ userId, gateways, role }, ADMIN)).key)
}

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gatehouse-admin-matrix-'))
  await writeFile(join(cwd, 'rules.cedar'), BROAD + EXPLICIT)
  house = await startHouse({
    toml: `
      [policy]
      files = ["${cwd}/*.cedar"]

      [[servers]]
      name = "reference"
      transport = "builtin"

      [[gateways]]
      slug = "demo"
      tools = ["reference/*"]
    `,
  })
  await house.listed()
  const { identity } = house.gatehouse
  await account('admin@example.com', { role: 'admin' })
  await account('eve@example.com', { role: 'admin' })
  const { id } = await account('all@example.com')
  await account('look@example.com', { group: 'lookers' })
  await account('audit@example.com', { group: 'auditors' })
  await account('robot', { kind: 'system' })
  await account('machine', { kind: 'system' })
  await account('bob@example.com')
  await account('guest@example.com', { role: 'guest' })
  await account('off@example.com', {})
  await identity.accounts.update('off@example.com', { isActive: false }, ADMIN)
  const session = await identity.sessions.start({
    accountId: id,
    factor: 'passkey',
    from: { address: '127.0.0.1', agent: 'a browser' },
  })
  const { access } = await tokensFor(house, { accountId: id, gateway: 'demo' })
  const known: Record<keyof typeof CALLERS, HeadersInit> = {
    'the token of the machine': bearer(house.adminToken),
    'an admin': await keyOf('admin@example.com'),
    'an admin key of nobody': await keyOf(null),
    'an admin key of somebody without an account': await keyOf('nobody@example.com'),
    'an admin whom a rule forbids everything': await keyOf('eve@example.com'),
    'somebody whom a rule permits everything': await keyOf('all@example.com'),
    'somebody whom a rule permits to look': await keyOf('look@example.com'),
    'somebody whom a rule permits one module': await keyOf('audit@example.com'),
    'a system account whom a rule permits one module': await keyOf('robot'),
    'a system account': await keyOf('machine'),
    'somebody whom no rule permits it': await keyOf('bob@example.com'),
    'a guest': await keyOf('guest@example.com'),
    'a switched-off account whom a rule permits everything': await keyOf('off@example.com'),
    'a key for gateways of somebody whom a rule permits everything': await keyOf('all@example.com', 'user'),
    'a key for SCIM': await keyOf(null, 'scim'),
    'an access token of somebody whom a rule permits everything': bearer(access),
    'a browser of somebody whom a rule permits everything': {
      cookie: `gatehouse-session=${session.token}`,
      origin: house.url,
    },
    'a stranger': bearer('gh_nobody'),
  }
  for (const [who, headers] of Object.entries(known)) credentials.set(who, headers)
})

afterAll(async () => {
  await house.close()
  await rm(cwd, { recursive: true, force: true })
})

const FOR_ADMINS = ALL_OPERATIONS.filter(([, { access }]) => access === 'admin')
const caseOf = (operation: string): Case => {
  const found = ADMIN_OPERATIONS.find((one) => one.operation === operation)
  if (!found) throw new Error(`rules cannot speak of ${operation}`)
  return found
}

/** `in`: let in, whatever became of it then. */
async function attempt(who: string, operation: Operation): Promise<'in' | 401 | 403> {
  const body = sampleBody(operation)
  const response = await fetch(`${house.url}${samplePath(operation)}`, {
    method: operation.method,
    redirect: 'manual',
    headers: {
      ...Object.fromEntries(new Headers(credentials.get(who))),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  })
  if (operation.stream !== undefined) await response.body?.cancel()
  else await response.arrayBuffer()
  return response.status === 401 || response.status === 403 ? response.status : 'in'
}

/** One after the other, as what one makes may be what another one names. */
async function attemptAll(who: string) {
  const answers: [string, 'in' | 401 | 403][] = []
  for (const [id, operation] of FOR_ADMINS) answers.push([id, await attempt(who, operation)])
  return answers
}

test('the rules that permit too much are in force', async () => {
  const { rules, label } = await house.gatehouse.policy.policyState()

  expect(label).toMatch(/^v0\+/)
  expect(rules).toHaveLength(11)
})

test.each(Object.keys(CALLERS))('%s', async (who) => {
  const { may = nothing, or = 401 } = CALLERS[who] ?? {}
  const expected = FOR_ADMINS.map(([id]) => [id, may(caseOf(id)) ? 'in' : or])

  expect(await attemptAll(who)).toEqual(expected)
})

test('of every module it was said what writing to it gives', () => {
  const modules = [...new Set(ADMIN_OPERATIONS.map(({ module }) => module))]

  expect(modules.toSorted()).toEqual([...JUDGED_MODULES].toSorted())
})

test('what an operation is about is named by a part of its request', () => {
  const astray = ALL_OPERATIONS.filter(([, operation]) => isAstray(operation))

  expect(astray.map(([id]) => id)).toEqual([])
})

function isAstray({ about, ...operation }: Operation): boolean {
  return about !== undefined && !membersOf(operation[about.part]).includes(about.member)
}

/** Names of the members that a part of a request may have. */
function membersOf(part: Operation['params'] | Operation['body']): readonly string[] {
  const { shape, options } = Object(part)
  if (shape !== undefined) return Object.keys(shape)
  return Array.isArray(options) ? options.flatMap((option) => Object.keys(Object(option).shape ?? {})) : []
}
