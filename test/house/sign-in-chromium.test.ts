import { describe, expect, test } from 'vitest'
import { addAuthenticator, hasChromium, openChromium } from '../../src/signin/testing/chromium.ts'
import { startHouse } from './start-house.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const PASSWORD = 'quiet otters cross the river'

describe.skipIf(!hasChromium())('a browser before a whole house', { timeout: 60_000 }, () => {
  test.each(['127.0.0.1', 'localhost'])('sets up a password, signs out and in, at %s', async (host) => {
    await using house = await startHouse({ toml: '' })
    await house.gatehouse.identity.accounts.create({ userId: 'ada@example.com', role: 'admin' }, ADMIN)
    const { token } = await house.gatehouse.identity.links.create('ada@example.com', ADMIN)
    const url = house.url.replace('127.0.0.1', host)
    await using browser = await openChromium({ width: 360, height: 800 })
    const { page } = browser

    await page.goto(`${url}/setup/${token}`)
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByLabel('Once more').fill(PASSWORD)
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.waitForURL('**/account/totp?first=1')
    await page.goto(`${url}/account`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('E-mail address or user name').fill('ada@example.com')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL('**/account')

    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('ada@example.com')
  })

  test('adds a passkey on the account page and signs in with it alone', async () => {
    await using house = await startHouse({ toml: '' })
    await house.gatehouse.identity.accounts.create({ userId: 'ada@example.com' }, ADMIN)
    const { token } = await house.gatehouse.identity.links.create('ada@example.com', ADMIN)
    const url = house.url.replace('127.0.0.1', 'localhost')
    await using browser = await openChromium({ width: 360, height: 800 })
    await addAuthenticator(browser)
    const { page } = browser

    await page.goto(`${url}/setup/${token}`)
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByLabel('Once more').fill(PASSWORD)
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.waitForURL('**/account/totp?first=1')
    await page.goto(`${url}/account/passkey`)
    await page.getByLabel('A name for it').fill('My reader')
    await page.getByRole('button', { name: 'Create the passkey' }).click()
    await page.getByText('The passkey is added.').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await page.waitForURL('**/account')

    expect(await page.getByText('Passkey: My reader').isVisible()).toBe(true)
  })
})
