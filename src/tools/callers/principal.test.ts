import { expect, test } from 'vitest'
import type { Member } from '#identity'
import { principalOf, renewed } from './principal.ts'
import type { Admission } from '../tools.ts'

const NAMED = { userId: 'alice@example.com', keyId: 'key_1', gateways: ['demo'] }
const ALICE: Member = {
  accountId: 'account_1',
  userId: 'alice@example.com',
  kind: 'person',
  role: 'user',
  groups: ['support'],
  claims: { department: 'sales' },
  isActive: true,
}

function admissionOf(principal: Admission['principal']): Admission {
  return { gateway: 'demo', ...NAMED, principal, from: { face: 'mcp', remoteAddress: null } }
}

test('what stays open goes on with the groups, role and claims of today', () => {
  const opened = admissionOf(principalOf(NAMED))

  const later = renewed(opened, () => ALICE)
  const gone = renewed(later, () => null)

  expect(later.principal).toEqual({
    ...opened.principal,
    kind: 'person',
    accountId: 'account_1',
    role: 'user',
    groups: ['support'],
    claims: { department: 'sales' },
  })
  expect(gone.principal).toEqual(opened.principal)
})

test.each(['anonymous', 'local-admin'] as const)('who came in as %s is nobody by name', (kind) => {
  const opened = admissionOf(principalOf(NAMED, kind))

  expect(renewed(opened, () => ALICE)).toBe(opened)
})
