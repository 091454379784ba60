import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCli } from '../../src/cli/testing.ts'
import { hasChromium, openChromium, type RealBrowser } from '../../src/signin/testing/chromium.ts'
import { hasApache, placeForApache, startApache, type Apache } from '../fakes/apache.ts'
import { addPerson, PASSWORD } from './person.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** A relying party that others made: Apache's `mod_auth_openidc`, with people at a real browser. */

describe.skipIf(!hasApache() || !hasChromium())('an application behind Apache', { timeout: 60_000 }, () => {
  let house: TestHouse
  let apache: Apache
  let goodbye: string
  let browser: RealBrowser

  beforeAll(async () => {
    house = await startHouse({ toml: '[oauth]\nallow_hosts = ["127.0.0.1/32"]\n' })
    const place = await placeForApache()
    goodbye = place.goodbye
    const addresses = ['--redirect', place.callback, '--post-logout-redirect', goodbye]
    const words = ['--name', 'Intranet', ...addresses, '--back-channel-logout', place.backChannel, '--json']
    const made = await testCli({ cwd: house.dataDir })('client', 'create', ...words, '--data', house.dataDir)
    const { id, secret } = JSON.parse(made.out)
    apache = await startApache(place, { issuer: house.url, clientId: id, clientSecret: secret })
    await addPerson(house, 'ada@example.com')
    browser = await openChromium({ width: 360, height: 800 })
  }, 60_000)
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
    await apache?.[Symbol.asyncDispose]()
    await house?.close()
  })

  /** Opens the application; signs in at the house where that is asked for. Resolves with whom the application sees. */
  async function open(): Promise<Record<'x-user' | 'x-userinfo', string>> {
    const { page } = browser
    await page.goto(apache.url)
    if (page.url().includes('/signin?')) {
      await page.getByLabel('E-mail address or user name').fill('ada@example.com')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    const inside = page.waitForResponse((response) => response.url() === `${apache.url}/` && response.ok())
    await page.getByRole('button', { name: 'Allow' }).click()
    const { 'x-user': user = '', 'x-userinfo': info = '' } = (await inside).headers()
    return { 'x-user': user, 'x-userinfo': info }
  }

  /** Where somebody ends up who opens the application now. */
  async function landing(): Promise<string> {
    await browser.page.goto(apache.url)
    return browser.page.url()
  }

  test('sees who it is, by the id token and by userinfo', async () => {
    const seen = await open()

    const { id } = await house.gatehouse.identity.accounts.get('ada@example.com')
    expect(seen['x-user']).toBe('ada@example.com')
    expect(JSON.parse(seen['x-userinfo'])).toMatchObject({ sub: id, preferred_username: 'ada@example.com' })
    expect(await landing()).toBe(`${apache.url}/`)
  })

  test('signs somebody out, at the house as well when they want it', async () => {
    const { page } = browser

    await page.goto(`${apache.url}/oidc?logout=${encodeURIComponent(goodbye)}`)
    await page.getByText('Intranet asks for it').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(goodbye)

    expect(await landing()).toContain(`${house.url}/signin?`)
  })

  test('is told when somebody signs out at the house', async () => {
    const { page } = browser
    await open()

    await page.goto(`${house.url}/account`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL('**/signin')

    expect(await landing()).toContain(`${house.url}/signin?`)
  })

  test('lets people in although the keys have changed, as often as it likes', async () => {
    const seen = [(await open())['x-user']]
    for (let turn = 0; turn < 2; turn += 1) {
      await house.gatehouse.keyRing.rotate({ now: true, dropOld: turn === 1 }, ADMIN)
      await browser.context.clearCookies({ domain: 'localhost' })
      seen.push((await open())['x-user'])
    }

    expect(seen).toEqual(Array.from({ length: 3 }, () => 'ada@example.com'))
    expect(await apache.log()).not.toMatch(/signature|verify/i)
  })
})
