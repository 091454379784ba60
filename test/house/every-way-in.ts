/** Every way in to a house, gone once, with what proves it; some of it at the wrong place too. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { Secret as TotpSecret, TOTP } from 'otpauth'
import { createAuthenticator } from '../../src/identity/factors/testing-authenticator.ts'
import { openBrowser, type Seen, type TestBrowser } from '../../src/signin/testing/browser.ts'
import type { IdentityProvider } from '../fakes/identity-provider.ts'
import { authorize, post, REDIRECT, refresh, register, textOf } from './oauth-client.ts'
import { addPerson, answer, PASSWORD } from './person.ts'
import type { TestHouse } from './start-house.ts'
import { askAdmin } from './kit.ts'
import { callTool, gatewayUrl } from './talk.ts'

export const ADA = 'ada@example.com'
export const WRONG = 'a wrong password that nobody may read'
export const SHORT = 'hunter2-short'

type World = {
  readonly house: TestHouse
  readonly idp: IdentityProvider
  /** What was used, by what it is; filled on the way. */
  readonly secrets: Record<string, string | Uint8Array>
}

/** Goes all of them. Resolves with every secret that was used. */
export async function goEveryWayIn(place: Omit<World, 'secrets'>): Promise<World['secrets']> {
  const secrets = { 'a password': PASSWORD, 'a wrong password': WRONG, 'a short one': SHORT }
  const world = { ...place, secrets }
  for (const go of [passwordAndApp, passkey, program, device, keys, machines, elsewhere, mistakes]) await go(world)
  return world.secrets
}

const asAdmin = async ({ house }: World, method: string, path: string, body?: object) =>
  (await askAdmin(house, `/api/v1/${path}`, { method, body })).body

/** A way that lets nobody in would prove nothing. */
function requireIn(seen: Seen, { text = '', location = null }: { text?: string; location?: string | null }): void {
  if (seen.text.includes(text) && seen.location === location) return
  throw new Error(`nobody was let in: ${seen.status} ${seen.location} ${seen.text}`)
}

function keepCookies({ secrets }: World, who: string, { cookies }: TestBrowser): void {
  for (const [name, value] of cookies) if (value !== '') secrets[`the cookie ${name} of ${who}`] = value
}

/** By a one-time link: a password, an app, recovery codes; then in again with all of them, and with wrong ones. */
async function passwordAndApp(world: World): Promise<void> {
  const { house, secrets } = world
  await asAdmin(world, 'POST', 'accounts', { userId: ADA })
  const link = textOf((await asAdmin(world, 'POST', `accounts/${ADA}/links`))['path'])
  secrets['a link'] = link.slice(link.lastIndexOf('/') + 1)
  const browser = openBrowser(house.url)
  await browser.get(link)
  await browser.post(link, { password: PASSWORD, again: PASSWORD })
  const page = await browser.get('/account/totp?first=1')
  const key = /Key: <code>([^<]+)/.exec(page.text)?.[1]?.replaceAll(' ', '') ?? ''
  const secret = TotpSecret.fromBase32(key)
  Object.assign(secrets, { 'the key of an app': key, 'the bytes of the key of an app': new Uint8Array(secret.buffer) })
  await browser.post('/account/totp?first=1', { code: new TOTP({ secret }).generate() })
  await browser.get('/account/recovery-codes')
  const codes = [...(await browser.post('/account/recovery-codes', {})).text.matchAll(/<li>([\w-]+)<\/li>/g)]
  codes.forEach(([, code = ''], n) => (secrets[`the recovery code ${n}`] = code))
  keepCookies(world, 'ada', browser)

  const again = openBrowser(house.url)
  await again.signIn(ADA, WRONG)
  await again.signIn(ADA, PASSWORD)
  keepCookies(world, 'ada, halfway', again)
  await again.post('/signin/factor', { code: '000000' })
  requireIn(await again.post('/signin/factor', { recovery: codes[0]?.[1] ?? '' }), { location: '/account' })
  keepCookies(world, 'ada, again', again)
}

async function passkey(world: World): Promise<void> {
  const { house } = world
  const { browser, userId } = await addPerson(house, 'pat@example.com')
  const authenticator = createAuthenticator({ origin: house.url.replace('127.0.0.1', 'localhost'), rpId: 'localhost' })
  const ask = async (path: string, body: object): Promise<object> => {
    const headers = { 'content-type': 'application/json', 'x-csrf': browser.csrf(), cookie: cookieOf(browser) }
    const response = await fetch(`${house.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      browser.cookies.set(name, value)
    }
    return response.json()
  }
  await browser.get('/account')
  const added = authenticator.add(await ask('/account/passkey/options', {}))
  await ask('/account/passkey', { answer: added, name: 'reader' })
  await browser.get('/account')
  await browser.post('/account/sign-out', {})
  await browser.get('/signin')
  const options = await ask('/signin/passkey/options', {})
  keepCookies(world, 'pat, at the reader', browser)
  await ask('/signin/passkey', { answer: authenticator.signIn(options) })
  keepCookies(world, 'pat', browser)
  requireIn(await browser.get('/account'), { text: userId })
}

const cookieOf = ({ cookies }: TestBrowser): string =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

/** A program with a secret: a code, tokens, new tokens, and each of them at a place where it is not taken. */
async function program(world: World): Promise<void> {
  const { house, secrets } = world
  const { accountId, browser, userId } = await addPerson(house, 'cleo@example.com')
  const made = (await register(house, { token_endpoint_auth_method: 'client_secret_post' })).body
  const proof = { client_id: textOf(made['client_id']), client_secret: textOf(made['client_secret']) }
  Object.assign(secrets, { 'the secret of a client': proof.client_secret })
  Object.assign(secrets, { 'the token of a registration': textOf(made['registration_access_token']) })
  const change = (params: URLSearchParams): void => params.set('scope', 'openid mcp offline_access')
  const { back, codeVerifier } = await authorize(house, {
    clientId: proof.client_id,
    accountId,
    gateway: 'demo',
    change,
  })
  const code = back.searchParams.get('code') ?? ''
  const form = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: codeVerifier }
  await post(`${house.url}/oauth/token`, { ...form, ...proof, client_secret: WRONG })
  const { body } = await post(`${house.url}/oauth/token`, { ...form, ...proof })
  const [access, refreshToken, idToken] = ['access_token', 'refresh_token', 'id_token'].map((name) =>
    textOf(body[name]),
  )
  Object.assign(secrets, {
    'a code': code,
    'a verifier': codeVerifier,
    'an access token': access,
    'an ID token': idToken,
  })
  const line = { url: gatewayUrl(house, 'demo'), key: access }
  await callTool(line, 'whoami')
  await callTool({ url: `${line.url}?access_token=${access}` }, 'whoami')
  await callTool({ ...line, key: `${access}x` }, 'whoami')
  const next = await post(`${house.url}/oauth/token`, {
    grant_type: 'refresh_token',
    refresh_token: refreshToken ?? '',
    ...proof,
  })
  Object.assign(secrets, { 'a refresh token': refreshToken, 'the next one': textOf(next.body['refresh_token']) })
  await refresh(house, { clientId: 'somebody', refreshToken: refreshToken ?? '' })
  await post(`${house.url}/oauth/introspect`, { ...proof, token: access ?? '' })
  await post(`${house.url}/oauth/token`, { ...form, ...proof })
  await post(`${house.url}/oauth/revoke`, { ...proof, token: textOf(next.body['refresh_token']) })
  await answer(
    { browser, userId },
    { url: authorizationUrl(world, { clientId: proof.client_id, idToken: idToken ?? '' }) },
  )
  keepCookies(world, 'cleo', browser)
}

function authorizationUrl({ house }: World, { clientId, idToken }: { clientId: string; idToken: string }): string {
  const asked = { response_type: 'code', client_id: clientId, redirect_uri: REDIRECT, scope: 'openid', state: 's' }
  const pkce = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
  return `${house.url}/oauth/authorize?${new URLSearchParams({ ...asked, ...pkce, id_token_hint: idToken })}`
}

async function device(world: World): Promise<void> {
  const { house, secrets } = world
  const { browser } = await addPerson(house, 'dan@example.com')
  const grant = 'urn:ietf:params:oauth:grant-type:device_code'
  const made = await register(house, { grant_types: ['authorization_code', 'refresh_token', grant] })
  const clientId = textOf(made.body['client_id'])
  const asked = await post(`${house.url}/oauth/device`, {
    client_id: clientId,
    scope: 'mcp',
    resource: gatewayUrl(house, 'demo'),
  })
  const [deviceCode, userCode] = [textOf(asked.body['device_code']), textOf(asked.body['user_code'])]
  await browser.get(`/device?user_code=${userCode}`)
  await browser.post('/device', { user_code: 'WRNG-WRNG' })
  await browser.post('/device', { user_code: userCode })
  await browser.post('/device/approve', { user_code: userCode, decision: 'allow' })
  const given = await post(`${house.url}/oauth/token`, {
    grant_type: grant,
    client_id: clientId,
    device_code: deviceCode,
  })
  Object.assign(secrets, { 'a device code': deviceCode, 'a user code': userCode })
  Object.assign(secrets, { 'the token of a device': textOf(given.body['access_token']) })
}

async function keys(world: World): Promise<void> {
  const { house, secrets } = world
  await asAdmin(world, 'POST', 'accounts', { userId: 'robot', kind: 'system' })
  const wishes = [
    { userId: ADA, gateways: ['demo'] },
    { userId: 'robot', gateways: ['demo'] },
    { role: 'scim', gateways: [] },
  ]
  for (const wish of wishes) {
    const key = textOf((await asAdmin(world, 'POST', 'keys', { ...wish, name: 'a key' }))['key'])
    secrets[`the key of ${wish.userId ?? 'a provisioner'}`] = key
    await callTool({ url: gatewayUrl(house, 'demo'), key }, 'whoami')
    await callTool({ url: gatewayUrl(house, 'demo'), key: `${key.slice(0, -1)}x` }, 'whoami')
    await callTool({ url: `${gatewayUrl(house, 'demo')}?key=${key}` }, 'whoami')
    await fetch(`${house.url}/scim/v2/Users`, { headers: { authorization: `Bearer ${key}` } })
  }
}

/** Programs that act by themselves, as a system account: one by a secret, one by what it signs. */
async function machines(world: World): Promise<void> {
  const { house, secrets } = world
  const pair = await generateKeyPair('ES256', { extractable: true })
  const own = await exportJWK(pair.privateKey)
  const { d = '', ...jwk } = own
  const asks = { grants: ['client_credentials'], account: 'robot' }
  const bySecret = await asAdmin(world, 'POST', 'clients', { name: 'By secret', ...asks })
  const byKey = await asAdmin(world, 'POST', 'clients', { name: 'By key', ...asks, jwks: { keys: [jwk] } })
  await asAdmin(world, 'POST', 'clients', { name: 'Careless', ...asks, jwks: { keys: [own] } })
  const form = { grant_type: 'client_credentials', scope: 'mcp', resource: gatewayUrl(house, 'demo') }
  const basic = Buffer.from(`${textOf(bySecret['id'])}:${textOf(bySecret['secret'])}`).toString('base64')
  const first = await post(`${house.url}/oauth/token`, form, { authorization: `Basic ${basic}` })
  const client = textOf(byKey['id'])
  const assertion = await new SignJWT({ jti: 'an-assertion' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(client)
    .setSubject(client)
    .setAudience(house.url)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(pair.privateKey)
  const proof = { client_assertion_type: ASSERTION, client_assertion: assertion, client_id: client }
  const second = await post(`${house.url}/oauth/token`, { ...form, ...proof })
  await post(`${house.url}/oauth/token`, { ...form, ...proof })
  const tokens = [first, second].map(({ body }) => textOf(body['access_token']))
  Object.assign(secrets, { 'the secret of a machine': textOf(bySecret['secret']), 'an assertion': assertion })
  Object.assign(secrets, {
    'the private key of a machine': d,
    'the token of a machine': tokens[0],
    'of another': tokens[1],
  })
}

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** With another provider, which sends the browser back with a code. */
async function elsewhere(world: World): Promise<void> {
  const { house, secrets } = world
  const browser = openBrowser(house.url)
  const there = openBrowser(world.idp.issuer)
  let at = (await browser.get('/signin/sources/work')).location ?? ''
  keepCookies(world, 'bob, on the way', browser)
  while (at.startsWith('/') || at.startsWith(world.idp.issuer)) at = (await there.get(at)).location ?? ''
  secrets['a code of another provider'] = new URL(at).searchParams.get('code') ?? ''
  const seen = await browser.get(at)
  await browser.get(at)
  keepCookies(world, 'bob', browser)
  requireIn(seen, { location: '/account' })
}

/** What people type at the wrong place, and what cannot be read. */
async function mistakes(world: World): Promise<void> {
  const { house, secrets } = world
  const json = { 'content-type': 'application/json' }
  const paths = [
    '/api/v1/accounts',
    '/oauth/register',
    '/mcp/demo',
    '/scim/v2/Users',
    '/signin/passkey',
    '/oauth/token',
  ]
  for (const path of paths)
    for (const body of [
      SHORT,
      `{"password": "${WRONG}" oops`,
      JSON.stringify({ [WRONG]: SHORT, userId: { is: WRONG } }),
    ])
      await fetch(`${house.url}${path}`, { method: 'POST', headers: json, body })
  const bad = { authorization: `Basic ${Buffer.from(`client:${WRONG}`).toString('base64')}` }
  await post(`${house.url}/oauth/token`, { grant_type: 'client_credentials' }, bad)
  await fetch(`${house.url}/api/v1/accounts`, { headers: bad })
  await fetch(`${house.url}/signin?password=${encodeURIComponent(WRONG)}`)
  await fetch(`${house.url}/setup/${textOf(secrets['a link'])}`)
  await fetch(`${house.url}/api/v1/audit?token=${SHORT}`, { headers: { authorization: `Bearer ${house.adminToken}` } })
}
