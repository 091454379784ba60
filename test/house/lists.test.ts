import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { testCli } from '../../src/cli/testing.ts'
import { startLeakyServer } from '../fakes/leaky-server.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { ADMIN, lineOf } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, openSession, type Heard, type Line } from './talk.ts'

/**
 * Lists are answers to the same question as calls. Somebody with a part of everything finds in each list exactly that
 * part, can use what is listed, and hears of all else what is said of what does not exist: in the same words.
 */
const cleanUp = new AsyncDisposableStack()
let house: TestHouse
let line: Line
let say: Readonly<Record<'legacy' | 'modern', (method: string, params?: JsonObject) => Promise<Heard>>>

beforeAll(async () => {
  const up = cleanUp.use(await startConformanceServer())
  const leaky = cleanUp.use(await startLeakyServer())
  const server = (name: string, url: string) => `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n`
  house = cleanUp.use(
    await startHouse({
      toml: `${server('up', up.url)}${server('leaky', leaky.url)}[[gateways]]\nslug = "demo"\naccess = "grants"\ntools = ["*"]\n`,
    }),
  )
  await house.listed()
  await house.gatehouse.policy.addGrant(
    {
      subject: { kind: 'user', id: 'pat' },
      gateway: 'demo',
      tools: ['up/test_simple_text', 'leaky/take'],
      prompts: ['up/test_simple_prompt', 'up/test_prompt_with_arguments'],
      resources: ['up/test://static-text', 'up/test://template/{id}/data'],
    },
    ADMIN,
  )
  line = await lineOf(house, 'pat')
  const session = await openSession(line)
  say = { modern: (method, params) => ask(line, method, params), legacy: session.ask }
})
afterAll(() => cleanUp.disposeAsync())

const GRANTED = {
  tools: ['take', 'test_simple_text'],
  prompts: ['test_prompt_with_arguments', 'test_simple_prompt'],
  resources: ['test://static-text'],
  resourceTemplates: ['test://template/{id}/data'],
}
const template = { type: 'ref/resource', uri: 'test://template/{id}/data' }

type Case = { readonly method: string; readonly good: JsonObject; readonly denied: JsonObject; readonly twin: string }

/** `twin`: what does not exist, under the name that the denied thing would have with one letter changed. */
const cases: readonly Case[] = [
  {
    method: 'tools/call',
    good: { name: 'test_simple_text', arguments: {} },
    denied: { name: 'test_image_content', arguments: {} },
    twin: 'test_imaqe_content',
  },
  {
    method: 'prompts/get',
    good: { name: 'test_simple_prompt' },
    denied: { name: 'test_prompt_with_image' },
    twin: 'test_prompt_with_imaqe',
  },
  {
    method: 'resources/read',
    good: { uri: 'test://static-text' },
    denied: { uri: 'test://static-binary' },
    twin: 'test://static-binarq',
  },
  {
    method: 'resources/read',
    good: { uri: 'test://template/7/data' },
    denied: { uri: 'leaky://keys/7' },
    twin: 'leaky://kezs/7',
  },
  {
    method: 'completion/complete',
    good: { ref: template, argument: { name: 'id', value: '' } },
    denied: { ref: { type: 'ref/resource', uri: 'leaky://keys/{name}' }, argument: { name: 'name', value: '' } },
    twin: 'leaky://kezs/{name}',
  },
  {
    method: 'completion/complete',
    good: {
      ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' },
      argument: { name: 'arg1', value: '' },
    },
    denied: { ref: { type: 'ref/prompt', name: 'write' }, argument: { name: 'a', value: '' } },
    twin: 'wrote',
  },
]

/** The name inside of a request, in the place of which the twin comes. */
const named = ({ denied }: Case): string =>
  z.string().parse(Object(denied['ref'])['name'] ?? Object(denied['ref'])['uri'] ?? denied['name'] ?? denied['uri'])

/** All that a caller can see of an answer, but for what differs each time. */
function seen({ status, headers, message }: Heard): string {
  const { id: _, ...rest } = message
  const shown = [...headers].filter(([name]) => !['date', 'content-length', 'traceparent'].includes(name))
  return JSON.stringify([status, shown, rest]).replaceAll(/[0-9a-f]{32}/g, 'TRACE')
}

describe.each(['modern', 'legacy'] as const)('in the %s era', (era) => {
  test('each list holds exactly what was granted', async () => {
    const listed = z.array(
      z.looseObject({ name: z.string(), uri: z.string().optional(), uriTemplate: z.string().optional() }),
    )
    const list = async (method: string, key: keyof typeof GRANTED) =>
      listed
        .parse((await say[era](method)).result[key])
        .map(({ name, uri, uriTemplate }) => uriTemplate ?? uri ?? name)
        .toSorted()

    expect({
      tools: await list('tools/list', 'tools'),
      prompts: await list('prompts/list', 'prompts'),
      resources: await list('resources/list', 'resources'),
      resourceTemplates: await list('resources/templates/list', 'resourceTemplates'),
    }).toEqual(GRANTED)
  })

  test.each(cases)(
    '$method: what is granted works, and a denial reads as if there were nothing ($twin)',
    async (one) => {
      const unknown: JsonObject = JSON.parse(JSON.stringify(one.denied).replace(named(one), one.twin))

      const good = await say[era](one.method, one.good)
      const denied = await say[era](one.method, one.denied)
      const nothing = await say[era](one.method, unknown)

      expect(good.error).toBeUndefined()
      expect(Object.keys(good.result).length).toBeGreaterThan(0)
      expect(denied.error).toBeDefined()
      expect(seen(denied)).toBe(seen(nothing).replaceAll(one.twin, named(one)))
    },
  )
})

test('following a resource that is not granted reads like following none', async () => {
  const [good, denied, nothing] = [
    await say.legacy('resources/subscribe', { uri: 'test://static-text' }),
    await say.legacy('resources/subscribe', { uri: 'test://watched-resource' }),
    await say.legacy('resources/subscribe', { uri: 'test://watched-resourcf' }),
  ]

  expect(good.error).toBeUndefined()
  expect(denied.error).toBeDefined()
  expect(seen(denied)).toBe(seen(nothing).replaceAll('resourcf', 'resource'))
})

const rest = async (path: string, init: RequestInit = {}) => {
  const headers = { authorization: `Bearer ${line.key}`, 'content-type': 'application/json' }
  const response = await fetch(`${house.url}/api/v1/gateways/demo/${path}`, { ...init, headers })
  return { status: response.status, text: await response.text() }
}

test('REST lists the same, calls the same, and denies in the same words', async () => {
  const call = (tool: string) => rest('call', { method: 'POST', body: JSON.stringify({ tool }) })

  const { tools } = z
    .object({ tools: z.array(z.object({ name: z.string() })) })
    .parse(JSON.parse((await rest('tools')).text))
  const [good, denied, nothing] = [
    await call('test_simple_text'),
    await call('test_image_content'),
    await call('test_imaqe_content'),
  ]

  expect(tools.map(({ name }) => name).toSorted()).toEqual(GRANTED.tools)
  expect(good.status).toBe(200)
  expect(denied.status).toBe(nothing.status)
  expect(denied.status).toBeGreaterThanOrEqual(400)
  const words = ({ text }: { text: string }) => text.replaceAll(/[0-9a-f]{32}/g, 'TRACE')
  expect(words(denied)).toBe(words(nothing).replaceAll('imaqe', 'image'))
})

test('the command line shows and calls the same for that user', async () => {
  const cli = testCli({ cwd: house.dataDir })
  const data = ['--data', house.dataDir, '--config', '/dev/null', '--gateway', 'demo', '--user', 'pat']
  const call = (tool: string) => cli('call', tool, '{}', ...data)

  const listed = await cli('tools', ...data, '--json')
  const [good, denied, nothing] = [
    await call('test_simple_text'),
    await call('test_image_content'),
    await call('test_imaqe_content'),
  ]

  const names = z.object({ tools: z.array(z.object({ name: z.string() })) }).parse(JSON.parse(listed.out))
  expect(names.tools.map(({ name }) => name).toSorted()).toEqual(GRANTED.tools)
  expect(good.code).toBe(0)
  expect(denied.code).not.toBe(0)
  expect(denied).toEqual({ ...nothing, err: nothing.err.replaceAll('imaqe', 'image') })
})

test('what the API shows of servers, grants and rules is for admins only', async () => {
  const paths = ['servers', 'gateways', 'grants', 'policy', 'content-rules', 'audit', 'changes', 'accounts']
  const headers = { authorization: `Bearer ${line.key}` }

  const statuses = await Promise.all(
    paths.map(async (path) => (await fetch(`${house.url}/api/v1/${path}`, { headers })).status),
  )

  expect(statuses.filter((status) => status !== 401 && status !== 403)).toEqual([])
})

test('each denial is recorded as one, with what was really asked for', async () => {
  const { records } = await house.gatehouse.audit.search({ user: 'pat', decision: 'denied' }, { limit: 1_000 })
  const told = new Set(records.map(({ what, server, tool }) => `${what} ${server ?? '-'} ${tool ?? '-'}`))

  expect([...told]).toEqual(
    expect.arrayContaining([
      'tools/call up test_image_content',
      'tools/call - -',
      'prompts/get up test_prompt_with_image',
      'resources/read up test://static-binary',
      'resources/read leaky leaky://keys/7',
      'completion/complete leaky write',
    ]),
  )
})
