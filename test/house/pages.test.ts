import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, openSession, type Line } from './talk.ts'

const PAGE = 'https://desk.example'
const TOML = `
[server]
listen = "127.0.0.1:0"
allowed_origins = ["${PAGE}/"]

[[servers]]
name = "reference"
transport = "builtin"

[[gateways]]
slug = "demo"
tools = ["reference/*"]
`

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
