import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { hasChromium, openChromium, type RealBrowser } from '../../src/signin/testing/chromium.ts'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { freePort } from '../fakes/listen.ts'
import { startRelyingParty, type RelyingParty } from '../fakes/relying-party.ts'
import { register, textOf } from './oauth-client.ts'
import { addPerson, answer, PASSWORD } from './person.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { eventually } from './talk.ts'

/** Web applications of others, where people sign in with the house and out again. */

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const

let house: TestHouse
let wiki: RelyingParty
let shop: RelyingParty

beforeAll(async () => {
  house = await startHouse({ toml: '[oauth]\nallow_hosts = ["127.0.0.1/32"]\n' })
  ;[wiki, shop] = await Promise.all([startRelyingParty('Wiki'), startRelyingParty('Shop')])
  await Promise.all([introduce(wiki), introduceByAdmin(shop)])
})
afterAll(async () => {
  await Promise.all([wiki.close(), shop.close()])
  await house.close()
})

/** The client registers itself. */
async function introduce(party: RelyingParty, at = house): Promise<void> {
  const { body } = await register(at, party.metadata)
  const [clientId, clientSecret] = [textOf(body['client_id']), textOf(body['client_secret'])]
  await party.trust({ issuer: at.url, clientId, clientSecret })
}

/** An admin makes the client. */
async function introduceByAdmin(party: RelyingParty): Promise<void> {
  const cli = testCli({ cwd: house.dataDir })
  const addresses = ['--redirect', `${party.url}/callback`, '--post-logout-redirect', `${party.url}/signed-out`]
  const told = ['--back-channel-logout', textOf(party.metadata['backchannel_logout_uri'])]
  const made = await cli('client', 'create', '--name', 'Shop', ...addresses, ...told, '--json', '--data', house.dataDir)
  const { id, secret } = JSON.parse(made.out)
  await party.trust({ issuer: house.url, clientId: id, clientSecret: secret })
}

/** A person whose browser is signed in at the house and at these applications. */
async function personAt(userId: string, parties: readonly RelyingParty[], at = house) {
  const person = await addPerson(at, userId)
  const there = parties.map((party) => openBrowser(party.url))
  for (const browser of there) {
    const left = await browser.get('/sign-in')
    await browser.get((await answer(person, { url: left.location ?? '' })).href)
  }
  return { ...person, there }
}

describe.skipIf(!hasChromium())('a person at a real browser', { timeout: 60_000 }, () => {
  test('signs in to an application, is known there by name, and signs out of both', async () => {
    await addPerson(house, 'ada@example.com')
    await using browser = await openChromium({ width: 360, height: 800 })
    const { page } = browser

    await signInAt(browser, wiki, 'ada@example.com')
    const known = await page.locator('h1').textContent()
    await page.goto(`${wiki.url}/sign-out`)
    const question = await page.locator('main').textContent()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL('**/signed-out?*')
    const goodbye = await page.locator('h1').textContent()
    await page.goto(`${house.url}/account`)

    expect(known).toBe('Wiki: ada@example.com')
    expect(question).toMatch(/Wiki\s+asks for it/)
    expect(question).toContain('ada@example.com')
    expect(goodbye).toBe('Wiki: goodbye and thank you')
    expect(page.url()).toContain('/signin?return=')
  })

  async function signInAt({ page }: RealBrowser, party: RelyingParty, userId: string): Promise<void> {
    await page.goto(`${party.url}/sign-in`)
    await page.getByLabel('E-mail address or user name').fill(userId)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.waitForURL(`${party.url}/`)
  }
})

test('whoever signs out by one application is signed out of the others, which are told for this session alone', async () => {
  const { browser, there } = await personAt('bob', [wiki, shop])
  const other = await personAt('bea', [shop])
  const before = [...shop.people()]

  const asked = (await there[0]?.get('/sign-out'))?.location ?? ''
  const page = await browser.get(asked)
  const token = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const left = await browser.post('/oauth/end-session/confirm', { xsrf: token, logout: 'yes' })

  expect(before).toEqual(expect.arrayContaining(['bob', 'bea']))
  expect(shop.people()).toEqual(before.filter((name) => name !== 'bob'))
  expect(shop.told.at(-1)).toMatchObject({ iss: house.url })
  expect(left.location).toBe(`${wiki.url}/signed-out?state=and+thank+you`)
  expect((await browser.get('/account')).location).toContain('/signin')
  expect((await other.browser.get('/account')).status).toBe(200)
})

test('whoever stays signed in stays so here and at the others', async () => {
  const { browser, there } = await personAt('cleo', [wiki, shop])

  const page = await browser.get((await there[0]?.get('/sign-out'))?.location ?? '')
  const token = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const left = await browser.post('/oauth/end-session/confirm', { xsrf: token })

  expect(left.location).toContain('/signed-out')
  expect(shop.people()).toContain('cleo')
  expect((await browser.get('/account')).status).toBe(200)
})

test('whoever signs out of the house is signed out of every application', async () => {
  const { browser } = await personAt('dan', [wiki, shop])

  await browser.get('/account')
  await browser.post('/account/sign-out', {})

  expect([...wiki.people(), ...shop.people()]).not.toContain('dan')
})

test.each(['deactivated', 'removed'])('whose account is %s is signed out of every application', async (how) => {
  const person = await personAt(`fay-${how}`, [wiki, shop])
  const other = await personAt(`gil-${how}`, [shop])
  const { accounts } = house.gatehouse.identity
  const known = [...wiki.people(), ...shop.people()].filter((name) => name === `fay-${how}`)

  if (how === 'removed') await accounts.remove(person.accountId, ADMIN)
  else await accounts.update(person.accountId, { isActive: false }, ADMIN)

  expect(known).toHaveLength(2)
  await eventually(
    () => [...wiki.people(), ...shop.people()],
    (names) => !names.includes(`fay-${how}`),
  )
  expect(shop.people()).toContain(`gil-${how}`)
  expect((await other.browser.get('/account')).status).toBe(200)
})

test('what a house did not get to say of a closed account, it says when it is there again, once', async () => {
  const [dataDir, port] = [await mkdtemp(join(tmpdir(), 'gatehouse-closed-')), await freePort()]
  const toml = `[server]\nlisten = "127.0.0.1:${port}"\n[oauth]\nallow_hosts = ["127.0.0.1/32"]\n`
  const first = await startHouse({ toml, dataDir })
  await using mall = await startRelyingParty('Mall')
  await introduce(mall, first)
  const { accountId } = await personAt('hal', [mall], first)
  const before = mall.people()

  await first.gatehouse.identity.accounts.update(accountId, { isActive: false }, ADMIN)
  await first.close()
  const untold = mall.people()
  await using again = await startHouse({ toml, dataDir })
  await eventually(
    () => mall.people(),
    (names) => names.length === 0,
  )

  expect([before, untold]).toEqual([['hal'], ['hal']])
  expect(mall.told).toMatchObject([{ iss: again.url }])
  await rm(dataDir, { recursive: true })
})

test('an application that does not answer keeps nobody signed in, and the log says so', async () => {
  const gone = await startRelyingParty('Gone')
  await introduce(gone)
  const { browser } = await personAt('eve', [gone, shop])
  await gone.close()

  await browser.get('/account')
  const left = await browser.post('/account/sign-out', {})

  expect([left.status, left.location]).toEqual([303, '/signin'])
  expect(shop.people()).not.toContain('eve')
  await eventually(
    async () => house.logs.join('\n'),
    (text) => text.includes('could not be told that somebody signed out'),
  )
})

describe('nobody is led on', () => {
  test('without a button, whether somebody is signed in or not', async () => {
    const back = `${wiki.url}/signed-out`
    const { body } = await register(house, { redirect_uris: [back], post_logout_redirect_uris: [back] })
    const asked = new URLSearchParams({ client_id: textOf(body['client_id']), post_logout_redirect_uri: back })

    const page = await openBrowser(house.url).get(`/oauth/end-session?${asked}`)

    expect([page.status, page.location]).toEqual([200, null])
    expect(page.headers.get('content-security-policy')).toContain(`script-src 'none'; form-action 'self' ${wiki.url};`)
    expect(page.text).not.toContain('<script')
    expect(page.text).toContain(new URL(back).host)
  })

  test.each(['https://evil.example/', 'javascript:alert(1)', '//evil.example'])(
    'to %s, which is not registered',
    async (url) => {
      const { body } = await register(house)
      const asked = new URLSearchParams({ client_id: textOf(body['client_id']), post_logout_redirect_uri: url })

      const page = await openBrowser(house.url).get(`/oauth/end-session?${asked}`)
      const unknown = await openBrowser(house.url).get(
        `/oauth/end-session?post_logout_redirect_uri=${encodeURIComponent(url)}`,
      )

      expect([page.status, page.location, unknown.status, unknown.location]).toEqual([400, null, 200, null])
      expect(unknown.text).not.toContain('evil')
    },
  )

  test.each([
    { post_logout_redirect_uris: ['javascript:alert(1)'] },
    { post_logout_redirect_uris: ['http://evil.example/'] },
    { backchannel_logout_uri: 'file:///etc/passwd' },
    { backchannel_logout_uri: 'https://user:word@app.example/' },
    { backchannel_logout_uri: 'https://app.example/#x' },
  ])('by a registration with %j, which is refused', async (metadata) => {
    expect((await register(house, metadata)).status).toBe(400)
  })
})
