import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser, type TestBrowser } from '../../src/signin/testing/browser.ts'
import { REDIRECT, register, textOf } from './oauth-client.ts'
import { addPerson, answer } from './person.ts'
import { REFERENCE } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** Somebody's browser does what somebody else began: mix-ups, planted cookies, forged hosts, words that become headers. */

const CHALLENGE = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
let house: TestHouse
let clientId: string

beforeAll(async () => {
  house = await startHouse({ toml: REFERENCE })
  await house.listed()
  clientId = textOf((await register(house)).body['client_id'])
})
afterAll(() => house.close())

function authorizationUrl(change: Record<string, string> = {}): string {
  const params = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT,
    scope: 'openid mcp',
    ...CHALLENGE,
  }
  const query = new URLSearchParams({ ...params, state: 'the-state', resource: `${house.url}/mcp/demo`, ...change })
  return `${house.url}/oauth/authorize?${query}`
}

describe('an authorization that somebody else began', () => {
  test('is answered by nobody who is led to its page, and gives its beginner nothing', async () => {
    const ada = await addPerson(house, 'ada-led')
    const mallory = openBrowser(house.url)
    const begun = (await mallory.get(authorizationUrl())).location ?? ''

    const page = await ada.browser.get(begun)
    const yes = await ada.browser.post(begun, { decision: 'allow' })
    await ada.browser.get('/account')
    const yesWithToken = await ada.browser.post(begun, { decision: 'allow' })
    const again = await mallory.get(begun)

    expect(begun).toMatch(/^\/signin\/[\w-]+$/)
    expect([page.status, yes.status, yesWithToken.status]).toEqual([404, 403, 404])
    expect(page.text).toContain('begun in another browser')
    expect(again.location).toContain('/signin?return=')
  })

  test('leaves nobody signed in as its beginner, whose cookies were planted', async () => {
    const mallory = await addPerson(house, 'mallory-plants')
    await answer(mallory, { url: authorizationUrl() })
    const ada = await addPerson(house, 'ada-planted')
    for (const [name, value] of cookiesOf(mallory.browser)) ada.browser.cookies.set(name, value)

    const back = await answer(ada, { url: authorizationUrl({ state: 'of ada' }) })
    const grants = await house.gatehouse.oauth.server.grants(ada.accountId)

    expect([back.searchParams.get('state'), back.searchParams.get('iss')]).toEqual(['of ada', house.url])
    expect(back.searchParams.get('code')).toBeTruthy()
    expect(grants).toHaveLength(1)
    expect(await house.gatehouse.oauth.server.grants(mallory.accountId)).toHaveLength(1)
  })

  test('goes on after a sign-in of somebody else only as that one', async () => {
    const ada = await addPerson(house, 'ada-shares')
    await addPerson(house, 'eve-shares')
    const begun = (await ada.browser.get(authorizationUrl())).location ?? ''
    const page = await ada.browser.get(begun)
    const csrf = ada.browser.csrf()

    await ada.browser.get('/signin?again=1')
    await ada.browser.post('/signin', { user: 'eve-shares', password: 'quiet otters cross the river' })
    const old = await ada.browser.post(begun, { decision: 'allow', csrf })
    const fresh = await ada.browser.get(begun)

    expect(page.text).toContain('ada-shares')
    expect(old.status).toBe(403)
    expect(fresh.text).toContain('eve-shares')
    expect(fresh.text).not.toContain('ada-shares')
  })
})

/** Those of the authorization server, not of the pages: a session of its own. */
function cookiesOf(browser: TestBrowser): [string, string][] {
  return [...browser.cookies].filter(([name]) => name.startsWith('gh_oauth'))
}

describe('words of a request', () => {
  const LINES = '\r\nset-cookie: planted=1\r\nx-planted: 1'

  test.each(['state', 'nonce', 'login_hint', 'ui_locales', 'prompt', 'acr_values', 'resource', 'scope', 'client_id'])(
    'with line ends in "%s" become no header',
    async (name) => {
      const browser = openBrowser(house.url)

      const first = await browser.get(authorizationUrl({ [name]: `x${LINES}` }))
      const isHere = first.location?.startsWith('/') === true
      const next = await browser.get(isHere ? (first.location ?? '') : '/account')

      expect([first.status < 500, next.status < 500]).toEqual([true, true])
      for (const { headers } of [first, next]) {
        expect(headers.has('x-planted')).toBe(false)
        expect(headers.getSetCookie().join()).not.toContain('planted=')
      }
    },
  )

  test('in "state" come back as they went', async () => {
    const ada = await addPerson(house, 'ada-who-comes-back')

    const back = await answer(ada, { url: authorizationUrl({ state: `x${LINES}` }) })

    expect(back.searchParams.get('state')).toBe(`x${LINES}`)
  })

  test.each([
    '/signin?return=/account%0d%0ax-planted:1',
    '/%0d%0ax-planted:1',
    '/signin/%0d%0ax-planted:1',
    '/mcp/%0d%0ax-planted:1',
  ])('in the address %s become no header', async (path) => {
    const seen = await openBrowser(house.url).get(path)

    expect([seen.headers.has('x-planted'), seen.status < 500]).toEqual([false, true])
  })
})

describe('another host', () => {
  const FORGED = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', forwarded: 'host=evil.example' }

  test.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-protected-resource/mcp/demo',
    '/.well-known/openid-configuration',
    '/mcp/demo',
    '/signin',
    '/account',
    '/oauth/authorize?client_id=x',
    '/oauth/end-session',
    '/device',
  ])('in the request is in no word of the answer at %s', async (path) => {
    const plain = await raw(path, FORGED)
    const direct = await raw(path, { ...FORGED, host: 'evil.example' })

    const isRefused = direct.startsWith('403') && direct.includes('is not a name of this house')
    expect(isRefused ? plain : plain + direct).not.toContain('evil.example')
  })

  /** What `fetch` does not let one say: any `Host`. */
  function raw(path: string, headers: Record<string, string>): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = request(`${house.url}${path}`, { headers: { accept: 'text/html', ...headers } }, (res) => {
        text(res).then((body) => resolve(`${res.statusCode} ${res.rawHeaders.join('\n')}\n${body}`), reject)
      })
      sent.on('error', reject).end()
    })
  }
})
