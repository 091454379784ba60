import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testCli, type TestCli } from '../../src/cli/testing.ts'
import { post, REDIRECT } from './oauth-client.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** A client's secret is changed while it is in use, in time or because somebody else has it. */

const HOUR = 3_600_000

let house: TestHouse
let cli: TestCli
let later = 0

beforeAll(async () => {
  house = await startHouse({ toml: '', clock: { now: () => Date.now() + later } })
  cli = testCli({ cwd: dirname(house.dataDir) })
})

afterAll(async () => {
  await house.close()
  await rm(house.dataDir, { recursive: true, force: true })
})

type Made = { readonly id: string; readonly secret: string; readonly earlierSecretsEnd: number | null }

async function json(...words: string[]): Promise<Made> {
  const ran = await cli(...words, '--data', house.dataDir, '--json')
  expect(ran).toMatchObject({ code: 0, err: '' })
  return JSON.parse(ran.out)
}

const create = () => json('client', 'create', '--name', 'Wiki', '--redirect', REDIRECT)
const rotate = (id: string, overlap: string) => json('client', 'rotate', id, '--overlap', overlap)

/** A client that proves who it is hears that its refresh token is none (400), any other that it is not let in (401). */
async function taken(id: string, secrets: readonly string[]): Promise<boolean[]> {
  const form = { grant_type: 'refresh_token', refresh_token: 'none', client_id: id }
  const all = secrets.map((client_secret) => post(`${house.url}/oauth/token`, { ...form, client_secret }))
  return (await Promise.all(all)).map(({ status, body }) => {
    expect([status, body['error']]).toEqual(status === 400 ? [400, 'invalid_grant'] : [401, 'invalid_client'])
    return status === 400
  })
}

test('the old secret is taken beside the new one until the overlap is over', async () => {
  const old = await create()

  const made = await rotate(old.id, '2h')
  const beside = await taken(old.id, [old.secret, made.secret])
  const shown = await json('client', 'show', old.id)
  later += 2 * HOUR
  const after = await taken(old.id, [old.secret, made.secret])

  expect(made.secret).toMatch(/^ghc_[\w-]{43}$/)
  expect([beside, after]).toEqual([
    [true, true],
    [false, true],
  ])
  expect(shown.earlierSecretsEnd).toBe(made.earlierSecretsEnd)
  expect(await json('client', 'show', old.id)).toMatchObject({ earlierSecretsEnd: null })
})

test('without an overlap every secret from before is refused at once', async () => {
  const first = await create()
  const second = await rotate(first.id, '24h')

  const third = await rotate(first.id, '0s')

  expect(await taken(first.id, [first.secret, second.secret, third.secret])).toEqual([false, false, true])
  expect(third.earlierSecretsEnd).toBeNull()
})

test('a second rotation does not cut the overlap of the first', async () => {
  const first = await create()
  const second = await rotate(first.id, '1h')
  const third = await rotate(first.id, '24h')

  const now = await taken(first.id, [first.secret, second.secret, third.secret])
  later += HOUR
  const after = await taken(first.id, [first.secret, second.secret, third.secret])

  expect([now, after]).toEqual([
    [true, true, true],
    [false, true, true],
  ])
})

test('of two who rotate at the same time, both are told a secret that counts', async () => {
  const { id } = await create()

  const { clients } = house.gatehouse.oauth
  const made = await Promise.all([1, 2, 3].map(() => clients.rotateSecret(id, { overlapSeconds: 60 }, {})))
  const secrets = made.map(({ secret }) => String(secret))

  expect(await taken(id, secrets)).toEqual([true, true, true])
})

test('what is kept of the secrets is none of them', async () => {
  const { id, secret } = await create()
  const made = await rotate(id, '1h')

  const guesses = [
    `${secret} ${made.secret}`,
    `${made.secret} ${secret}@${made.earlierSecretsEnd}`,
    ' ',
    '@',
    'sha256:',
  ]

  expect(await taken(id, guesses)).toEqual(guesses.map(() => false))
})

test('a rotation is in the audit trail, without the secret', async () => {
  const { id } = await create()
  const made = await rotate(id, '1h')

  const { records } = await house.gatehouse.audit.search({ what: 'oauth.client-secret-rotated' })

  const [record] = records.filter(({ client }) => client === id)
  expect(record).toMatchObject({ decision: 'allowed', extra: { earlierSecretsEnd: made.earlierSecretsEnd } })
  expect(JSON.stringify(records) + house.logs.join()).not.toContain(made.secret)
})

test.each([
  ['a public client', ['--public'], '1h', 'has a secret'],
  ['an overlap that is no time', [], 'soon', 'write a duration'],
  ['an overlap without end', [], '60d', 'overlapSeconds'],
])('%s is not rotated, and it is told why', async (_what, words, overlap, why) => {
  const { id } = await json('client', 'create', '--name', 'x', '--redirect', REDIRECT, ...words)

  const ran = await cli('client', 'rotate', id, '--overlap', overlap, '--data', house.dataDir)

  expect(ran.code).not.toBe(0)
  expect(ran.err).toContain(why)
})
