import { expect, test } from 'vitest'
import { modern } from './testing-http.ts'
import { serveFace } from './testing.ts'

test('large bodies share a limit, and give their part back when they are answered or given up', async () => {
  await using served = await serveFace({ limits: { bodyBytesTotal: 1_000_000, silenceMs: 10 } })
  const call = async (name: string, signal?: AbortSignal) => {
    const { headers, body } = modern('tools/call', { name, arguments: { filling: 'x'.repeat(600_000) } })
    const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    return await fetch(`${served.url}/demo`, {
      method: 'POST',
      body,
      headers: { ...type, ...headers, authorization: 'Bearer key-a' },
      ...(signal === undefined ? {} : { signal }),
    })
  }
  const gone = new AbortController()
  const slow = await call('slow', gone.signal)

  const refused = await call('echo')
  gone.abort()
  await expect.poll(async () => (await call('echo')).status).toBe(200)

  expect([slow.status, refused.status]).toEqual([200, 429])
  expect((await call('echo')).status).toBe(200)
})
