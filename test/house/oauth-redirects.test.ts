import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser, REDIRECT, register, textOf } from './oauth-client.ts'
import { REFERENCE } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const WEB = 'https://app.example/cb'
let house: TestHouse
let clientId: string

// One house for all attacks: it must stand them one after the other.
beforeAll(async () => {
  house = await startHouse({ toml: REFERENCE })
  await house.listed()
  const metadata = { redirect_uris: [WEB, REDIRECT], application_type: 'native' }
  clientId = textOf((await register(house, metadata)).body['client_id'])
})
afterAll(() => house.close())

/** Asks for an authorization with these parameters changed; what the house answers before it knows anybody. */
function askFor(change: Record<string, string>) {
  const params = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: WEB,
    state: 'the-state',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    scope: 'mcp',
    ...change,
  })
  return new Browser().visit(`${house.url}/oauth/authorize?${params}`)
}

describe('where the answer goes', () => {
  test.each([WEB, REDIRECT, REDIRECT.replace(':3118', ':50123'), REDIRECT.replace(':3118', '')])(
    '%s is what was registered, or differs by the port of this machine alone',
    async (redirectUri) => {
      expect((await askFor({ redirect_uri: redirectUri })).location).toContain(`${house.url}/signin/`)
    },
  )

  test.each([
    `${WEB}/`,
    `${WEB}?x=1`,
    `${WEB}?`,
    `${WEB}#x`,
    `${WEB}#`,
    `${WEB};x`,
    `${WEB} `,
    ` ${WEB}`,
    `${WEB}%00`,
    `${WEB}%0d%0aset-cookie:%20x=1`,
    `${WEB}\r\nset-cookie: x=1`,
    `${WEB}/../evil`,
    'https://app.example/x/../cb',
    'https://app.example/./cb',
    'https://app.example/%63b',
    'https://app.example//cb',
    'https://app.example/CB',
    'https://app.example/cb%2f..',
    'https://app.example%2fcb',
    'https://app.example\\cb',
    'https://APP.example/cb',
    'HTTPS://app.example/cb',
    'https:/app.example/cb',
    'https:app.example/cb',
    '//app.example/cb',
    '/cb',
    'http://app.example/cb',
    'https://app.example:443/cb',
    'https://app.example:8443/cb',
    'https://app.example./cb',
    'https://app.example@evil.example/cb',
    'https://app.example:x@evil.example/cb',
    'https://app.example\\@evil.example/cb',
    'https://evil.example/https://app.example/cb',
    'https://app.example.evil.example/cb',
    'https://evilapp.example/cb',
    'https://sub.app.example/cb',
    'https://\u{430}pp.example/cb',
    'https://xn--pp-7ka.example/cb',
    'https://app\u{3002}example/cb',
    'javascript:alert(1)//https://app.example/cb',
    'data:text/html,https://app.example/cb',
    'http://127.1:3118/callback',
    'http://2130706433:3118/callback',
    'http://0177.0.0.1:3118/callback',
    'http://[::ffff:127.0.0.1]:3118/callback',
    'http://127.0.0.1:3118:80/callback',
    'http://127.0.0.1:/callback/..',
    'http://127.0.0.2:3118/callback',
    '',
  ])('nobody is sent to %j: the error is shown here', async (redirectUri) => {
    const seen = await askFor({ redirect_uri: redirectUri })

    expect([seen.status, seen.location]).toEqual([400, ''])
  })

  test('nobody is sent anywhere when two addresses are named', async () => {
    const both = new URLSearchParams([
      ['redirect_uri', WEB],
      ['redirect_uri', 'https://evil.example/cb'],
    ])

    const url = `${house.url}/oauth/authorize?response_type=code&client_id=${clientId}&scope=mcp&${both}`
    const seen = await new Browser().visit(url)

    expect([seen.status, seen.location]).toEqual([400, ''])
  })

  test.each([
    'http://app.example/cb',
    'http://0.0.0.0/cb',
    'http://192.168.0.1/cb',
    'http://169.254.169.254/cb',
    'http://[::ffff:169.254.169.254]/cb',
    'http://127.0.0.1@evil.example/cb',
    'http://localhost.evil.example/cb',
    'http://127.0.0.1.evil.example/cb',
    'http://localhost./cb',
    'http://evil.example/127.0.0.1',
    'https://user@app.example/cb',
    'https://user:word@app.example/cb',
    'https://app.example/cb#x',
    'https://',
    'https://app.example/\r\nset-cookie:x=1',
    'https://app.example/c\tb',
    ' https://app.example/cb',
    '//app.example/cb',
    '/cb',
    'cb',
    '',
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'java\nscript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example/x',
    'about:blank',
    'view-source:https://app.example/',
    'intent://x#Intent;scheme=https;end',
    'ftp://app.example/cb',
    'mailto:a@app.example',
    `https://app.example/${'x'.repeat(3_000)}`,
  ])('no client is registered that would be sent to %j', async (redirectUri) => {
    const answer = await register(house, { redirect_uris: [redirectUri] })

    expect([answer.status, answer.body['client_id']]).toEqual([400, undefined])
  })
})
