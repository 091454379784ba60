import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCanary, type Canary } from '../fakes/canary.ts'
import { Browser, REDIRECT, register } from './oauth-client.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** Addresses that a client names lead the house to nothing inside: nobody ever connects to a listener there. */

const HOSTS = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '2130706433',
  '017700000001',
  '0.0.0.0',
  'localhost',
  'localhost.',
  'app.localhost',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '169.254.169.254',
  '[fe80::1]',
  '[fd00:ec2::254]',
  '10.0.0.1',
  '192.168.0.1',
  '100.64.0.1',
  '①②⑦.⓪.⓪.①',
]
let house: TestHouse
let canaries: readonly Canary[]
let port: number
/** Registrations are counted by the hour. */
const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }

beforeAll(async () => {
  const first = await startCanary('127.0.0.1')
  port = first.port
  canaries = [first, await startCanary('::1', port)]
  house = await startHouse({ toml: '', clock })
})
afterAll(async () => {
  await house.close()
  await Promise.all(canaries.map((canary) => canary.close()))
})

const reached = (): number => canaries.reduce((sum, canary) => sum + canary.connections(), 0)

function authorizeAs(clientId: string) {
  const asked = { response_type: 'code', client_id: clientId, redirect_uri: REDIRECT, scope: 'mcp', state: 's' }
  const pkce = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
  return new Browser().visit(`${house.url}/oauth/authorize?${new URLSearchParams({ ...asked, ...pkce })}`)
}

describe.each(HOSTS)('%s', (host) => {
  beforeAll(() => void (clock.skippedMs += 3_700_000))

  test('holds no metadata document of a client', async () => {
    const seen = await Promise.all(
      ['https', 'http'].map((scheme) => authorizeAs(`${scheme}://${host}:${port}/client.json`)),
    )

    expect(seen.map(({ status, location }) => [status, location])).toEqual([
      [400, ''],
      [400, ''],
    ])
    expect(reached()).toBe(0)
  })

  test.each(['jwks_uri', 'sector_identifier_uri', 'logo_uri', 'client_uri', 'policy_uri', 'tos_uri'])(
    'is no %s that a client may register',
    async (name) => {
      const { status } = await register(house, { [name]: `https://${host}:${port}/x` })

      expect([status, reached()]).toEqual([400, 0])
    },
  )
})

test('the listener is there, so that nobody reaching it means something', async () => {
  await fetch(`http://127.0.0.1:${port}/`).catch(() => {})

  expect(reached()).toBe(1)
})
