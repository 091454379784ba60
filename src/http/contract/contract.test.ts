import * as z from 'zod'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Problem } from '#kernel'
import { createApi } from '../api.ts'
import { createClient } from './client.ts'
import type { Admission } from './caller.ts'
import { defineContract, type Access } from './contract.ts'
import { mountContract } from './mount.ts'
import { MAX_BODY_BYTES } from './read-json.ts'
import { errorLog, serveApi, type Served } from './testing.ts'

const GONE = { code: 'test/gone', status: 410, title: 'It is gone' } as const
const DENIED = { code: 'test/denied', status: 401, title: 'No' } as const

const contract = defineContract({
  addShelf: {
    method: 'POST',
    path: '/api/shelves',
    summary: 'Add',
    access: 'admin',
    body: z.strictObject({ name: z.string().max(5), places: z.array(z.strictObject({ size: z.int() })).default([]) }),
    reply: z.object({ name: z.string(), places: z.int() }),
    status: 201,
  },
  getShelf: {
    method: 'GET',
    path: '/api/shelves/{name}',
    summary: 'Get',
    access: 'open',
    params: z.strictObject({ name: z.string().max(20) }),
    query: z.strictObject({ limit: z.coerce.number().int().max(9).default(3) }),
    reply: z.object({ name: z.string(), limit: z.int() }),
    errors: [GONE],
  },
  removeShelf: {
    method: 'DELETE',
    path: '/api/shelves/{name}',
    summary: 'Remove',
    access: 'admin',
    params: z.strictObject({ name: z.string().max(20) }),
  },
  follow: {
    method: 'GET',
    path: '/api/follow',
    summary: 'Follow',
    access: 'open',
    query: z.strictObject({ upTo: z.coerce.number().int().optional() }),
    reply: z.object({ n: z.int() }),
    stream: 'ndjson',
  },
})

const log = errorLog()
let served: Served
let ended = Promise.withResolvers<number>()

function authorize(access: Access, { headers }: { headers: Headers }): Admission {
  if (headers.get('authorization') === 'Bearer right')
    return { caller: { kind: 'admin', userId: 'a', keyId: null, face: 'rest' } }
  if (access === 'admin') return { refused: new Problem(DENIED, 'Send the right token.') }
  return { caller: { kind: 'anybody' } }
}

async function* countUp(upTo: number | undefined, signal: AbortSignal) {
  let n = 0
  try {
    while (upTo === undefined ? !signal.aborted : n < upTo) yield { n: ++n, hidden: true }
  } finally {
    ended.resolve(n)
  }
}

beforeAll(async () => {
  const app = createApi({
    log,
    browser: { isLoopbackListener: true, publicUrl: () => '', origins: ['https://ok.example'] },
  })
  mountContract(
    app,
    contract,
    {
      addShelf: ({ body }) => ({ name: body.name, places: body.places.length, secret: 'not in the contract' }),
      getShelf: ({ params, query }) => {
        if (params.name === 'gone') throw new Problem(GONE, 'It was moved; look elsewhere.')
        if (params.name === 'bug') throw new Error('the password is hunter2')
        if (params.name === 'strange') return { name: 'x', limit: 0.5 }
        return { ...params, ...query }
      },
      removeShelf: () => {},
      follow: ({ query }, { signal }) => countUp(query.upTo, signal),
    },
    { log, authorize },
  )
  served = await serveApi((request) => app.fetch(request))
})

afterAll(() => served[Symbol.asyncDispose]())

const client = () => createClient({ baseUrl: served.url, token: 'right', fetch: (request) => fetch(request) }, contract)

const JSON_TYPE = { 'content-type': 'application/json', authorization: 'Bearer right' }
const json = (body: string, headers: Record<string, string> = JSON_TYPE): RequestInit => ({
  method: 'POST',
  headers,
  body,
})
const deep = `{"name":${'['.repeat(100)}${']'.repeat(100)}}`

test.each<[what: string, path: string, init: RequestInit, answer: [status: number, code: string, says: string]]>([
  ['no token', 'shelves', json('{}', { 'content-type': 'application/json' }), [401, 'test/denied', 'right token']],
  [
    'a form',
    'shelves',
    json('name=x', { ...JSON_TYPE, 'content-type': 'text/plain' }),
    [415, 'http/wrong-content-type', 'text/plain'],
  ],
  ['no JSON', 'shelves', json('{"name":'), [400, 'http/not-json', 'not valid JSON']],
  ['depth', 'shelves', json(deep), [400, 'http/not-json', '64 levels']],
  ['a huge body', 'shelves', json(`"${'x'.repeat(MAX_BODY_BYTES)}"`), [413, 'http/body-too-large', '1048576']],
  ['a wrong member', 'shelves', json('{"name":"far too long"}'), [400, 'http/invalid-request', 'name: too big']],
  [
    'a nested one',
    'shelves',
    json('{"name":"a","places":[{"size":"x"}]}'),
    [400, 'http/invalid-request', 'places[0].size: expected'],
  ],
  ['an unknown one', 'shelves', json('{"name":"a","colour":1}'), [400, 'http/invalid-request', 'colour: is not known']],
  ['a wrong query', 'shelves/a?limit=x', {}, [400, 'http/invalid-request', 'limit (in the query)']],
  ['a doubled query', 'shelves/a?limit=1&limit=2', {}, [400, 'http/invalid-request', 'limit (in the query)']],
  ['an unknown query', 'shelves/a?limits=1', {}, [400, 'http/invalid-request', 'limits (in the query)']],
  ['a long path', `shelves/${'x'.repeat(30)}`, {}, [400, 'http/invalid-request', 'name (in the path)']],
  ['a Problem', 'shelves/gone', {}, [410, 'test/gone', 'look elsewhere']],
  ['a wrong method', 'shelves', { method: 'PUT' }, [405, 'http/wrong-method', 'use POST']],
  ['no such path', 'nowhere', {}, [404, 'http/no-such-route', '/api/nowhere']],
  [
    'a foreign page',
    'shelves/a',
    { headers: { origin: 'https://evil.example' } },
    [403, 'http/forbidden-origin', 'evil.example'],
  ],
  ['an odd origin', 'shelves/a', { headers: { origin: 'null' } }, [403, 'http/forbidden-origin', 'null']],
])('%s is refused with a problem', async (_, path, init, [status, code, says]) => {
  const response = await fetch(`${served.url}/api/${path}`, init)
  const problem = await response.json()

  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect({ status: response.status, type: problem.type }).toEqual({ status, type: `urn:problem:${code}` })
  expect(problem.status).toBe(status)
  expect(problem.detail).toContain(says)
})

test('an allowed origin is let in', async () => {
  const response = await fetch(`${served.url}/api/shelves/a`, { headers: { origin: 'https://ok.example' } })

  expect(response.status).toBe(200)
})

test('a wrong method is told which ones there are', async () => {
  const response = await fetch(`${served.url}/api/shelves/a`, { method: 'PATCH' })

  expect(response.headers.get('allow')).toBe('GET, DELETE')
})

test.each(['bug', 'strange'])('a bug (%s) is logged once and shows nothing but an id', async (name) => {
  log.errors.length = 0

  const response = await fetch(`${served.url}/api/shelves/${name}`)
  const text = await response.text()

  expect(response.status).toBe(500)
  expect(text).not.toContain('hunter2')
  expect(log.errors).toHaveLength(1)
  expect(text).toContain(Object.entries(log.errors[0]?.fields ?? {}).find(([key]) => key === 'requestId')?.[1])
})

test('what the contract does not name does not leave', async () => {
  const response = await fetch(`${served.url}/api/shelves`, json('{"name":"a","places":[{"size":1}]}'))

  expect(response.status).toBe(201)
  expect(await response.json()).toEqual({ name: 'a', places: 1 })
})

test('the client sends and receives what the contract says', async () => {
  const added = await client().addShelf({ body: { name: 'a' } })
  const got = await client().getShelf({ params: { name: 'a/b ü' }, query: { limit: 7 } })
  const removed = await client().removeShelf({ params: { name: 'a' } })

  expect({ added, got, removed }).toEqual({
    added: { name: 'a', places: 0 },
    got: { name: 'a/b ü', limit: 7 },
    removed: undefined,
  })
})

test('the client throws the Problem that was answered', async () => {
  const asked = client().getShelf({ params: { name: 'gone' }, query: {} })

  await expect(asked).rejects.toMatchObject({ kind: { ...GONE }, message: 'It was moved; look elsewhere.' })
})

test('the client says so when nobody answers, and when it is somebody else', async () => {
  const nobody = createClient(
    { baseUrl: 'http://127.0.0.1:1', token: '', fetch: (request) => fetch(request) },
    contract,
  )
  const other = createClient({ baseUrl: 'http://x', token: '', fetch: async () => new Response('<html>') }, contract)
  const input = { params: { name: 'a' }, query: {} }

  await expect(nobody.getShelf(input)).rejects.toMatchObject({ kind: { code: 'http/no-answer' } })
  await expect(other.getShelf(input)).rejects.toMatchObject({ kind: { code: 'http/strange-answer' } })
})

test('a stream arrives line by line, without what the contract does not name', async () => {
  const lines = []
  for await (const line of await client().follow({ query: { upTo: 3 } })) lines.push(line)

  expect(lines).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
})

test('a stream ends at its source when the reader goes away', async () => {
  ended = Promise.withResolvers()
  const stop = new AbortController()
  const lines = await client().follow({ query: {} }, { signal: stop.signal })
  await lines.next()

  stop.abort()

  expect(await ended.promise).toBeGreaterThan(0)
})

test('a client in this process needs no listener', async () => {
  const app = createApi({ log, browser: { isLoopbackListener: true, publicUrl: () => '', origins: [] } })
  const small = { removeShelf: contract.removeShelf }
  mountContract(app, small, { removeShelf: () => {} }, { log, authorize })
  const here = createClient(
    { baseUrl: 'http://gatehouse.internal', token: 'right', fetch: async (request) => app.fetch(request) },
    small,
  )

  await expect(here.removeShelf({ params: { name: 'a' } })).resolves.toBeUndefined()
})
