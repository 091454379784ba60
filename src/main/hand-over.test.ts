import { createServer, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { handOver } from './hand-over.ts'

async function listen(handle: RequestListener): Promise<{ url: string; port: number }> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, port }
}

/** A replica that hands everything to another one, without looking at bodies of GET, as the gateway does. */
async function startPair() {
  const seen: string[] = []
  const owner = await listen((req, res) => {
    seen.push(`${req.method} ${req.url} ${Object.keys(req.headers).sort().join(' ')}`)
    res.setHeader('x-owner', 'yes')
    res.end(`answer to ${req.url}`)
  })
  const front = await listen((req, res) => {
    void handOver({ url: owner.url, from: 'front' }, { req, res, body: undefined })
  })
  return { seen, front }
}

async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  let heard = ''
  socket.setEncoding('utf8').on('data', (text: string) => void (heard += text))
  socket.write(bytes)
  await expect.poll(() => heard).toMatch(/answer to \S+/)
  socket.destroy()
  return heard
}

test('a request cannot swallow the one that comes after it', async () => {
  const { seen, front } = await startPair()
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'

  await sendRaw(front.port, `GET /first HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`)
  const second = await (await fetch(`${front.url}/second`)).text()
  const third = await (await fetch(`${front.url}/third`)).text()

  expect([second, third]).toEqual(['answer to /second', 'answer to /third'])
  expect(seen.map((line) => line.split(' ')[1])).toEqual(['/first', '/second', '/third'])
})

test('what belongs to one connection is not handed over', async () => {
  const { seen, front } = await startPair()

  const head =
    'GET /one HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nX-Other: 1\r\n\r\n'
  const heard = await sendRaw(front.port, head)

  expect(seen).toEqual(['GET /one connection gatehouse-forwarded host x-forwarded-for x-other'])
  expect(heard).toMatch(/x-owner: yes/i)
})
