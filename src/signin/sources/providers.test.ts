import { describe, expect, test } from 'vitest'
import { startIdentityProvider, type Claims } from '../../../test/fakes/identity-provider.ts'
import { listen } from '../../../test/fakes/listen.ts'
import { openBrowser } from '../testing/browser.ts'
import { openTestPages } from '../testing.ts'

/** Providers as they are: which claims they send, what they call somebody, and what of it may change. */

type Provider = {
  readonly settings: object
  readonly ada: Claims
  readonly asRoot: object
  readonly unverified: object
}

const ROOT = 'root@example.com'
const PASSWORD = 'quiet otters cross the river'
const PROVIDERS: Readonly<Record<string, Provider>> = {
  'Entra ID': {
    settings: { kind: 'entra', user_id_claim: 'preferred_username', group_map: { 'g-1': 'engineering' } },
    ada: { sub: 'pairwise', oid: 'o-1', tid: 't-1', preferred_username: 'ada@example.com', groups: ['g-1'] },
    asRoot: { preferred_username: ROOT, email: ROOT },
    unverified: { preferred_username: 'ada@elsewhere.example', email: ROOT, email_verified: true },
  },
  Okta: {
    settings: { kind: 'okta', groups_from: 'all' },
    ada: { sub: '00u1', email: 'ada@example.com', email_verified: true, groups: ['engineering'] },
    asRoot: { email: ROOT },
    unverified: { email: ROOT, email_verified: false },
  },
  Google: {
    settings: { kind: 'google', groups_from: 'all' },
    ada: { sub: '113', email: 'ada@example.com', email_verified: true, groups: ['engineering'] },
    asRoot: { email: ROOT },
    unverified: { email: ROOT, email_verified: false },
  },
}

async function openWorld({ settings, ada }: Provider) {
  const idp = await startIdentityProvider(ada)
  const declared = { authoritative_domains: ['example.com'], auto_create: true, groups_claim: 'groups', ...settings }
  const client = { client_id: 'gatehouse', client_secret: 'a-long-secret-of-the-client' }
  const pages = await openTestPages({ sources: [{ name: 'work', issuer: idp.issuer, ...client, ...declared }] })
  idp.redirectUris = [`${pages.url}/signin/sources/work/callback`]
  await pages.add(ROOT, { password: PASSWORD })
  const signIn = async (changes: object = {}) => {
    idp.person = { ...ada, ...changes }
    const browser = openBrowser(pages.url)
    const there = openBrowser(idp.issuer)
    let at = (await browser.get('/signin/sources/work')).location ?? ''
    while (at.startsWith('/') || at.startsWith(idp.issuer)) at = (await there.get(at)).location ?? ''
    const seen = await browser.get(at)
    return { status: seen.status, who: (await pages.sessions()).at(-1)?.accountId ?? null }
  }
  const close = async (): Promise<void> => {
    await pages.close()
    await idp[Symbol.asyncDispose]()
  }
  return { idp, pages, signIn, [Symbol.asyncDispose]: close }
}

describe.each(Object.entries(PROVIDERS))('%s', (_name, provider) => {
  test('keeps somebody who they were, whatever they are called there now', async () => {
    await using world = await openWorld(provider)
    const first = await world.signIn()
    const { accountId, groups } = world.pages.accountOf('ada@example.com')

    const renamed = await world.signIn({ ...provider.asRoot, groups: [] })
    const { groups: later } = world.pages.accountOf('ada@example.com')

    expect([first, renamed]).toEqual([
      { status: 303, who: accountId },
      { status: 303, who: accountId },
    ])
    expect([groups, later]).toEqual([['engineering'], []])
  })

  test('opens nobody’s account of this house to whoever has the address, verified or not', async () => {
    await using world = await openWorld(provider)

    const verified = await world.signIn({ sub: 'new', oid: 'o-2', ...provider.asRoot })
    const unverified = await world.signIn({ sub: 'other', oid: 'o-3', ...provider.unverified })

    expect([verified, unverified]).toEqual([
      { status: 403, who: null },
      { status: 403, who: null },
    ])
  })
})

describe('Okta, whose ID tokens hold little when an access token comes with them', () => {
  const ada = {
    sub: '00u1',
    email: 'ada@example.com',
    email_verified: true,
    groups: ['engineering'],
    department: 'sales',
  }
  const okta = { settings: { kind: 'okta', groups_from: 'all', keep_claims: ['department'] }, ada }
  const openThinWorld = async () => {
    const world = await openWorld({ ...okta, asRoot: {}, unverified: {} })
    world.idp.told = (person, where) => (where === 'id_token' ? { sub: person.sub, email: person['email'] } : person)
    return world
  }

  test('is asked for the rest', async () => {
    await using world = await openThinWorld()

    const { status } = await world.signIn()

    expect(status).toBe(303)
    expect(world.pages.accountOf('ada@example.com')).toMatchObject({
      groups: ['engineering'],
      claims: { department: 'sales' },
    })
  })

  test.each([
    ['about somebody else', 200, { ...ada, sub: 'somebody-else' }],
    ['that the address is not verified', 200, { ...ada, email_verified: false }],
    ['that another address is verified', 200, { ...ada, email: ROOT }],
    ['with an error', 503, ada],
    ['with more than is read', 200, { ...ada, department: 'x'.repeat(2_000_000) }],
  ])('signs nobody in when it answers there %s', async (_what, status, said) => {
    await using world = await openThinWorld()
    await using endpoint = await listen((_, res) => {
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said))
    })
    world.idp.metadata = (published) => ({ ...published, userinfo_endpoint: endpoint.url })

    const seen = await world.signIn()

    expect([seen, world.pages.hasAccount('ada@example.com')]).toEqual([{ status: 403, who: null }, false])
  })
})
