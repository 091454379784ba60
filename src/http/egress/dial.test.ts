import { createServer, type Server } from 'node:http'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createEgress } from './client.ts'
import type { Resolve } from './dial.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Attacker's target on 127.0.0.1 and an allowed server on ::1, on one port, so that only the address tells them apart. */
async function twoServers() {
  const inside = await listen('127.0.0.1', 0)
  const allowed = await listen('::1', inside.port)
  return { inside, allowed, port: inside.port }
}

async function listen(host: string, port: number) {
  let connections = 0
  const server: Server = createServer((_, response) => response.end(host)).on('connection', () => connections++)
  server.listen(port, host)
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  // `listen` on TCP always has an AddressInfo.
  return { port: (server.address() as AddressInfo).port, connections: () => connections, server }
}

/** A DNS server over UDP that answers AAAA queries with what `answer` says now (RFC 1035 §4). */
async function dnsServer(answer: () => readonly string[]): Promise<{ resolve: Resolve; queries: () => number }> {
  let queries = 0
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    queries++
    socket.send(dnsAnswer(query, answer()), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  cleanups.push(() => socket.close())
  const resolver = new Resolver({ timeout: 2_000, tries: 1 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return { resolve: (host) => resolver.resolve6(host), queries: () => queries }
}

function dnsAnswer(query: Buffer, addresses: readonly string[]): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE(0x8180, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(addresses.length, 6)
  head.writeUInt32BE(0, 8)
  const records = addresses.map((address) =>
    // Name by pointer to the question, type AAAA, class IN, TTL 0, 16 bytes.
    Buffer.concat([Buffer.from('c00c001c000100000000' + '0010', 'hex'), Buffer.from(address, 'hex')]),
  )
  return Buffer.concat([head, question, ...records])
}

const LOOPBACK6 = '00000000000000000000000000000001'
const MAPPED_LOOPBACK4 = '00000000000000000000ffff7f000001'
const PRIVATE6 = 'fd000000000000000000000000000001'

const request = (url: string) => ({ url, method: 'GET', signal: AbortSignal.timeout(5_000), maxBytes: 1_000 }) as const

describe('a name whose DNS answer changes', () => {
  it('is dialled at the address that was checked, with one query for each connection', async () => {
    const { inside, allowed, port } = await twoServers()
    let turn = 0
    const dns = await dnsServer(() => [turn++ % 2 === 0 ? LOOPBACK6 : MAPPED_LOOPBACK4])
    const client = createEgress({ resolve: dns.resolve }).open({ trusted: false, allow: ['::1'] })
    cleanups.push(() => client.close())

    const { body } = await client.request(request(`http://rebind.example:${port}/`))

    expect(String(body)).toBe('::1')
    expect(dns.queries()).toBe(1)
    expect(allowed.connections()).toBe(1)
    expect(inside.connections()).toBe(0)
  })

  it('is refused once the new answer is needed for a new connection', async () => {
    const { inside, allowed, port } = await twoServers()
    let answer = LOOPBACK6
    const dns = await dnsServer(() => [answer])
    const client = createEgress({ resolve: dns.resolve }).open({ trusted: false, allow: ['::1'] })
    cleanups.push(() => client.close())
    await client.request(request(`http://rebind.example:${port}/`))

    // undici gives a socket back one turn of the event loop after the answer's end.
    await new Promise(setImmediate)
    answer = MAPPED_LOOPBACK4
    const kept = await client.request(request(`http://rebind.example:${port}/`))
    allowed.server.closeAllConnections()
    const failures = await untilRefused(() => client.request(request(`http://rebind.example:${port}/`)))

    expect(String(kept.body)).toBe('::1')
    expect(failures).toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(inside.connections()).toBe(0)
  })

  it('is dialled only at its permitted addresses, even when those do not answer', async () => {
    const inside = await listen('127.0.0.1', 0)
    const dns = await dnsServer(() => [PRIVATE6, MAPPED_LOOPBACK4, LOOPBACK6])
    const client = createEgress({ resolve: dns.resolve }).open({ trusted: false, allow: ['::1'] })
    cleanups.push(() => client.close())

    const failure = client.request(request(`http://mixed.example:${inside.port}/`))

    await expect(failure).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(inside.connections()).toBe(0)
  })

  it('is refused when it has only forbidden addresses', async () => {
    const inside = await listen('127.0.0.1', 0)
    const dns = await dnsServer(() => [MAPPED_LOOPBACK4, PRIVATE6])
    const client = createEgress({ resolve: dns.resolve }).open({ trusted: false, allow: [] })
    cleanups.push(() => client.close())

    const failure = client.request(request(`http://mixed.example:${inside.port}/`))

    await expect(failure).rejects.toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(inside.connections()).toBe(0)
  })
})

describe('TLS', () => {
  it('asks for the host by name although the checked address is dialled', async () => {
    const hello = Promise.withResolvers<Buffer>()
    const server = createTcpServer((socket) => {
      socket.once('data', (bytes) => {
        hello.resolve(Buffer.from(bytes))
        socket.destroy()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanups.push(() => server.close())
    const client = createEgress({ resolve: async () => ['127.0.0.1'] }).open({ trusted: false, allow: ['127.0.0.1'] })
    cleanups.push(() => client.close())

    // `listen` on TCP always has an AddressInfo.
    const { port } = server.address() as AddressInfo
    const failure = client.request(request(`https://secure.example:${port}/`))

    await expect(failure).rejects.toThrow()
    expect((await hello.promise).includes('secure.example')).toBe(true)
  })
})

/** The client notices a closed keep-alive connection only when it next looks at it. */
async function untilRefused(attempt: () => Promise<unknown>): Promise<unknown> {
  const failure = await attempt().catch((error: unknown) => error)
  const lost = failure instanceof Error && 'code' in failure && /ECONNRESET|UND_ERR_SOCKET/.test(String(failure.code))
  return lost ? untilRefused(attempt) : failure
}
