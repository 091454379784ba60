/** A person of a house and their browser, without scripts: sets a password by a link, signs in, and says yes to programs. */
import { openBrowser, type Seen, type TestBrowser } from '../../src/signin/testing/browser.ts'
import type { TestHouse } from './start-house.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
export const PASSWORD = 'quiet otters cross the river'

/** Somebody at a browser. */
export type Answering = { readonly userId: string; readonly browser: TestBrowser }

type Person = Answering & { readonly accountId: string }

/** Makes a person with a password, by a one-time link as everybody is made; their browser is signed in. */
export async function addPerson(house: TestHouse, userId: string): Promise<Person> {
  const { id } = await house.gatehouse.identity.accounts.create({ userId }, ADMIN)
  const { token } = await house.gatehouse.identity.links.create(userId, ADMIN)
  const browser = openBrowser(house.url)
  await browser.get(`/setup/${token}`)
  await browser.post(`/setup/${token}`, { password: PASSWORD, again: PASSWORD })
  return { userId, accountId: id, browser }
}

/**
 * Follows an authorization address as a person at a browser does: signs in when asked to, says yes (or no) when asked
 * to, and stops at the first address that is not the house's. Resolves with that address, unvisited.
 */
export async function answer(
  person: Answering,
  { url, decision = 'allow' }: { readonly url: string; readonly decision?: 'allow' | 'deny' },
): Promise<URL> {
  const { browser, userId } = person
  const { origin } = new URL(url)
  let at = new URL(url)
  let seen = await browser.get(at.href)
  for (let steps = 0; steps < 12; steps += 1) {
    if (seen.location === null) {
      seen = await browser.post(at.href, fieldsFor(seen, { userId, decision }))
    } else {
      at = new URL(seen.location, at)
      if (at.origin !== origin) return at
      seen = await browser.get(at.href)
    }
  }
  throw new Error(`the way never led out of the house; last: ${seen.status} ${at.href} ${seen.text}`)
}

/** What a person fills in: the sign-in page has a password field, the consent page a choice. */
function fieldsFor(seen: Seen, { userId, decision }: { userId: string; decision: string }): Record<string, string> {
  if (seen.text.includes('name="decision"')) return { decision }
  if (seen.text.includes('name="password"')) return { user: userId, password: PASSWORD }
  throw new Error(`there is nothing to answer here: ${seen.status} ${seen.text}`)
}
