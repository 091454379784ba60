import { expect, test } from 'vitest'
import type { Access } from '#http'
import { Problem } from '#kernel'
import { authorizeApi, type AdminVerdict, type AuthorizeDeps } from './authorize-api.ts'
import type { AdminAuthentication } from './keyring.ts'
import { FORBIDDEN, UNAUTHENTICATED } from './problems.ts'

const ADMIN_TOKEN = 'gha_local'

function keyOf(userId: string, isAdmin: boolean): AdminAuthentication {
  const of = { kind: 'person', accountId: 'acc', role: isAdmin ? 'admin' : 'user', groups: [], claims: {} } as const
  const through = { keyId: `key_${userId}`, clientId: null, scopes: null, gateways: ['*'] }
  return { ok: true, keyId: through.keyId, userId, isAdmin, principal: { userId, ...of, ...through } }
}

const KEYS = new Map<string, AdminAuthentication>([
  ['Bearer admin', keyOf('root', true)],
  ['Bearer forbidden', keyOf('forbidden', true)],
  ['Bearer permitted', keyOf('permitted', false)],
  ['Bearer user', { ok: false, problem: new Problem(FORBIDDEN, 'not for admins'), keyId: 'key_user' }],
])
const RULE = { rule: 'a-rule', reason: 'a rule says so', isFinal: true } as const
const deps: AuthorizeDeps = {
  adminToken: { matches: (sent) => sent === ADMIN_TOKEN },
  identity: {
    authenticateAdmin: ({ authorization = '' }) =>
      KEYS.get(authorization) ?? { ok: false, problem: new Problem(UNAUTHENTICATED, 'no key'), keyId: null },
  },
  policy: {
    administer: ({ principal }): AdminVerdict => ({
      ...RULE,
      effect: principal.userId === 'forbidden' ? 'deny' : 'allow',
    }),
  },
}
const READ = { module: 'audit', operation: 'searchAudit', writes: false, about: null }

function authorize(access: Access, authorization: string, remoteAddress: string): string {
  const headers = new Headers(authorization === '' ? {} : { authorization })
  const admission = authorizeApi(deps, access, { headers, remoteAddress }, READ)
  return 'caller' in admission ? admission.caller.kind : admission.refused.kind.code
}

test.each<[Access, string, string, string]>([
  ['gateway', 'Bearer user', '203.0.113.9', 'key'],
  ['gateway', '', '127.0.0.1', 'key'],
  ['gateway', 'Bearer admin', '203.0.113.9', 'admin'],
  ['admin', ADMIN_TOKEN, '127.0.0.1', 'admin'],
  ['admin', 'Bearer permitted', '203.0.113.9', 'admin'],
  ['open', '', '203.0.113.9', 'anybody'],
])('%s operations with "%s" from %s: %s', (access, authorization, from, kind) => {
  expect(authorize(access, authorization, from)).toBe(kind)
})

test.each<[Access, string, string]>([
  ['admin', 'Bearer user', '127.0.0.1'],
  ['admin', 'Bearer forbidden', '127.0.0.1'],
  ['admin', '', '127.0.0.1'],
  ['gateway', '', '203.0.113.9'],
  ['gateway', 'Bearer guessed', '203.0.113.9'],
  ['gateway', '', 'a proxy'],
])('%s operations with "%s" from %s are refused before anything is read', (access, authorization, from) => {
  expect(authorize(access, authorization, from)).toMatch(/^identity\//)
})

test.each<[string, Access, string]>([
  ['whoever a rule permits something acts for nobody at a gateway', 'gateway', 'Bearer permitted'],
  ['an admin whom a rule forbids it acts for nobody at a gateway', 'gateway', 'Bearer forbidden'],
])('%s', (_, access, authorization) => {
  expect(authorize(access, authorization, '203.0.113.9')).toBe('key')
})
