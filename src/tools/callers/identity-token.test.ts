import { expect, test } from 'vitest'
import type { Principal } from '#identity'
import type { JsonObject } from '#kernel'
import { serverConfig, type ServerConfigInput } from '../config.ts'
import { identityOfCaller, identityOfHouse } from './identity-token.ts'

const ANNE: Principal = {
  userId: 'anne@example.com',
  kind: 'person',
  accountId: 'acc_anne',
  role: 'user',
  groups: ['support'],
  claims: { department: 'secret to servers' },
  keyId: 'key_1',
  clientId: null,
  scopes: null,
  gateways: ['*'],
}

/** What is signed, and nothing of how. */
const said: JsonObject[] = []
const sign = (claims: JsonObject): string => {
  said.push(claims)
  return 'signed'
}

function claimsFor(input: ServerConfigInput, principal: Principal = ANNE): JsonObject | undefined {
  const identity = identityOfCaller(sign, serverConfig.parse(input), { principal, gateway: 'demo', tool: 'whoami' })
  return identity?.() === 'signed' ? said.at(-1) : undefined
}

const HTTP = { name: 'up', transport: 'http', url: 'https://up.example/mcp', identity_token: true } as const
const STDIO: ServerConfigInput = { name: 'up', transport: 'stdio', command: ['up'], identity_token: true }
const WORKER = {
  name: 'up',
  transport: 'worker',
  url: 'https://up.example',
  secret: 's',
  identity_token: true,
} as const

test.each([
  ['an HTTP server', HTTP, 'https://up.example/mcp'],
  ['a worker', WORKER, 'https://up.example'],
  ['a program', STDIO, 'gatehouse:server:up'],
  ['a server with an audience of its own', { ...HTTP, identity_audience: 'tickets' }, 'tickets'],
])('the token is for %s alone', (_what, input, aud) => {
  expect(claimsFor(input)?.['aud']).toBe(aud)
})

test.each([
  ['does not want it', { ...HTTP, identity_token: false }],
  ['only names an audience', { ...HTTP, identity_token: false, identity_audience: 'tickets' }],
  ['is built in', { name: 'reference', transport: 'builtin' } as const],
])('a server that %s gets none', (_what, input) => {
  expect(claimsFor(input)).toBeUndefined()
  expect(identityOfHouse(sign, serverConfig.parse(input))).toBeUndefined()
})

test('what is told of a caller is this and no more', () => {
  expect(claimsFor(HTTP)).toEqual({
    aud: 'https://up.example/mcp',
    sub: 'acc_anne',
    user: 'anne@example.com',
    account: 'person',
    role: 'user',
    groups: ['support'],
    gateway: 'demo',
    tool: 'whoami',
  })
})

test('clients that act for a person are in it, the one that acts now outermost', () => {
  const principal = { ...ANNE, clientId: 'agent', actors: ['agent', 'desk'] }

  expect(claimsFor(HTTP, principal)).toMatchObject({ client: 'agent', act: { sub: 'agent', act: { sub: 'desk' } } })
})

test('whoever has no account is never taken for one', () => {
  const nobody: Principal = { ...ANNE, kind: 'unknown', accountId: null, userId: 'acc_anne', role: null, groups: [] }

  expect(claimsFor(HTTP, nobody)).toMatchObject({ sub: 'user:acc_anne', account: 'unknown' })
  expect(claimsFor(HTTP, nobody)).not.toHaveProperty('role')
})
