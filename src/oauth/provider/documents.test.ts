import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createEgress } from '#http'
import { startCanary } from '../../../test/fakes/canary.ts'
import { createDocumentFetch } from './documents.ts'

type Resolve = NonNullable<NonNullable<Parameters<typeof createEgress>[0]>['resolve']>

function open(options: { resolve?: Resolve; allowHosts?: readonly string[] } = {}) {
  const { resolve, allowHosts = [] } = options
  const documents = createDocumentFetch({ egress: createEgress(resolve ? { resolve } : {}), allowHosts })
  onTestFinished(() => documents.close())
  return (url: string, init?: RequestInit) => documents.fetch(url, init)
}

async function serve(answer: RequestListener, port = 0, host = '::1'): Promise<number> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port // a TCP server that listens has one
}

describe('the documents of clients', () => {
  test('are never fetched at an inside address that a name turns to between two lookups', async () => {
    const port = await serve((_, res) => res.writeHead(200, { connection: 'close' }).end('{}'))
    const canary = await startCanary('127.0.0.1', port)
    onTestFinished(() => canary.close())
    const answers = [['::1'], ['127.0.0.1'], ['::ffff:127.0.0.1'], ['169.254.169.254'], ['127.0.0.1', '10.0.0.1']]
    let lookups = 0
    const fetch = open({
      resolve: async () => answers[Math.min(lookups++, answers.length - 1)] ?? [],
      allowHosts: ['::1'],
    })
    const ask = () =>
      fetch(`http://flips.example:${port}/client.json`).then(
        ({ status }) => status,
        () => 'refused',
      )

    const seen = [await ask(), await ask(), await ask(), await ask(), await ask()]

    expect(seen).toEqual([200, 'refused', 'refused', 'refused', 'refused'])
    expect(canary.connections()).toBe(0)
  })

  test('are not behind a redirect, to the inside or not', async () => {
    const canary = await startCanary('127.0.0.1')
    onTestFinished(() => canary.close())
    const targets = [`http://127.0.0.1:${canary.port}/`, `http://2130706433:${canary.port}/`, '/elsewhere', '//[::1]/']
    const port = await serve((req, res) => {
      const location = targets[Number(req.url?.slice(1))]
      res.writeHead(location === undefined ? 200 : 302, location === undefined ? {} : { location }).end('{}')
    })
    const fetch = open({ allowHosts: ['::1'] })

    const seen = await Promise.allSettled(targets.map((_, n) => fetch(`http://[::1]:${port}/${n}`)))

    expect(seen.map(({ status }) => status)).toEqual(targets.map(() => 'rejected'))
    expect(canary.connections()).toBe(0)
  })

  test('are cut off when they are long or slow', async () => {
    let sent = 0
    const port = await serve((req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      if (req.url === '/slow') return void res.write('{')
      const push = (): void => {
        for (sent += 65_536; sent < 5_000_000 && res.write('x'.repeat(65_536));) sent += 65_536
        if (sent < 5_000_000) res.once('drain', push)
      }
      push()
    })
    const fetch = open({ allowHosts: ['::1'] })
    const startedAt = performance.now()

    const [long, slow] = await Promise.allSettled(['long', 'slow'].map((path) => fetch(`http://[::1]:${port}/${path}`)))

    expect([long?.status, slow?.status]).toEqual(['rejected', 'rejected'])
    expect(sent).toBeLessThan(5_000_000)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})

test('a client inside is told that somebody signed out only where that was allowed', async () => {
  const heard: string[] = []
  const port = await serve((req, res) => {
    req.on('data', (chunk: Buffer) => heard.push(`${req.method} ${String(chunk)}`)).on('end', () => res.end())
  })
  const form = { method: 'POST', body: new URLSearchParams({ logout_token: 'a-token' }) }
  const url = `http://[::1]:${port}/logout`

  await expect(open()(url, form)).rejects.toMatchObject({ kind: { code: 'http/blocked-address' } })
  await open({ allowHosts: ['::1'] })(url, form)

  expect(heard).toEqual(['POST logout_token=a-token'])
})
