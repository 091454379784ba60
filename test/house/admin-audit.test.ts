import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Operation } from '../../src/http/contract/contract.ts'
import { ALL_OPERATIONS, samplePath, sampleBody } from './every-operation.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const CHANGING = ALL_OPERATIONS.filter(([, { method }]) => method !== 'GET')
const ADMIN_ONLY = ALL_OPERATIONS.filter(([, { access }]) => access === 'admin')

let house: TestHouse
let userKey: string

/** A second passes before each use, so that the limit on refusals is reached only where a test means to. */
let aheadMs = 0
const clock = { now: () => Date.now() + aheadMs }

beforeAll(async () => {
  house = await startHouse({
    clock,
    toml: `
      [[servers]]
      name = "reference"
      transport = "builtin"

      [[gateways]]
      slug = "demo"
      tools = ["reference/*"]
    `,
  })
  await house.listed()
  userKey = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
})

afterAll(() => house.close())

type Asked = { readonly token: string; readonly body?: string | undefined }

/** Uses an operation under a trace of its own and says what the trail has about it. */
async function use(operation: Operation, { token, body }: Asked) {
  aheadMs += 1_000
  const traceId = randomBytes(16).toString('hex')
  const path = samplePath(operation)
  const leave = AbortSignal.timeout(5_000)
  const response = await fetch(`${house.url}${path}`, {
    method: operation.method,
    signal: leave,
    redirect: 'manual',
    headers: {
      authorization: `Bearer ${token}`,
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  })
  if (operation.stream === undefined) await response.text()
  else await response.body?.cancel()
  const { records } = await house.gatehouse.audit.search({ traceId })
  return { status: response.status, records, decisions: records.map(({ decision }) => decision) }
}

describe('every operation that changes something has exactly one record of each attempt', () => {
  test.each(CHANGING)('%s, by an admin', async (_name, operation) => {
    const { status, records, decisions } = await use(operation, {
      token: house.adminToken,
      body: sampleBody(operation),
    })

    expect(decisions, `answered ${status}: ${JSON.stringify(records)}`).toHaveLength(1)
    expect(decisions[0] === 'allowed', `${decisions[0]} was answered with ${status}`).toBe(status < 400)
  })

  test.each(CHANGING)('%s, with a body that is none', async (_name, operation) => {
    const { status, records, decisions } = await use(operation, { token: house.adminToken, body: '{"gh_secret":' })

    expect(decisions, `answered ${status}: ${JSON.stringify(records)}`).toHaveLength(1)
    expect(JSON.stringify(records)).not.toContain('gh_secret')
  })

  test.each(CHANGING)('%s, by somebody who is no admin', async (_name, operation) => {
    const { status, records, decisions } = await use(operation, { token: userKey, body: sampleBody(operation) })

    expect(decisions, `answered ${status}: ${JSON.stringify(records)}`).toHaveLength(1)
  })
})

describe('whoever is no admin is refused, and that is recorded, once', () => {
  test.each(ADMIN_ONLY)('%s', async (_name, operation) => {
    const known = await use(operation, { token: userKey, body: sampleBody(operation) })
    const stranger = await use(operation, { token: 'hunter2-is-not-a-token', body: sampleBody(operation) })

    expect([known.status, known.decisions]).toEqual([403, ['denied']])
    expect([stranger.status, stranger.decisions]).toEqual([401, ['denied']])
    expect(JSON.stringify([known.records, stranger.records])).not.toMatch(/hunter2|gh_[A-Za-z0-9]{8}/)
  })
})

test('an export is recorded under the trace of its request', async () => {
  const { records } = await use(ofName('exportAudit'), { token: house.adminToken })

  expect(records.map(({ what }) => what)).toEqual(['audit.exported'])
})

test('strangers who knock at the API without end fill neither the trail nor its queue, and are counted', async () => {
  const knock = () => fetch(`${house.url}/api/v1/keys`, { method: 'POST', headers: { authorization: 'Bearer nobody' } })
  const before = await deniedCount()

  const startedAt = performance.now()
  await Promise.all(Array.from({ length: 300 }, knock))
  const crowd = (await deniedCount()) - before
  const seconds = Math.ceil((performance.now() - startedAt) / 1_000)
  const known = await use({ ...ofName('createKey') }, { token: house.adminToken, body: '{}' })

  expect(crowd).toBeLessThanOrEqual(20 * (seconds + 1))
  expect(known.decisions).toHaveLength(1)
  const leftOut = await eventuallyCounted(knock)
  expect(leftOut).toBeGreaterThan(0)
})

async function deniedCount(): Promise<number> {
  const { records } = await house.gatehouse.audit.search(
    { what: 'api.attempted', decision: 'denied' },
    { limit: 1_000 },
  )
  return records.length
}

function ofName(name: string): Operation {
  const found = ALL_OPERATIONS.find(([id]) => id === name)
  if (!found) throw new Error(`no operation ${name}`)
  return found[1]
}

/** How many the trail says were left out; knocks until a record of the next second says so. */
async function eventuallyCounted(knock: () => Promise<Response>): Promise<number> {
  for (;;) {
    await knock()
    const { records } = await house.gatehouse.audit.search({ what: 'api.attempted', text: 'leftOut' })
    const counts = records.map(({ extra }) => Number(extra?.['leftOut']))
    if (counts.length > 0) return Math.max(...counts)
  }
}
