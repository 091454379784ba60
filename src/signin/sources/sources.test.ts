import { describe, expect, test } from 'vitest'
import { startCanary } from '../../../test/fakes/canary.ts'
import { startIdentityProvider, type Claims, type IdentityProvider } from '../../../test/fakes/identity-provider.ts'
import { openBrowser, type Seen, type TestBrowser } from '../testing/browser.ts'
import { openTestPages, type TestPages } from '../testing.ts'
import { identitySourceConfig } from './config.ts'

const PASSWORD = 'quiet otters cross the river'
const ADA = { sub: 's-ada', email: 'ada@example.com', email_verified: true, name: 'Ada' }

type World = { idp: IdentityProvider; pages: TestPages; [Symbol.asyncDispose](): Promise<void> }

/** A house with one source, `work`, and the provider behind it. */
async function openWorld(settings: object = {}, person: Claims = ADA): Promise<World> {
  const idp = await startIdentityProvider(person)
  const source = {
    issuer: idp.issuer,
    client_id: 'gatehouse',
    client_secret: 'a-long-secret-of-the-client',
    authoritative_domains: ['example.com'],
    auto_create: true,
    ...settings,
  }
  const pages = await openTestPages({
    sources: [
      { name: 'work', ...source },
      { name: 'other', ...source },
    ],
  })
  idp.redirectUris = ['work', 'other'].map((name) => `${pages.url}/signin/sources/${name}/callback`)
  const dispose = async (): Promise<void> => {
    await pages.close()
    await idp[Symbol.asyncDispose]()
  }
  return { idp, pages, [Symbol.asyncDispose]: dispose }
}

/** From the button to the address at which the provider sends the browser back. */
async function goThere(world: World, browser: TestBrowser, query = ''): Promise<string> {
  const left = await browser.get(`/signin/sources/work${query}`)
  const there = openBrowser(world.idp.issuer)
  let at = await there.get(left.location ?? '')
  while (at.location !== null && new URL(at.location, world.idp.issuer).origin === new URL(world.idp.issuer).origin)
    at = await there.get(at.location)
  return at.location ?? at.text
}

async function signInThere(world: World, browser = openBrowser(world.pages.url)): Promise<Seen> {
  return browser.get(await goThere(world, browser))
}

describe('whoever signs in at a source', () => {
  test('gets an account where the source makes some, and is the same one the next time', async () => {
    await using world = await openWorld(
      { groups_claim: 'groups', group_map: { g1: 'engineering' } },
      { ...ADA, groups: ['g1'] },
    )

    const first = await signInThere(world)
    const { accountId } = world.pages.accountOf('ada@example.com')
    world.idp.person = { ...ADA, email: 'renamed@example.com', groups: [] }
    const second = await signInThere(world)

    expect([first.location, second.location]).toEqual(['/account', '/account'])
    expect((await world.pages.sessions()).map((one) => [one.accountId, one.factor])).toEqual([
      [accountId, 'upstream'],
      [accountId, 'upstream'],
    ])
    expect(world.pages.accountOf('ada@example.com').groups).toEqual([])
    expect(await world.pages.accounts.findByUserId('renamed@example.com')).toBeNull()
  })

  test('in two windows at once for the first time gets one account, and is let in in both', async () => {
    await using world = await openWorld()
    const windows = Array.from({ length: 5 }, () => openBrowser(world.pages.url))
    const callbacks = await Promise.all(windows.map((browser) => goThere(world, browser)))

    const seen = await Promise.all(windows.map((browser, index) => browser.get(callbacks[index] ?? '')))

    expect(seen.map(({ status, location }) => `${status} ${location}`)).toEqual(windows.map(() => '303 /account'))
    expect(new Set((await world.pages.sessions()).map(({ accountId }) => accountId))).toEqual(
      new Set([world.pages.accountOf('ada@example.com').accountId]),
    )
  })

  test('is not let in, nor shown as somebody new, when the account was removed', async () => {
    await using world = await openWorld()
    await signInThere(world)
    await world.pages.remove('ada@example.com')
    world.idp.person = { ...ADA, sub: 'somebody-else' }

    const again = await signInThere(world)

    expect(again.status).toBe(403)
    expect(again.text).toContain('This account is switched off')
  })

  test('is asked for a code with PKCE, state and nonce, and without `resource`', async () => {
    await using world = await openWorld()

    await signInThere(world)

    const asked = Object.fromEntries(world.idp.asked[0] ?? [])
    expect(asked).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', scope: 'openid profile email' })
    expect(Object.keys(asked)).toEqual(expect.arrayContaining(['state', 'nonce', 'code_challenge']))
    expect(asked).not.toHaveProperty('resource')
  })

  test.each<[what: string, settings: object, person: Claims]>([
    ['an address that is not verified', {}, { ...ADA, email_verified: false }],
    ['an address of another domain', {}, { ...ADA, email: 'ada@evil.example' }],
    ['no account where none is made', { auto_create: false }, ADA],
    ['groups that were left out', { groups_claim: 'groups' }, { ...ADA, hasgroups: true }],
  ])('is not let in with %s', async (_, settings, person) => {
    await using world = await openWorld(settings, person)

    const seen = await signInThere(world)

    expect(seen.status).toBe(403)
    expect(await world.pages.sessions()).toEqual([])
    const { records } = await world.pages.audit.search({ what: 'sign-in.attempted' })
    expect(records).toMatchObject([{ decision: 'denied' }])
  })

  test('does not become a local account of the same address; its owner links it with a factor of this house', async () => {
    await using world = await openWorld()
    await world.pages.add('ada@example.com', { password: PASSWORD })

    const refused = await signInThere(world)
    const owner = openBrowser(world.pages.url)
    await owner.signIn('ada@example.com', PASSWORD)
    const linked = await owner.get(await goThere(world, owner, '?link=1'))
    const later = await signInThere(world)

    expect([refused.status, linked.location, later.location]).toEqual([403, '/account?done=link', '/account'])
    expect(refused.text).toContain('You have an account here')
  })

  test('joins an account that provisioning made and nobody else can open', async () => {
    await using world = await openWorld({ auto_create: false })
    const { accountId } = await world.pages.add('ada@example.com')

    const seen = await signInThere(world)

    expect(seen.location).toBe('/account')
    expect((await world.pages.sessions())[0]?.accountId).toBe(accountId)
  })

  test('is refused by a source that is switched off, also with an old link', async () => {
    await using world = await openWorld({ enabled: false })

    expect((await openBrowser(world.pages.url).get('/signin/sources/work')).status).toBe(404)
    expect((await openBrowser(world.pages.url).get('/signin')).text).not.toContain('/signin/sources/')
  })

  test('is refused when the account here is switched off', async () => {
    await using world = await openWorld()
    await signInThere(world)
    await world.pages.switchOff('ada@example.com')

    expect((await signInThere(world)).status).toBe(403)
  })

  test('is accepted where the metadata is that of Entra, with a tenant to fill in', async () => {
    const person = { sub: 'pairwise', oid: 'o1', tid: 't1', preferred_username: 'ada@example.com' }
    await using world = await openWorld({ kind: 'entra', user_id_claim: 'preferred_username' }, person)
    world.idp.metadata = (published) => ({ ...published, issuer: `${world.idp.issuer.slice(0, -1)}{tenantid}` })

    const seen = await signInThere(world)

    expect(seen.location).toBe('/account')
    const [link] = await world.pages.sources.links(world.pages.accountOf('ada@example.com').accountId)
    expect(link).toMatchObject({ source: 'work' })
  })
})

describe('sources that are declared anew', () => {
  test('are on the page at once, and gone from it when they are switched off', async () => {
    await using world = await openWorld()
    const [work] = world.pages.sources.list()
    const buttons = async () => [
      ...(await openBrowser(world.pages.url).get('/signin')).text.matchAll(/sources\/(\w+)/g),
    ]
    const names = async () => (await buttons()).map(([, name]) => name)

    const before = await names()
    world.pages.sources.declare([
      identitySourceConfig.parse({ ...work, enabled: false }),
      identitySourceConfig.parse({ ...work, name: 'new' }),
    ])
    const after = await names()
    const refused = await openBrowser(world.pages.url).get('/signin/sources/work')

    expect([before, after, refused.status]).toEqual([['work', 'other'], ['new'], 404])
  })

  test('let nobody in who was sent to the one before, and everybody who comes by the new one', async () => {
    await using world = await openWorld()
    await using other = await startIdentityProvider({ ...ADA, sub: 's-elsewhere' })
    other.redirectUris = world.idp.redirectUris
    const [work] = world.pages.sources.list()
    const away = openBrowser(world.pages.url)
    const callback = await goThere(world, away)

    world.pages.sources.declare([identitySourceConfig.parse({ ...work, issuer: other.issuer })])
    const late = await away.get(callback)
    const fresh = await signInThere({ ...world, idp: other })

    expect([late.status, fresh.location]).toEqual([403, '/account'])
    expect(late.text).toContain('was changed in between')
    expect(other.asked).toHaveLength(1)
  })

  test('that stay as they are go on for whoever is there', async () => {
    await using world = await openWorld()
    const away = openBrowser(world.pages.url)
    const callback = await goThere(world, away)

    world.pages.sources.declare(world.pages.sources.list().map((source) => identitySourceConfig.parse(source)))

    expect((await away.get(callback)).location).toBe('/account')
  })
})

describe('attacks', () => {
  test("the attacker's answer, opened in the victim's browser, signs nobody in", async () => {
    await using world = await openWorld()
    const attackers = await goThere(world, openBrowser(world.pages.url))

    const victim = openBrowser(world.pages.url)
    await victim.get('/signin')
    const seen = await victim.get(attackers)

    expect([seen.status, victim.cookies.has('gatehouse-session')]).toEqual([400, false])
  })

  test('an answer is taken once', async () => {
    await using world = await openWorld()
    const browser = openBrowser(world.pages.url)
    const answer = await goThere(world, browser)
    await browser.get(answer)

    expect((await browser.get(answer)).status).toBe(400)
  })

  test.each<[what: string, change: (url: URL) => void]>([
    ['the issuer of another provider', (url) => url.searchParams.set('iss', 'https://other.example')],
    ['no issuer at all', (url) => url.searchParams.delete('iss')],
    ['two issuers', (url) => url.searchParams.append('iss', 'https://other.example')],
    ['a made-up code', (url) => url.searchParams.set('code', 'made-up')],
    ['the address of another source', (url) => (url.pathname = url.pathname.replace('work', 'other'))],
  ])('an answer with %s is refused', async (_, change) => {
    await using world = await openWorld()
    const browser = openBrowser(world.pages.url)
    const url = new URL(await goThere(world, browser))

    change(url)
    const seen = await browser.get(url.href)

    expect([400, 403]).toContain(seen.status)
    expect(await world.pages.sessions()).toEqual([])
  })

  test('a provider with another issuer than the declared one is not used', async () => {
    await using world = await openWorld()
    world.idp.metadata = (published) => ({ ...published, issuer: 'https://other.example' })

    expect((await openBrowser(world.pages.url).get('/signin/sources/work')).status).toBe(502)
  })

  test.each(['token_endpoint', 'jwks_uri'])('a provider leads us to nothing inside by its %s', async (name) => {
    const canary = await startCanary('127.0.0.2')
    await using world = await openWorld()
    world.idp.metadata = (published) => ({ ...published, [name]: `http://127.0.0.2:${canary.port}/` })

    const seen = await signInThere(world)
    await canary.close()

    expect([seen.status >= 400, canary.connections()]).toEqual([true, 0])
    expect(await world.pages.sessions()).toEqual([])
  })

  test('a provider may name a host inside that was declared', async () => {
    const canary = await startCanary('127.0.0.2')
    await using world = await openWorld({ allow_hosts: ['127.0.0.2'] })
    world.idp.metadata = (published) => ({ ...published, token_endpoint: `http://127.0.0.2:${canary.port}/` })

    await signInThere(world)
    await canary.close()

    expect(canary.connections()).toBeGreaterThan(0)
  })

  test('a session made by a source links no further one', async () => {
    await using world = await openWorld()
    const browser = openBrowser(world.pages.url)
    await signInThere(world, browser)

    expect((await browser.get('/signin/sources/other?link=1')).status).toBe(403)
  })

  test('an identity that is linked already is linked to nobody else', async () => {
    await using world = await openWorld()
    await signInThere(world)
    await world.pages.add('mallory', { password: PASSWORD })
    const mallory = openBrowser(world.pages.url)
    await mallory.signIn('mallory', PASSWORD)

    const seen = await mallory.get(await goThere(world, mallory, '?link=1'))

    expect(seen.status).toBe(403)
  })
})

describe('the preview', () => {
  test('shows an administrator whom a source that is switched off would make of them, and changes nothing', async () => {
    await using world = await openWorld({ enabled: false }, { ...ADA, department: '<b>R&D</b>' })
    await world.pages.add('root', { password: PASSWORD, role: 'admin' })
    const browser = openBrowser(world.pages.url)
    await browser.signIn('root', PASSWORD)

    const seen = await browser.get(await goThere(world, browser, '?preview=1'))

    expect(seen.text).toContain('You would be: ada@example.com')
    expect(seen.text).toContain('&lt;b&gt;R&amp;D')
    expect(await world.pages.accounts.findByUserId('ada@example.com')).toBeNull()
  })

  test('is for administrators', async () => {
    await using world = await openWorld()
    await world.pages.add('bob', { password: PASSWORD })
    const browser = openBrowser(world.pages.url)
    await browser.signIn('bob', PASSWORD)

    expect((await browser.get('/signin/sources/work?preview=1')).status).toBe(403)
  })
})
