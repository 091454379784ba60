import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { authorize, post, REDIRECT, register, textOf } from './oauth-client.ts'
import { ADMIN, REFERENCE, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'

const HEAD =
  'POST /oauth/token HTTP/1.1\r\nhost: gatehouse\r\ncontent-type: application/x-www-form-urlencoded\r\n' as const

async function start(): Promise<TestHouse> {
  const house = await openHouse({ toml: REFERENCE })
  return house
}

async function dial(house: TestHouse): Promise<Socket> {
  const socket = connect(Number(new URL(house.url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('the library finds forms as it expects them, and has nothing to warn of', async () => {
  const house = await start()
  const warn = vi.spyOn(console, 'warn')
  onTestFinished(() => warn.mockRestore())

  const answer = await post(`${house.url}/oauth/token`, { grant_type: 'refresh_token', refresh_token: 'x' })

  expect(answer.body['error']).toBe('invalid_request')
  expect(warn.mock.calls).toEqual([])
})

test('a form whose sender goes away in the middle ends nothing but itself', async () => {
  const house = await start()
  const socket = await dial(house)
  const closed = once(socket, 'close')

  socket.write(`${HEAD}expect: 100-continue\r\ncontent-length: 100\r\n\r\n`)
  await once(socket, 'data') // the house has begun to read
  socket.write('grant_type=')
  socket.destroy()
  await closed

  // Vitest fails the run for a rejection that nobody handles, which would have ended a house by itself.
  const after = await post(`${house.url}/oauth/token`, { grant_type: 'refresh_token', refresh_token: 'x' })
  expect(after.status).toBe(400)
})

test('a form that tells no length and never ends is refused', async () => {
  const house = await start()
  const socket = await dial(house)
  const answered = once(socket, 'data')

  socket.write(`${HEAD}transfer-encoding: chunked\r\n\r\n`)
  socket.write(`20000\r\n${'a'.repeat(0x20000)}\r\n`)

  const [answer]: Buffer[] = await answered
  expect(answer?.toString()).toMatch(/^HTTP\/1\.1 413 /)
})

test('who holds a used refresh token, but not the secret of its client, gets no answer of it', async () => {
  const house = await start()
  const { id: accountId } = await house.gatehouse.identity.accounts.create({ userId: 'anne@example.com' }, ADMIN)
  const { body } = await register(house, { token_endpoint_auth_method: 'client_secret_post' })
  const client = { client_id: textOf(body['client_id']), client_secret: textOf(body['client_secret']) }
  const { back, codeVerifier } = await authorize(house, { clientId: client.client_id, accountId, gateway: 'demo' })
  const code = { code: back.searchParams.get('code') ?? '', redirect_uri: REDIRECT, code_verifier: codeVerifier }
  const token = (form: Record<string, string>) => post(`${house.url}/oauth/token`, form)
  const first = await token({ grant_type: 'authorization_code', ...client, ...code })
  const refresh = { grant_type: 'refresh_token', refresh_token: textOf(first.body['refresh_token']) }

  const honest = await token({ ...refresh, ...client })
  const again = await token({ ...refresh, ...client })
  const without = await token({ ...refresh, client_id: client.client_id })
  const wrong = await token({ ...refresh, ...client, client_secret: 'wrong' })
  const other = await token({ ...refresh, client_id: 'somebody-else' })

  expect([honest.status, without.status, wrong.status, other.status]).toEqual([200, 401, 401, 401])
  expect(again.body).toEqual(honest.body)
})
