import { expect, test } from 'vitest'
import type { Access } from '#http'
import { Problem } from '#kernel'
import { FORBIDDEN, UNAUTHENTICATED } from './problems.ts'
import { authorizeApi } from './routes.ts'

const ADMIN_TOKEN = 'gha_local'
const KEYS = new Map([
  ['Bearer admin', { ok: true, keyId: 'key_1', userId: null } as const],
  ['Bearer user', { ok: false, problem: new Problem(FORBIDDEN, 'not an admin'), keyId: null } as const],
])
const deps = {
  adminToken: { matches: (sent: string | undefined) => sent === ADMIN_TOKEN },
  identity: {
    authenticateAdmin: ({ authorization }: { authorization?: string | undefined }) =>
      KEYS.get(authorization ?? '') ?? {
        ok: false as const,
        problem: new Problem(UNAUTHENTICATED, 'no key'),
        keyId: null,
      },
  },
}

function authorize(access: Access, authorization: string, remoteAddress: string) {
  const headers = new Headers(authorization === '' ? {} : { authorization })
  return authorizeApi(deps, access, { headers, remoteAddress }).kind
}

test.each<[Access, string, string, string]>([
  ['gateway', 'Bearer user', '203.0.113.9', 'key'],
  ['gateway', '', '127.0.0.1', 'key'],
  ['gateway', 'Bearer admin', '203.0.113.9', 'admin'],
  ['admin', ADMIN_TOKEN, '127.0.0.1', 'admin'],
  ['open', '', '203.0.113.9', 'anybody'],
])('%s operations with "%s" from %s: %s', (access, authorization, from, kind) => {
  expect(authorize(access, authorization, from)).toBe(kind)
})

test.each<[Access, string, string]>([
  ['admin', 'Bearer user', '127.0.0.1'],
  ['admin', '', '127.0.0.1'],
  ['gateway', '', '203.0.113.9'],
  ['gateway', 'Bearer guessed', '203.0.113.9'],
  ['gateway', '', 'a proxy'],
])('%s operations with "%s" from %s are refused before anything is read', (access, authorization, from) => {
  expect(() => authorize(access, authorization, from)).toThrow(Problem)
})
