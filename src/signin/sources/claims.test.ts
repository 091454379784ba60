import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { readClaims } from './claims.ts'
import { identitySourceConfig } from './config.ts'
import { pinnedIssuer } from './upstream.ts'

const base = { name: 'work', issuer: 'https://idp.example/t', client_id: 'gatehouse' }
const ours = { authoritative_domains: ['example.com'] }
const verified = { sub: 's1', email: 'Ada@Example.com', email_verified: true }

function read(settings: object, claims: JsonObject) {
  return readClaims(identitySourceConfig.parse({ ...base, ...settings }), claims)
}

describe('the user id', () => {
  test.each<[what: string, settings: object, claims: JsonObject, userId: string | null]>([
    ['of a verified address of our domain', ours, verified, 'ada@example.com'],
    ['not of an address of another domain', ours, { ...verified, email: 'ada@evil.example' }, null],
    ['not of a domain that only ends like ours', ours, { ...verified, email: 'ada@notexample.com' }, null],
    ['not of two addresses in one', ours, { ...verified, email: 'ada@evil.example@example.com ' }, null],
    ['not of an unverified address', ours, { ...verified, email_verified: false }, null],
    ['not of an address nobody says is verified', ours, { sub: 's1', email: 'ada@example.com' }, null],
    ['not where no domain is ours', {}, verified, null],
    ['of another claim', { user_id_claim: 'employee' }, { ...verified, employee: 'e-17' }, 'e-17'],
    ['of a number', { user_id_claim: 'employee' }, { ...verified, employee: 17 }, '17'],
    ['not of a claim that is missing', { user_id_claim: 'employee' }, verified, null],
    ['not of a claim with control characters', { user_id_claim: 'employee' }, { ...verified, employee: 'a\nb' }, null],
    [
      'not of a changeable name that looks like an address',
      { ...ours, user_id_claim: 'preferred_username' },
      { ...verified, preferred_username: 'root@example.com' },
      null,
    ],
    [
      'at Entra, of a sign-in name in a verified domain',
      { ...ours, kind: 'entra', user_id_claim: 'preferred_username' },
      { oid: 'o', tid: 't', preferred_username: 'ada@example.com' },
      'ada@example.com',
    ],
    [
      'at Entra, not of an address that its owner can change',
      { ...ours, kind: 'entra' },
      { oid: 'o', tid: 't', email: 'ada@example.com', email_verified: true },
      null,
    ],
    [
      'at Entra, of an address whose domain owner was verified',
      { ...ours, kind: 'entra' },
      { oid: 'o', tid: 't', email: 'ada@example.com', xms_edov: '1' },
      'ada@example.com',
    ],
  ])('is taken %s', (_, settings, claims, userId) => {
    const reading = read(settings, claims)

    expect(reading).toMatchObject({ ok: true, person: { userId } })
  })
})

describe('the link', () => {
  test('is by sub, and by tid and oid at Entra, where sub differs from application to application', () => {
    const claims = { ...verified, oid: 'o1', tid: 't1' }

    expect(read({}, claims)).toMatchObject({ person: { subject: 's1' } })
    expect(read({ kind: 'entra' }, claims)).toMatchObject({ person: { subject: 't1/o1' } })
    expect(read({ subject_claim: 'oid' }, claims)).toMatchObject({ person: { subject: 'o1' } })
  })

  test('is not made without its claim', () => {
    expect(read({ kind: 'entra' }, verified)).toMatchObject({ ok: false, reason: expect.stringContaining('"tid"') })
  })
})

describe('groups', () => {
  const map = { 'g-1': 'engineering', 'g-2': 'engineering', Ops: 'operations' }

  test.each<[what: string, settings: object, claims: JsonObject, groups: string[]]>([
    [
      'are those of the map',
      { groups_claim: 'groups', group_map: map },
      { groups: ['g-1', 'Ops', 'x'] },
      ['engineering', 'operations'],
    ],
    ['are named once', { groups_claim: 'groups', group_map: map }, { groups: ['g-1', 'g-2'] }, ['engineering']],
    ['keep their names where all are wanted', { groups_claim: 'groups', groups_from: 'all' }, { groups: ['x'] }, ['x']],
    ['may be one text', { groups_claim: 'groups', groups_from: 'all' }, { groups: 'x' }, ['x']],
    ['are none without a claim', { groups_claim: 'groups', groups_from: 'all' }, {}, []],
    ['are none without the setting', {}, { groups: ['x'] }, []],
    [
      'are not found in what every object has',
      { groups_claim: 'groups', group_map: map },
      { groups: ['constructor'] },
      [],
    ],
  ])('%s', (_, settings, claims, groups) => {
    expect(read(settings, { ...verified, ...claims })).toMatchObject({ ok: true, person: { groups } })
  })

  test.each<[JsonObject]>([
    [{ _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph.example' } } }],
    [{ hasgroups: true }],
    [{ hasgroups: 'true' }],
  ])('that were left out because there are too many refuse the sign-in: %j', (claims) => {
    expect(read({ groups_claim: 'groups' }, { ...verified, ...claims })).toMatchObject({
      ok: false,
      reason: expect.stringContaining('overage'),
    })
  })
})

test.each([
  ['the same', 'oidc', 'https://login.example/t1/v2.0', 'https://login.example/t1/v2.0'],
  ['a template of Entra', 'entra', 'https://login.example/{tenantid}/v2.0', 'https://login.example/t1/v2.0'],
  ['a template of anybody else', 'oidc', 'https://login.example/{tenantid}/v2.0', null],
  ['a template with another host', 'entra', 'https://evil.example/{tenantid}/v2.0', null],
  ['another tenant', 'entra', 'https://login.example/t2/v2.0', null],
  ['a slash more', 'oidc', 'https://login.example/t1/v2.0/', null],
] as const)('the published issuer is %s', (_, kind, published, expected) => {
  expect(pinnedIssuer({ kind, issuer: 'https://login.example/t1/v2.0' }, published)).toBe(expected)
})

test.each([
  ['http to another machine', { issuer: 'http://idp.example' }],
  ['the tenant of everybody', { kind: 'entra', issuer: 'https://login.microsoftonline.com/common/v2.0' }],
  ['any organisation', { kind: 'entra', issuer: 'https://login.microsoftonline.com/organizations/v2.0' }],
  ['a misspelt key', { autocreate: true }],
])('settings with %s are refused', (_, settings) => {
  expect(identitySourceConfig.safeParse({ ...base, ...settings }).success).toBe(false)
})
