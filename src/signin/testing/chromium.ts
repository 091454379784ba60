/** For tests only: a real browser with an authenticator of its own. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type CDPSession, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'

/** True where Debian's Chromium is installed. */
export function hasChromium(): boolean {
  return existsSync(CHROMIUM)
}

export type RealBrowser = {
  readonly page: Page
  readonly context: BrowserContext
  /** The DevTools protocol of the page. */
  readonly devtools: CDPSession
  [Symbol.asyncDispose](): Promise<void>
}

export async function openChromium(size: { width: number; height: number }): Promise<RealBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'gatehouse-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    viewport: size,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const page = context.pages()[0] ?? (await context.newPage())
  const devtools = await context.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  return {
    page,
    context,
    devtools,
    [Symbol.asyncDispose]: async () => {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}

/** A fingerprint reader that keeps passkeys; `isVerified: false`: nobody touches it rightly. */
export async function addAuthenticator({ devtools }: RealBrowser, { isVerified = true } = {}): Promise<string> {
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: isVerified,
      automaticPresenceSimulation: true,
    },
  })
  return authenticatorId
}
