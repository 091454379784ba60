import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { contracts } from '../../src/main/index.ts'
import type { Operation } from '../../src/http/contract/contract.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** Walks whatever operations there are: one that is added later is tested from its first day. */
const ALL = Object.values(contracts).flatMap((contract) => Object.entries<Operation>(contract))
const CHANGING = ALL.filter(([, { method }]) => method !== 'GET')
const ADMIN_ONLY = ALL.filter(([, { access }]) => access === 'admin')

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
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => sampleParam(operation, name))
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

type Schema = { readonly [key: string]: unknown }

/** The smallest thing that the schema may take; where it is too strict for that, the answer is a refusal. */
function sample(schema: Schema): unknown {
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  const choices = schema['oneOf'] ?? schema['anyOf']
  if (Array.isArray(choices)) return sample({ ...Object(choices[0]) })
  switch (schema['type']) {
    case 'object':
      return sampleObject(schema)
    case 'array':
      return Number(schema['minItems'] ?? 0) > 0 ? [sample({ ...Object(schema['items']) })] : []
    case 'integer':
    case 'number':
      return Math.max(1, Number(schema['minimum'] ?? 1))
    case 'boolean':
      return false
    case 'string':
      return schema['format'] === 'uri'
        ? 'http://127.0.0.1:9/'
        : 'a'.repeat(Math.max(8, Number(schema['minLength'] ?? 1)))
    default:
      return {}
  }
}

function sampleObject(schema: Schema): object {
  const required: unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  const members = Object.entries<Schema>({ ...Object(schema['properties']) })
  return Object.fromEntries(members.filter(([name]) => required.includes(name)).map(([name, at]) => [name, sample(at)]))
}

const jsonSchema = (schema: z.ZodType): Schema => ({
  ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', cycles: 'ref', reused: 'inline' }),
})

function sampleParam({ params }: Operation, name: string): string {
  const properties = params === undefined ? {} : Object(jsonSchema(params)['properties'])
  return encodeURIComponent(String(sample({ ...Object(properties[name]) })))
}

const sampleBody = ({ body }: Operation) => (body === undefined ? undefined : JSON.stringify(sample(jsonSchema(body))))

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

  await Promise.all(Array.from({ length: 300 }, knock))
  const crowd = (await deniedCount()) - before
  const known = await use({ ...ofName('createKey') }, { token: house.adminToken, body: '{}' })

  expect(crowd).toBeLessThanOrEqual(80)
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
  const found = ALL.find(([id]) => id === name)
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
