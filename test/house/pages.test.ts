import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { REFERENCE } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, openSession, type Line } from './talk.ts'

const PAGE = 'https://desk.example'
const TOML = `
[server]
listen = "127.0.0.1:0"
allowed_origins = ["${PAGE}/"]
  ${REFERENCE}`

let house: TestHouse
let line: Line
beforeAll(async () => {
  house = await startHouse({ toml: TOML })
  await house.listed()
  line = { url: `${house.url}/mcp/demo`, key: await house.createKey({ user: 'alice@example.com', gateway: 'demo' }) }
})
afterAll(() => house.close())

function preflight(path: string, origin: string) {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,mcp-protocol-version',
  }
  return fetch(`${house.url}${path}`, { method: 'OPTIONS', headers })
}

describe('a web page of an allowed origin', () => {
  test.each(['/mcp/demo', '/api/v1/gateways/demo/call'])('may ask before it calls %s, without a key', async (path) => {
    const { status, headers } = await preflight(path, PAGE)

    expect(status).toBe(204)
    expect(headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(headers.get('access-control-allow-methods')).toContain('POST')
    expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type,mcp-protocol-version')
    expect(headers.get('access-control-allow-credentials')).toBeNull()
    expect(headers.get('vary')).toBe('Origin')
  })

  test('reads the answers of both eras, and the refusals', async () => {
    const page = { ...line, headers: { origin: PAGE } }

    const modern = await ask(page, 'tools/list')
    const legacy = await (await openSession(page)).ask('tools/list')
    const refused = await ask({ ...page, key: 'hunter2' }, 'tools/list')

    expect([modern.status, legacy.status, refused.status]).toEqual([200, 200, 401])
    expect(modern.headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(legacy.headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(refused.headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(modern.headers.get('access-control-expose-headers')).toContain('Mcp-Session-Id')
  })

  test('reads the answers of the API', async () => {
    const headers = { origin: PAGE, authorization: `Bearer ${line.key}` }
    const response = await fetch(`${house.url}/api/v1/gateways/demo/tools`, { headers })

    expect(response.status).toBe(200)
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE)
  })
})

test.each(['/mcp/demo', '/api/v1/servers'])('a page of another origin gets nothing at %s', async (path) => {
  const { status, headers } = await preflight(path, 'https://evil.example')

  expect(status).toBe(403)
  expect(headers.get('access-control-allow-origin')).toBeNull()
})

test('a program, which sends no Origin, hears nothing of pages', async () => {
  const { headers } = await ask(line, 'tools/list')

  expect(headers.get('access-control-allow-origin')).toBeNull()
})

describe('a person with a browser', () => {
  const visit = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${house.url}${path}`, {
      headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', ...headers },
      redirect: 'manual',
    })

  test('is led from the front door to the account', async () => {
    const { status, headers } = await visit('/')

    expect([status, headers.get('location')]).toEqual([302, '/account'])
  })

  test('who opens the address of a gateway is told what it is for, whether it exists or not', async () => {
    const [known, unknown] = [await visit('/mcp/demo'), await visit('/mcp/nowhere')]

    expect([known.status, unknown.status]).toEqual([200, 200])
    expect(known.headers.get('content-security-policy')).toContain("script-src 'none'")
    const [page, other] = [await known.text(), await unknown.text()]
    expect(page).toContain(`<code>${house.url}/mcp/demo</code>`)
    expect(other.replaceAll('nowhere', 'demo')).toBe(page)
  })

  test('a client that brings a key, or asks for a stream, is no visitor', async () => {
    const withKey = await visit('/mcp/demo', { authorization: `Bearer ${line.key}` })
    const stream = await visit('/mcp/demo', { accept: 'text/event-stream' })

    expect(withKey.headers.get('content-type')).not.toContain('text/html')
    expect(stream.status).toBe(401)
  })

  test('sees a page where a program asked wrongly, leads nowhere, and runs nothing that was sent along', async () => {
    const query = new URLSearchParams({
      client_id: '<script>alert(1)</script>',
      redirect_uri: 'https://evil.example/',
      response_type: 'code',
    })

    const answer = await visit(`/oauth/authorize?${query}`)

    expect([answer.status, answer.headers.get('location')]).toEqual([400, null])
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    const page = await answer.text()
    expect(page).toContain('cannot go on')
    expect(page).not.toMatch(/<script|href="https:\/\/evil/)
  })

  test('a program that asks the same is answered in JSON', async () => {
    const answer = await fetch(`${house.url}/oauth/authorize?client_id=nobody&response_type=code`)

    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid_client' })
  })
})
