import { Secret, TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const PASSWORD = 'quiet otters cross the river'

/** A person with a password, made by a one-time link as everybody is. */
async function setUp(house: TestHouse, userId: string) {
  await house.gatehouse.identity.accounts.create({ userId }, ADMIN)
  const { token } = await house.gatehouse.identity.links.create(userId, ADMIN)
  const browser = openBrowser(house.url)
  await browser.get(`/setup/${token}`)
  const seen = await browser.post(`/setup/${token}`, { password: PASSWORD, again: PASSWORD })
  return { browser, seen, token }
}

describe('a person', () => {
  test('sets up a password and an app by a link, and signs in with both; link and code are good once', async () => {
    await using house = await startHouse({ toml: '' })
    const { browser, seen, token } = await setUp(house, 'ada@example.com')
    expect(seen.location).toBe('/account/totp?first=1')

    const page = await browser.get('/account/totp?first=1')
    const secret = /Key: <code>([^<]+)/.exec(page.text)?.[1]?.replaceAll(' ', '') ?? ''
    const totp = new TOTP({ secret: Secret.fromBase32(secret) })
    const mistyped = await browser.post('/account/totp?first=1', { code: '000000' })
    const confirmed = await browser.post('/account/totp?first=1', { code: totp.generate() })
    await browser.get('/account/recovery-codes')
    const codes = [...(await browser.post('/account/recovery-codes', {})).text.matchAll(/<li>([\w-]+)<\/li>/g)]
    const again = await openBrowser(house.url).get(`/setup/${token}`)
    const other = openBrowser(house.url)
    const half = await other.signIn('ada@example.com', PASSWORD)
    const replayed = await other.post('/signin/factor', { code: totp.generate() })
    const recovered = await other.post('/signin/factor', { recovery: codes[0]?.[1] ?? '' })

    expect([mistyped.status, confirmed.location, codes.length]).toEqual([400, '/account/recovery-codes?first=1', 10])
    expect(again.status).toBe(404)
    expect([half.text.includes('Second step'), replayed.status, recovered.location]).toEqual([true, 403, '/account'])
    expect((await other.get('/account')).text).toContain('9 left')
  })

  test('sees and ends the keys and sessions that are theirs, and nobody else can', async () => {
    await using house = await startHouse({ toml: '' })
    const ada = (await setUp(house, 'ada')).browser
    const eve = (await setUp(house, 'eve')).browser
    const wish = { userId: 'ada', gateways: ['default'], name: 'laptop' }
    const key = await house.gatehouse.identity.createKey(wish, ADMIN)

    await eve.get('/account')
    const stolen = await eve.post('/account/keys/revoke', { id: key.id })
    const page = await ada.get('/account')
    const ended = await ada.post('/account/keys/revoke', { id: key.id })

    expect([stolen.status, page.text.includes('laptop'), ended.location]).toEqual([404, true, '/account?done=key'])
    expect((await ada.get('/account')).text).not.toContain('laptop')
  })

  test('is out everywhere when the account is switched off', async () => {
    await using house = await startHouse({ toml: '' })
    const { browser } = await setUp(house, 'ada')

    await house.gatehouse.identity.accounts.update('ada', { isActive: false }, ADMIN)

    expect((await browser.get('/account')).status).toBe(303)
    expect((await browser.signIn('ada', PASSWORD)).status).toBe(403)
  })

  test('is nobody when the account is removed, with a live session and with the right password', async () => {
    await using house = await startHouse({ toml: '' })
    const { browser } = await setUp(house, 'gone@example.com')

    await house.gatehouse.identity.accounts.remove('gone@example.com', ADMIN)
    const account = await browser.get('/account')
    const again = await openBrowser(house.url).signIn('gone@example.com', PASSWORD)

    expect([account.status, account.location]).toEqual([303, '/signin?return=%2Faccount'])
    expect(again.status).toBe(403)
  })

  test('is stopped by the login policy with a live session, as soon as the rule is there', async () => {
    await using house = await startHouse({ toml: '' })
    const { browser } = await setUp(house, 'ada')
    const before = await browser.get('/account')
    const cli = testCli({ cwd: house.dataDir })
    const add = ['login-policy', 'add', 'two', '--effect', 'deny', '--service', 'account', '--factor', 'password']

    await cli(...add, '--data', house.dataDir)
    const after = await browser.get('/account')
    const ask = ['login-policy', 'test', '--user', 'ada', '--service', 'account', '--factor', 'password']
    const tested = await cli(...ask, '--data', house.dataDir)

    expect([before.status, after.status, tested.code]).toEqual([200, 403, 1])
    expect(tested.out).toContain('the rule "two" refuses')
  })

  test('leaves no password, code or token in the log or the trail', async () => {
    await using house = await startHouse({ toml: '' })
    const { browser, token } = await setUp(house, 'ada')
    await browser.signIn('ada', 'a wrong password that nobody may read')
    const session = browser.cookies.get('gatehouse-session') ?? 'none'

    const { records } = await house.gatehouse.audit.search({})
    const written = [...house.logs, ...records.map((record) => JSON.stringify(record))].join('\n')

    expect(records.some(({ what }) => what === 'sign-in')).toBe(true)
    expect([PASSWORD, 'a wrong password', token, session].filter((secret) => written.includes(secret))).toEqual([])
  })
})

test('an administrator tries the login policy on a page, which says what the command line says', async () => {
  const rule =
    '[[login_policy.rules]]\nid = "two-factors"\neffect = "deny"\nservices = ["payroll"]\nfactors = ["password"]'
  await using house = await startHouse({ toml: rule })
  const { browser: eve } = await setUp(house, 'eve')
  const { browser: root } = await setUp(house, 'root')
  await house.gatehouse.identity.accounts.update('root', { role: 'admin' }, ADMIN)
  const query = '/account/login-policy?user=eve&service=payroll&from=&factor='

  const refused = await root.get(`${query}password`)
  const allowed = await root.get(`${query}passkey`)
  const strange = await root.get('/account/login-policy?user=eve&service=payroll&from=nowhere&factor=')

  expect(refused.text).toMatch(/Refused[^]*two-factors[^]*decides/)
  expect(allowed.text).toContain('Let in')
  expect([strange.status, (await eve.get(query)).status]).toEqual([400, 403])
})

test('the pages are no place for other sites, and the API keeps its own headers', async () => {
  await using house = await startHouse({ toml: '' })

  const strange = await fetch(`${house.url}/signin`, { headers: { origin: 'https://evil.example' } })
  const health = await fetch(`${house.url}/livez`)

  expect(strange.status).toBe(403)
  expect(health.headers.get('content-security-policy')).toBeNull()
})

test('an identity source is listed with its address and previewed before it is switched on', async () => {
  const source = `[[identity_sources]]
    name = "work"
    issuer = "https://login.example.com"
    client_id = "gatehouse"
    enabled = false
    auto_create = true
    authoritative_domains = ["example.com"]`
  await using house = await startHouse({ toml: source })
  const claims = { sub: 's', email: 'ada@example.com', email_verified: true }
  const cli = testCli({ cwd: house.dataDir, input: JSON.stringify(claims) })
  const token = `e30.${Buffer.from(JSON.stringify({ ...claims, email_verified: false })).toString('base64url')}.x`

  const listed = await cli('identity-source', 'list', '--data', house.dataDir)
  const known = await cli('identity-source', 'preview', 'work', '--data', house.dataDir)
  const unverified = testCli({ cwd: house.dataDir, input: token })
  const refused = await unverified('identity-source', 'preview', 'work', '--data', house.dataDir)

  expect(listed.out).toContain('/signin/sources/work/callback')
  expect(known.out).toContain('You would be: ada@example.com')
  expect([known.code, refused.code]).toEqual([0, 1])
  expect(refused.out).toContain('verified')
})

test.each([
  ['linked alike', 'kind = "okta"', null],
  [
    'linked by different claims',
    'subject_claim = "employee"',
    /"staff" and "guests" have one issuer.* the same subject_claim/,
  ],
])('two sources of one issuer, %s', async (_what, more, refusal) => {
  const source = (name: string, rest = '') =>
    `[[identity_sources]]\nname = "${name}"\nissuer = "https://login.example.com"\nclient_id = "${name}"\n${rest}\n`
  const started = startHouse({ toml: source('staff') + source('guests', more) })

  if (refusal === null) await (await started).close()
  else await expect(started).rejects.toThrow(refusal)
})
