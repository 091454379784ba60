import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, type Line } from './talk.ts'

let house: TestHouse
const lines = new Map<string, Line>()

beforeAll(async () => {
  house = await startHouse({
    toml: `
      [[audit.payloads]]
      users = ["private@example.com"]
      record = "none"

      [[audit.payloads]]
      tools = ["reference/add"]
      record = "none"

      [[audit.payloads]]
      gateways = ["full"]
      record = "full"
      max_bytes = 1000

      [[audit.payloads]]
      gateways = ["some"]
      record = "sampled"
      rate = 0.5

      [[audit.payloads]]
      record = "redacted"

      [[servers]]
      name = "reference"
      transport = "builtin"

      [[gateways]]
      slug = "demo"
      tools = ["reference/*"]

      [[gateways]]
      slug = "full"
      tools = ["reference/*"]

      [[gateways]]
      slug = "some"
      tools = ["reference/*"]
    `,
  })
  await house.listed()
  for (const gateway of ['demo', 'full', 'some'])
    lines.set(gateway, {
      url: gatewayUrl(house, gateway),
      key: await house.createKey({ user: 'alice@example.com', gateway }),
    })
  lines.set('private', {
    url: gatewayUrl(house, 'demo'),
    key: await house.createKey({ user: 'private@example.com', gateway: 'demo' }),
  })
})

afterAll(() => house.close())

const lineOf = (name: string): Line => lines.get(name) ?? { url: '', key: '' }

async function ask(path: string, token = house.adminToken) {
  const response = await fetch(`${house.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: JSON.parse(await response.text()) }
}

/** Makes a call and reads what the trail has of it. */
async function recorded(name: string, tool: string, args: object) {
  await callTool(lineOf(name), tool, { ...args })
  const { body } = await ask('/api/v1/audit?what=tools/call&limit=1')
  const [{ chain, seq, payloadHash }] = body.records
  const { status, body: shown } = await ask(`/api/v1/audit/records/${chain}/${seq}/payload`)
  return { chain, seq, payloadHash, status, payload: shown.payload }
}

test('redacted: values named like secrets are blanked, also inside texts that are JSON', async () => {
  const { status, payload } = await recorded('demo', 'echo', { text: '{"password":"hunter2","note":"kept"}' })

  expect(status).toBe(200)
  expect(JSON.stringify(payload)).not.toContain('hunter2')
  expect(payload.arguments.arguments.text).toBe('{"password":"[redacted]","note":"kept"}')
  expect(payload.result.content[0].text).toContain('kept')
})

test('full: as the server got it, and nothing but its length where it is too long', async () => {
  const short = await recorded('full', 'echo', { text: '{"password":"hunter2"}' })
  const long = await recorded('full', 'echo', { text: 'x'.repeat(2_000) })

  expect(short.payload.arguments.arguments.text).toBe('{"password":"hunter2"}')
  expect(long.payload).toMatchObject({
    arguments: { leftOut: expect.stringMatching(/^2\d\d\d bytes$/) },
    result: { leftOut: expect.stringMatching(/bytes$/) },
  })
})

test('none: the first rule that fits decides, by user and by tool', async () => {
  const byUser = await recorded('private', 'echo', { text: 'x' })
  const byTool = await recorded('demo', 'add', { a: 1, b: 2 })

  expect([byUser.status, byUser.payloadHash]).toEqual([404, undefined])
  expect([byTool.status, byTool.payloadHash]).toEqual([404, undefined])
})

test('sampled: of some calls', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, n) => callTool(lineOf('some'), 'echo', { text: `${n}` })))

  const { body } = await ask('/api/v1/audit?what=tools/call&gateway=some&limit=1000')

  const kept = body.records.filter(({ payloadHash }: { payloadHash?: string }) => payloadHash !== undefined)
  expect(body.records).toHaveLength(100)
  // Out of 2^100 ways, so few or many come in one of a billion.
  expect(kept.length).toBeGreaterThan(18)
  expect(kept.length).toBeLessThan(82)
})

test('only admins read payloads, and every reading is recorded', async () => {
  const { chain, seq } = await recorded('demo', 'echo', { text: 'x' })
  const path = `/api/v1/audit/records/${chain}/${seq}/payload`
  const before = await ask('/api/v1/audit?what=audit.payload-read')

  const refused = await ask(path, lineOf('demo').key)
  await ask(path)
  const after = await ask('/api/v1/audit?what=audit.payload-read')

  expect(refused.status).toBe(403)
  expect(after.body.records.length - before.body.records.length).toBe(1)
  expect(after.body.records[0]).toMatchObject({ userId: 'admin', face: 'cli', extra: { chain, seq } })
})

test('nothing of a payload stands in a record, the log or the metrics', async () => {
  await recorded('full', 'echo', { text: 'canary-4711' })

  const { body } = await ask('/api/v1/audit?limit=1000')
  expect(JSON.stringify(body)).not.toContain('canary-4711')
  expect(house.logs.join('\n')).not.toContain('canary-4711')
  expect(await house.gatehouse.metrics.render()).not.toContain('canary-4711')
})

test.each([
  ['key', 'key_', 0],
  ['face', 'mcp', 1],
  ['face', 'mc', 0],
  ['client', '', 400],
  ['rule', 'no-such-rule', 0],
  ['policyVersion', 'none', 0],
])('a search by %s = %s', async (name, value, expected) => {
  await callTool(lineOf('demo'), 'echo', { text: 'x' })

  const { status, body } = await ask(`/api/v1/audit?${name}=${value}&limit=1`)

  expect(status === 200 ? body.records.length : status).toBe(expected)
})

test('a search by key finds what was done with it and what was done to it', async () => {
  await callTool(lineOf('demo'), 'echo', { text: 'x' })
  const { body } = await ask('/api/v1/audit?what=tools/call&gateway=demo&user=alice@example.com&limit=1')
  const { keyId } = body.records[0]

  const found = await ask(`/api/v1/audit?key=${keyId}&limit=1000`)

  const events = new Set(found.body.records.map(({ what }: { what: string }) => what))
  // The key was refused at the admin API above.
  expect(events).toEqual(new Set(['tools/call', 'key.created', 'api.attempted']))
})
