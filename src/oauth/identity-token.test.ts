import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { createIdentitySigner } from './identity-token.ts'
import type { SigningKey } from './signing-keys/schema.ts'

const START = 1_800_000_000_000

function signer() {
  const pair = (kid: string): SigningKey => ({
    kid,
    alg: 'ES256',
    privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  })
  const at = { now: START, key: pair('first') }
  const keyRing = { signer: () => at.key }
  const clock = { now: () => at.now }
  const sign = createIdentitySigner({ keyRing, clock, issuer: () => 'https://house.example' })
  return { at, sign, pair }
}

const ANNE = { aud: 'a', sub: 'acc_anne', tool: 'x' }

test('a token has the type, the key and the times that are promised', async () => {
  const { sign, at } = signer()

  const token = sign(ANNE)
  const { payload } = await jwtVerify(token, createPublicKey(at.key.privateKey), { currentDate: new Date(START) })

  expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'gatehouse-identity+jwt', kid: 'first' })
  expect(payload).toMatchObject({ ...ANNE, iss: 'https://house.example', iat: START / 1_000, exp: START / 1_000 + 60 })
})

test('the same words are signed once in twenty seconds, so that forty are left of the token', () => {
  const { sign, at } = signer()
  const first = sign(ANNE)

  at.now = START + 19_999
  const again = sign({ ...ANNE })
  at.now = START + 20_000
  const later = sign(ANNE)

  expect(again).toBe(first)
  expect(later).not.toBe(first)
  expect(decodeJwt(later).exp).toBe(START / 1_000 + 80)
})

test.each([
  ['subject', { ...ANNE, sub: 'acc_ben' }],
  ['audience', { ...ANNE, aud: 'b' }],
  ['tool', { ...ANNE, tool: 'y' }],
  ['group', { ...ANNE, groups: ['admins'] }],
])('another %s gets another token', (_what, claims) => {
  const { sign } = signer()
  sign(ANNE)

  expect(decodeJwt(sign(claims))).toMatchObject(claims)
})

test('a new key signs at once, whatever is kept', () => {
  const { sign, at, pair } = signer()
  sign(ANNE)

  at.key = pair('second')

  expect(decodeProtectedHeader(sign(ANNE)).kid).toBe('second')
})

test('more callers than are kept get their own all the same', () => {
  const { sign } = signer()
  const first = sign(ANNE)
  const subjects = Array.from({ length: 11_000 }, (_, n) => `acc_${n}`)

  const wrong = subjects.filter((sub) => decodeJwt(sign({ ...ANNE, sub })).sub !== sub)

  expect(wrong).toEqual([])
  expect(sign(ANNE)).not.toBe(first)
})
