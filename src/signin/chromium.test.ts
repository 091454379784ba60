import { Secret, TOTP } from 'otpauth'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { addAuthenticator, hasChromium, openChromium, type RealBrowser } from './testing/chromium.ts'
import { openTestPages, type TestPages } from './testing.ts'

const PASSWORD = 'quiet otters cross the river'
const USER = 'ada.with.a.rather.long.name@subsidiary.example.com'
const ASKS = {
  clientId: 'https://client.example/client.json',
  clientName: 'A Program',
  gateway: { slug: 'finance', title: 'Finance', scopes: [] },
  scopes: ['openid', 'mcp', 'offline_access'],
  signedInAfter: null,
}

/** Scripts and styles that a page's policy kept out, and what went wrong in its scripts. */
function watch(page: Page): readonly string[] {
  const seen: string[] = []
  page.on('pageerror', (error) => seen.push(error.message))
  page.on(
    'console',
    (message) => /Content Security Policy|Refused to/.test(message.text()) && seen.push(message.text()),
  )
  return seen
}

/** A page that must be moved sideways is too wide for its screen. */
async function expectToFit(page: Page): Promise<void> {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  expect({ at: page.url(), excess }).toEqual({ at: page.url(), excess: 0 })
}

async function setUpWithPasskey(pages: TestPages, { page }: RealBrowser): Promise<void> {
  await page.goto(`${pages.url}/setup/${await pages.makeSetup(USER)}`)
  await page.getByRole('button', { name: 'Create a passkey' }).click()
  await page.waitForURL('**/account/recovery-codes?first=1')
}

async function signOut(pages: TestPages, { page }: RealBrowser): Promise<void> {
  await page.goto(`${pages.url}/account`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('**/signin')
}

async function usePasskey({ page }: RealBrowser): Promise<void> {
  await page.getByRole('button', { name: 'Use a passkey' }).click()
}

async function trouble({ page }: RealBrowser): Promise<string> {
  await page.locator('#passkey-trouble').waitFor({ state: 'visible' })
  return (await page.locator('#passkey-trouble').textContent()) ?? ''
}

describe.skipIf(!hasChromium())('in Chromium', { timeout: 60_000 }, () => {
  test.each([360, 1_280])('from the first link to a connected program, on a screen of %i', async (width) => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width, height: 800 })
    const { page } = browser
    const complaints = watch(page)
    pages.server.questions.set('one', { ...ASKS, redirectUri: `${pages.url}/signin/one/ended` })

    await page.goto(`${pages.url}/setup/${await pages.makeSetup(USER)}`)
    await expectToFit(page)
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByLabel('Once more').fill(PASSWORD)
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.waitForURL('**/account/totp?first=1')
    await expectToFit(page)
    await page.getByText('Type it instead').click()
    const secret = ((await page.locator('details code').textContent()) ?? '').replaceAll(' ', '')
    await page.getByLabel('The code it shows now').fill(new TOTP({ secret: Secret.fromBase32(secret) }).generate())
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.getByRole('button', { name: 'Make recovery codes' }).click()
    await expect.poll(() => page.locator('.codes li').count()).toBe(10)
    await expectToFit(page)
    await page.getByRole('link', { name: 'I have kept them' }).click()
    await page.getByRole('heading', { name: 'How you sign in' }).waitFor()
    await expectToFit(page)
    await page.goto(`${pages.url}/signin/one`)
    await expectToFit(page)
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'Done' }).waitFor()

    expect(pages.server.answers).toEqual([`allow one ${USER}`])
    expect(complaints).toEqual([])
  })

  test('a passkey that was made on the first page signs in without a name', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    const complaints = watch(browser.page)
    await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    await signOut(pages, browser)

    await usePasskey(browser)
    await browser.page.waitForURL('**/account')

    expect((await pages.sessions()).map(({ factor }) => factor)).toEqual(['passkey'])
    expect(complaints).toEqual([])
  })

  test('a house without a name offers no passkey, and says why where one could be made', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    const { page } = browser
    const address = pages.url.replace('localhost', '127.0.0.1')
    const passkeys = page.locator('button[data-passkey]:visible')

    await page.goto(`${address}/setup/${await pages.makeSetup(USER)}`)
    const onSetup = [await passkeys.count(), await page.getByText('No passkeys here').isVisible()]
    await page.goto(`${address}/signin`)
    const onSignIn = [await passkeys.count(), await page.getByText('No passkeys here').count()]
    await page.goto(`${pages.url}/signin`)

    expect({ onSetup, onSignIn, withName: await passkeys.count() }).toEqual({
      onSetup: [0, true],
      onSignIn: [0, 0],
      withName: 1,
    })
  })

  test('an answer that was heard on the way signs in nobody else', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    await signOut(pages, browser)
    const heard = browser.page.waitForRequest((request) => request.url().includes('/signin/passkey?'))
    await usePasskey(browser)
    const answer = (await heard).postData() ?? ''
    await browser.page.waitForURL('**/account')
    await signOut(pages, browser)

    const again = await browser.page.evaluate(async (body) => {
      const csrf = document.querySelector<HTMLInputElement>('[name=csrf]')?.value ?? ''
      const headers = { 'content-type': 'application/json', 'x-csrf': csrf }
      const old = await fetch('/signin/passkey', { method: 'POST', headers, body })
      await fetch('/signin/passkey/options', { method: 'POST', headers, body: '{}' })
      const fresh = await fetch('/signin/passkey', { method: 'POST', headers, body })
      return [old.status, fresh.status]
    }, answer)

    expect(again).toEqual([400, 403])
    expect(await pages.sessions()).toEqual([])
  })

  test('a counter that goes back, as that of a copied authenticator does, is refused', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    const authenticatorId = await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    await signOut(pages, browser)
    await usePasskey(browser)
    await browser.page.waitForURL('**/account')
    await signOut(pages, browser)
    const { credentials } = await browser.devtools.send('WebAuthn.getCredentials', { authenticatorId })
    await browser.devtools.send('WebAuthn.clearCredentials', { authenticatorId })
    for (const credential of credentials)
      await browser.devtools.send('WebAuthn.addCredential', {
        authenticatorId,
        credential: { ...credential, signCount: 0 },
      })

    await usePasskey(browser)

    expect(await trouble(browser)).toContain('was not accepted')
    expect(await pages.sessions()).toEqual([])
  })

  test('a passkey that was used without a fingerprint or PIN is refused', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    const authenticatorId = await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    await signOut(pages, browser)
    // The page asks for less than we said, as a page of an attacker would.
    await browser.page.route('**/signin/passkey/options', async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, json: { ...(await response.json()), userVerification: 'discouraged' } })
    })
    await browser.devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })

    await usePasskey(browser)

    expect(await trouble(browser)).not.toBe('')
    expect(await pages.sessions()).toEqual([])
  })

  test('a passkey is of no use at another name of this machine', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    await signOut(pages, browser)
    await browser.page.goto(`${pages.url.replace('localhost', '127.0.0.1')}/signin`)

    const isShown = await browser.page.getByRole('button', { name: 'Use a passkey' }).isVisible()
    if (isShown) await usePasskey(browser)

    expect(isShown ? await trouble(browser) : 'not offered').not.toBe('')
    expect(await pages.sessions()).toEqual([])
  })

  test('a passkey of somebody who is not known here is refused', async () => {
    await using pages = await openTestPages()
    await using browser = await openChromium({ width: 360, height: 800 })
    await addAuthenticator(browser)
    await setUpWithPasskey(pages, browser)
    const { accountId } = pages.accountOf(USER)
    const { passkeys } = await pages.accounts.factors(accountId)
    await pages.accounts.removePasskey(accountId, passkeys[0]?.id ?? '')
    await signOut(pages, browser)

    await usePasskey(browser)

    expect(await trouble(browser)).toContain('not accepted')
  })

  test('every page can be used with the keyboard alone', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    await using browser = await openChromium({ width: 360, height: 800 })
    const { page } = browser

    await page.goto(`${pages.url}/signin`)
    await page.keyboard.type('ada')
    await page.keyboard.press('Tab')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/account')

    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('ada')
  })
})
