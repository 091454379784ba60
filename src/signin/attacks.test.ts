import { describe, expect, test } from 'vitest'
import { returnPath } from './visits/return-to.ts'
import { openBrowser } from './testing/browser.ts'
import { openTestPages } from './testing.ts'

const PASSWORD = 'quiet otters cross the river'

describe('where people go after a sign-in', () => {
  test.each([
    ['//evil.example/account'],
    ['/\\evil.example'],
    ['/\\/evil.example'],
    ['https://evil.example/account'],
    ['javascript:alert(1)'],
    ['/account/../../evil'],
    ['/account//evil.example'],
    ['/account\r\nset-cookie: a=b'],
    ['/account%0d%0aset-cookie:a=b'],
    ['/account#@evil.example'],
    ['/account@evil.example'],
    ['account'],
    [' /account'],
    ['/signin'],
    ['/signin/a/b/c/d'],
    ['/api/v1/keys'],
    ['/mcp/finance'],
    [`/account?${'a'.repeat(3_000)}`],
    [''],
  ])('%j is not followed', (asked) => {
    expect(returnPath(asked)).toBe('/account')
  })

  test.each([['/account/totp'], ['/device?user_code=ABCD-EFGH'], ['/signin/abc_DEF-123']])('%s is', (asked) => {
    expect(returnPath(asked)).toBe(asked)
  })

  test('a sign-in with a foreign address in its link ends at home', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })

    const seen = await openBrowser(pages.url).signIn('ada', PASSWORD, '//evil.example')

    expect([seen.status, seen.location]).toEqual([303, '/account'])
  })
})

describe('forms', () => {
  test.each([
    ['/signin', { user: 'ada', password: PASSWORD }],
    ['/signin/factor', { code: '000000' }],
    ['/account/sign-out', {}],
    ['/account/password', { password: PASSWORD, again: PASSWORD }],
    ['/account/totp/remove', {}],
    ['/account/clients/revoke', { id: 'grant_1' }],
    ['/account/sessions/end-others', {}],
    ['/device', { user_code: 'ABCD' }],
    ['/device/approve', { user_code: 'ABCD', decision: 'allow' }],
    ['/signin/interaction1', { decision: 'allow' }],
  ])('one to %s without its token is refused', async (path, fields) => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)

    const without = await browser.post(path, { ...fields, csrf: '' })
    const strange = await browser.post(path, { ...fields, csrf: 'x'.repeat(43) })

    expect([without.status, strange.status]).toEqual([403, 403])
    expect(pages.server.answers).toEqual([])
  })

  test('the token of another browser, or of the time before the sign-in, is refused', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    const mallory = openBrowser(pages.url)
    await mallory.get('/signin')
    const ada = openBrowser(pages.url)
    await ada.get('/signin')
    const before = ada.csrf()
    await ada.signIn('ada', PASSWORD)

    const foreign = await ada.post('/account/sign-out', { csrf: mallory.csrf() })
    const old = await ada.post('/account/sign-out', { csrf: before })

    expect([foreign.status, old.status]).toEqual([403, 403])
  })

  test('one that is too large is refused', async () => {
    await using pages = await openTestPages()
    const browser = openBrowser(pages.url)
    await browser.get('/signin')

    const seen = await browser.post('/signin', { user: 'a'.repeat(70_000), password: 'x' })

    expect(seen.status).toBe(400)
  })
})

describe('sessions', () => {
  test('a session that the browser had before the sign-in is not the one it has after it', async () => {
    await using pages = await openTestPages()
    await pages.add('mallory', { password: PASSWORD })
    await pages.add('ada', { password: PASSWORD })
    const browser = openBrowser(pages.url)
    await browser.signIn('mallory', PASSWORD)
    const planted = browser.cookies.get('gatehouse-session')
    await browser.get('/signin?again=1')

    await browser.post('/signin', { user: 'ada', password: PASSWORD })

    expect(browser.cookies.get('gatehouse-session')).not.toBe(planted)
    browser.cookies.set('gatehouse-session', planted ?? '')
    expect((await browser.get('/account')).status).toBe(303)
  })

  test('a made-up session cookie signs nobody in', async () => {
    await using pages = await openTestPages()
    const browser = openBrowser(pages.url)
    browser.cookies.set('gatehouse-session', 'made-up')

    const seen = await browser.get('/account')

    expect([seen.status, seen.location]).toEqual([303, '/signin?return=%2Faccount'])
  })

  test('on https the cookies belong to this host alone, are unreadable for scripts and Lax', async () => {
    await using pages = await openTestPages({ publicUrl: 'https://gate.example' })

    const seen = await openBrowser(pages.url).get('/signin')

    expect(seen.headers.getSetCookie()[0]).toMatch(/^__Host-gatehouse-\w+=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  })

  test('an account that is switched off is out at once', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)

    await pages.switchOff('ada')

    expect((await browser.get('/account')).status).toBe(303)
  })
})

describe('pages', () => {
  test('allow no script but their own, no frame, and tell other sites nothing', async () => {
    await using pages = await openTestPages()

    const { headers, text } = await openBrowser(pages.url).get('/signin')
    const policy = headers.get('content-security-policy') ?? ''

    expect(policy).toContain(`default-src 'none'`)
    expect(policy).toContain(`frame-ancestors 'none'`)
    expect(policy).not.toContain('unsafe')
    expect(headers.get('referrer-policy')).toBe('same-origin')
    expect(headers.get('cache-control')).toBe('no-store')
    const nonce = /script-src 'nonce-([\w-]+)'/.exec(policy)?.[1]
    expect([...text.matchAll(/<script nonce="([^"]*)"/g)].map(([, used]) => used)).toEqual([nonce, nonce])
    expect(text).not.toMatch(/ on\w+=|<style|style="/)
  })

  test('show what others wrote as text', async () => {
    await using pages = await openTestPages()
    const name = '<script>alert(1)</script><img src=x onerror=alert(1)>"\'&'
    await pages.add('ada', { password: PASSWORD, name, groups: ['<b>x</b>'] })
    const gateway = { slug: 'finance', title: '<i>Finance</i>', scopes: [] }
    const asks = { scopes: ['<u>scope</u>'], signedInAfter: null, redirectUri: 'http://localhost:9/cb' }
    pages.server.questions.set('one', { clientId: 'https://x.example/<s>', clientName: name, gateway, ...asks })
    const browser = openBrowser(pages.url)

    const signIn = await browser.get('/signin?return=/signin/one')
    await browser.signIn('ada', PASSWORD)
    const all = [signIn, await browser.get('/account'), await browser.get('/signin/one')]
      .map(({ text }) => text)
      .join('')

    expect(all).not.toMatch(/<script>|<img|<b>x|<i>F|<u>s|<s>/)
    expect(all).toContain('&lt;script&gt;')
  })

  test('an answer to consent leads only to the client, whose origin alone the form may reach', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    const asks = { clientId: 'c', clientName: 'C', gateway: null, scopes: [], signedInAfter: null }
    pages.server.questions.set('two', { ...asks, redirectUri: 'https://client.example/cb?a=1' })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)

    const page = await browser.get('/signin/two')
    const answer = await browser.post('/signin/two', { decision: 'allow' })

    expect(page.headers.get('content-security-policy')).toContain(`form-action 'self' https://client.example;`)
    expect(page.text).toContain('client.example')
    expect(answer.location).toBe('https://client.example/cb?a=1?code=the-code')
    expect(pages.server.answers).toEqual(['allow two ada'])
  })
})

describe('the login policy', () => {
  test('stops somebody with a live session at a service that is not theirs, and says so in the trail', async () => {
    await using pages = await openTestPages({ mayEnter: (all) => (all.includes('finance') ? 'deny' : 'allow') })
    await pages.add('ada', { password: PASSWORD })
    const asks = { clientId: 'c', clientName: 'C', scopes: [], signedInAfter: null, redirectUri: 'https://c.example/' }
    pages.server.questions.set('a', {
      ...asks,
      gateway: { slug: 'finance', title: 'Finance', scopes: [] },
    })
    pages.server.questions.set('b', { ...asks, gateway: { slug: 'wiki', title: 'Wiki', scopes: [] } })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)

    const finance = await browser.get('/signin/a')
    const wiki = await browser.get('/signin/b')

    expect([finance.status, wiki.status]).toEqual([403, 200])
    const { records } = await pages.audit.search({ what: 'sign-in.policy' })
    expect(records).toMatchObject([
      { decision: 'denied', userId: 'ada', gateway: 'finance', extra: { rule: 'test-rule' } },
    ])
  })
})

describe('the login policy, at the pages of this house', () => {
  const IDP = { issuer: 'https://idp.example', client_id: 'x' }

  async function openRefusing() {
    let isRefusing = false
    const pages = await openTestPages({
      mayEnter: (all) => (isRefusing && all.includes('account') ? 'deny' : 'allow'),
      sources: [{ name: 'work', ...IDP }],
    })
    await pages.add('ada', { password: PASSWORD, role: 'admin' })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)
    await browser.get('/account/password')
    isRefusing = true
    return { pages, browser, [Symbol.asyncDispose]: () => pages.close() }
  }

  test.each([
    ['/account/password', { password: 'another quiet otter', again: 'another quiet otter' }],
    ['/account/totp', { code: '123456' }],
    ['/account/recovery-codes', {}],
    ['/account/totp/remove', {}],
    ['/account/keys/revoke', { id: 'key' }],
    ['/account/links/remove', { source: 'work' }],
  ])('stops the form %s as it stops the page', async (path, fields) => {
    await using house = await openRefusing()

    const { status, text } = await house.browser.post(path, fields)

    expect([status, /may not use &quot;account&quot;/.test(text)]).toEqual([403, true])
    expect((await house.pages.audit.search({ what: 'sign-in.policy' })).records).toMatchObject([{ decision: 'denied' }])
  })

  test.each(['/account', '/account/login-policy', '/signin/sources/work?link=1', '/signin/sources/work?preview=1'])(
    'stops %s',
    async (path) => {
      await using house = await openRefusing()

      const { status, text } = await house.browser.get(path)

      expect([status, text.includes('Sign in again')]).toEqual([403, true])
    },
  )

  test('stops a passkey from being added', async () => {
    await using house = await openRefusing()
    const cookie = [...house.browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { cookie, 'x-csrf': house.browser.csrf(), 'content-type': 'application/json' }

    const { status } = await fetch(`${house.pages.url}/account/passkey/options`, {
      method: 'POST',
      headers,
      body: '{}',
    })

    expect(status).toBe(403)
  })

  test('keeps nobody from leaving', async () => {
    await using house = await openRefusing()

    const left = await house.browser.post('/account/sign-out', {})

    expect([left.status, left.location, await house.pages.sessions()]).toEqual([303, '/signin', []])
  })
})

describe('factors', () => {
  test('are changed only soon after a sign-in', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)
    await browser.get('/account')

    pages.clock.skippedMs = 700_000
    const page = await browser.get('/account/totp')
    const form = await browser.post('/account/password', {
      password: 'another long password',
      again: 'another long password',
    })

    expect(page.location).toBe('/signin?return=%2Faccount%2Ftotp&again=1')
    expect(form.location).toContain('/signin?')
    expect((await browser.signIn('ada', PASSWORD)).status).toBe(303)
  })

  test('a password alone removes or adds none where there is a second factor', async () => {
    await using pages = await openTestPages()
    const { accountId } = await pages.add('ada', { password: PASSWORD })
    const browser = openBrowser(pages.url)
    await browser.signIn('ada', PASSWORD)
    await browser.get('/account')
    await pages.giveTotp('ada')

    const seen = await browser.post('/account/totp/remove', {})

    expect(seen.location).toContain('/signin?')
    expect((await pages.accounts.factors(accountId)).hasTotp).toBe(true)
  })

  test('a right password alone opens nothing where there is a second factor', async () => {
    await using pages = await openTestPages()
    await pages.add('ada', { password: PASSWORD })
    await pages.giveTotp('ada')
    const browser = openBrowser(pages.url)

    const half = await browser.signIn('ada', PASSWORD)
    const account = await browser.get('/account')
    const wrong = await browser.post('/signin/factor', { code: '000000' })

    expect(half.text).toContain('Second step')
    expect([account.status, wrong.status]).toEqual([303, 403])
    expect(await pages.sessions()).toEqual([])
  })
})
