import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HandClock, serveFace, type Served } from './testing.ts'
import { beginSession, legacy, modern, open, send } from './testing-http.ts'

let served: Served
let clock: HandClock
let url: string
beforeEach(async () => {
  clock = new HandClock()
  // The pulse beats every few milliseconds, but time passes only when a test says so.
  served = await serveFace({ clock, limits: { silenceMs: 20, keepAliveMs: 15_000, resumeMs: 30_000 } })
  url = `${served.url}/open`
})
afterEach(async () => await served[Symbol.asyncDispose]())

const elicits = { capabilities: { elicitation: {} } }
const lastId = (text: string) => [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? ''
const askId = (text: string) => Number(/"id":(\d+),"method":"elicitation/.exec(text)?.[1])
const answerTo = (id: number) => JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept' } })

describe('a call of a session', () => {
  it('is answered as JSON when nothing was said, as a stream with ids when something was', async () => {
    const headers = await beginSession(url)

    const plain = await send({ url, headers, body: legacy('tools/call', { name: 'echo' }) })
    const told = await send({
      url,
      headers,
      body: legacy('tools/call', { name: 'progress', _meta: { progressToken: 'p' } }),
    })

    expect(plain.headers['content-type']).toBe('application/json')
    expect(told.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    expect(told.text).toMatch(/^id: c\d+-0\nretry: \d+\ndata: \n\n/)
    expect(told.text).toContain('"progressToken":"p"')
  })

  it('gives older clients ids but no empty event', async () => {
    const headers = await beginSession(url, { version: '2025-06-18' })

    const told = await send({
      url,
      headers,
      body: legacy('tools/call', { name: 'progress', _meta: { progressToken: 1 } }),
    })

    expect(told.text).toMatch(/^id: c\d+-1\ndata: \{/)
  })

  it('is a stream from the start for a client that names it first', async () => {
    const headers = { ...(await beginSession(url)), accept: 'text/event-stream, application/json' }

    const reply = await send({ url, headers, body: legacy('tools/list') })

    expect(reply.text).toMatch(/^id: c\d+-0\nretry: \d+\ndata: \n\nid: c\d+-1\ndata: \{/)
  })

  it('says nothing to a client that takes JSON only', async () => {
    const headers = { ...(await beginSession(url)), accept: 'application/json' }

    const reply = await send({
      url,
      headers,
      body: legacy('tools/call', { name: 'progress', _meta: { progressToken: 1 } }),
    })

    expect(JSON.parse(reply.text)).toMatchObject({ result: { content: [{ text: 'progress true' }] } })
  })

  it('goes on after its connection was lost, and ends on the resumed stream', async () => {
    const headers = await beginSession(url, elicits)
    const first = await open({ url, headers, body: legacy('tools/call', { name: 'ask' }) })
    const seen = await first.until('elicitation/create')
    first.cut()

    const resumed = await open({ url, method: 'GET', headers: { ...headers, 'last-event-id': lastId(seen) } })
    await send({ url, headers, body: answerTo(askId(seen)) })
    const rest = await resumed.rest()

    expect(rest).toContain('accept')
    expect(rest).not.toContain('elicitation/create')
  })

  it('finds its result on a stream that was resumed after the end', async () => {
    const headers = await beginSession(url, elicits)
    const first = await open({ url, headers, body: legacy('tools/call', { name: 'ask' }) })
    const seen = await first.until('elicitation/create')
    first.cut()
    await send({ url, headers, body: answerTo(askId(seen)) })
    await expect.poll(() => served.face.sessions().calls).toBe(0)

    const resumed = await open({ url, method: 'GET', headers: { ...headers, 'last-event-id': lastId(seen) } })

    expect(await resumed.rest()).toContain('accept')
  })

  it('is aborted when nobody resumes it in time, and its stream is gone then', async () => {
    const headers = await beginSession(url)
    const opening = open({ url, headers, body: legacy('tools/call', { name: 'slow' }) })
    await expect.poll(() => served.tools.seen.length).toBe(1)
    clock.advance(25)
    const first = await opening
    const seen = await first.until('retry')
    first.cut()
    await expect.poll(() => served.face.sessions().streams).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(served.tools.aborted).toBe(0)

    clock.advance(30_001)
    await expect.poll(() => served.tools.aborted).toBe(1)

    const late = await send({ url, method: 'GET', headers: { ...headers, 'last-event-id': lastId(seen) } })
    expect(late.status).toBe(410)
    expect(served.face.sessions()).toMatchObject({ streams: 0, calls: 0, keptBytes: 0 })
  })

  it('is aborted at once when no id was ever sent', async () => {
    const headers = await beginSession(url)
    const cut = new AbortController()
    const call = fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: legacy('tools/call', { name: 'slow' }),
      signal: cut.signal,
    })
    await expect.poll(() => served.face.sessions().calls).toBe(1)

    cut.abort()

    await expect(call).rejects.toThrow()
    await expect.poll(() => served.tools.aborted).toBe(1)
  })
})

describe('a stream of a session', () => {
  it('carries each message once, on the newest stream', async () => {
    const headers = await beginSession(url)
    const older = await open({ url, method: 'GET', headers })
    const newer = await open({ url, method: 'GET', headers })

    served.tools.change('prompts')
    await newer.until('notifications/prompts/list_changed')
    await send({ url, method: 'DELETE', headers })

    expect(await older.rest()).not.toContain('list_changed')
    expect(served.tools.listeners).toBe(0)
  })

  it('brings what was missed to a client that comes back, with and without its last id', async () => {
    const headers = await beginSession(url)
    const first = await open({ url, method: 'GET', headers })
    const seen = await first.until('retry')
    first.cut()
    await expect.poll(() => served.requests[1]?.destroyed).toBe(true)
    served.tools.change('tools')

    const resumed = await open({ url, method: 'GET', headers: { ...headers, 'last-event-id': lastId(seen) } })
    await resumed.until('notifications/tools/list_changed')
    resumed.cut()
    await expect.poll(() => served.requests[2]?.destroyed).toBe(true)
    served.tools.change('resources')
    const fresh = await open({ url, method: 'GET', headers })
    const text = await fresh.until('notifications/resources/list_changed')

    expect(text).not.toContain('notifications/tools/list_changed')
    fresh.cut()
  })

  it('is kept alive by comments', async () => {
    const headers = await beginSession(url)
    const stream = await open({ url, method: 'GET', headers })
    await stream.until('retry')

    clock.advance(15_001)

    await stream.until(': keep-alive')
    stream.cut()
  })

  it('ends when the key is revoked', async () => {
    const demo = `${served.url}/demo`
    const headers = await beginSession(demo, { headers: { authorization: 'Bearer key-b' } })
    const stream = await open({ url: demo, method: 'GET', headers })
    await stream.until('retry')
    served.tools.keys.delete('Bearer key-b')

    clock.advance(15_001)

    await stream.rest()
    expect(served.tools.listeners).toBe(0)
  })
})

describe('a modern call', () => {
  it('becomes a stream after a while of silence, and is aborted when the client leaves', async () => {
    const opening = open({ url, ...modern('tools/call', { name: 'slow' }) })
    await expect.poll(() => served.tools.seen.length).toBe(1)
    clock.advance(25)
    const stream = await opening

    clock.advance(15_001)
    await stream.until(': keep-alive')
    stream.cut()

    await expect.poll(() => served.tools.aborted).toBe(1)
  })

  it('hears log messages of the level it asked for, and none when it did not ask', async () => {
    const level = { 'io.modelcontextprotocol/logLevel': 'info' }
    const asked = await send({ url, ...modern('tools/call', { name: 'progress', _meta: level }) })
    const silent = await send({ url, ...modern('tools/call', { name: 'progress' }) })

    expect(asked.text).toContain('half done')
    expect(asked.text).not.toContain('a detail')
    expect(silent.headers['content-type']).toBe('application/json')
  })

  it('keeps a result with line breaks inside one event', async () => {
    const reply = await send({
      url,
      ...modern('tools/call', { name: 'big' }),
      headers: { ...modern('tools/call', { name: 'big' }).headers, accept: 'text/event-stream' },
    })

    expect(reply.text.split('\n').filter((line) => line !== '' && !line.startsWith('data: '))).toEqual([])
    expect(JSON.parse(reply.text.replace(/^data: /, ''))).toMatchObject({ id: 1, result: { resultType: 'complete' } })
  })
})

describe('listening', () => {
  const listen = (notifications: object) => modern('subscriptions/listen', { notifications }, { id: 'L' })
  const stamp = '"io.modelcontextprotocol/subscriptionId":"L"'

  it('acknowledges what it can honour, tells each change once, and ends with a result', async () => {
    const wish = { toolsListChanged: true, resourceSubscriptions: ['test://note', 'test://other'] }
    const stream = await open({ url, ...listen(wish) })
    const first = await stream.until('acknowledged')
    for (const follower of served.tools.subscriptions.get('test://note') ?? []) follower({ uri: 'test://note' })
    served.tools.change('tools')
    served.tools.change('prompts')
    await stream.until('tools/list_changed')

    await served.face.close()
    const events = (await stream.rest()).split('\n\n').filter((event) => event.startsWith('data: '))

    expect(first).toContain('{"toolsListChanged":true,"resourceSubscriptions":["test://note"]}')
    expect(events).toHaveLength(4)
    expect(events.filter((event) => event.includes(stamp))).toHaveLength(4)
    expect(events.at(-1)).toContain('"resultType":"complete"')
    expect(served.tools.listeners).toBe(0)
    expect(served.tools.subscriptions.get('test://note')?.size).toBe(0)
  })

  it('ends when the key is revoked, and leaves nothing when the client goes', async () => {
    const demo = { url: `${served.url}/demo`, ...listen({ toolsListChanged: true }) }
    const as = (key: string) => ({ ...demo, headers: { ...demo.headers, authorization: `Bearer ${key}` } })
    const revoked = await open(as('key-a'))
    const leaving = await open(as('key-b'))
    await revoked.until('acknowledged')
    await leaving.until('acknowledged')
    served.tools.keys.delete('Bearer key-a')

    leaving.cut()
    clock.advance(15_001)

    expect(await revoked.rest()).toContain('"resultType":"complete"')
    await expect.poll(() => served.face.sessions().listens).toBe(0)
    expect(served.tools.listeners).toBe(0)
  })

  it('refuses more streams of one user than the limit', async () => {
    await using small = await serveFace({ limits: { listensPerUser: 1 } })
    const one = await open({ url: `${small.url}/open`, ...listen({ toolsListChanged: true }) })

    const two = await send({ url: `${small.url}/open`, ...listen({ toolsListChanged: true }) })

    expect(two.status).toBe(429)
    one.cut()
  })
})
