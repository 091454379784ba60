import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { isProblem } from '#kernel'
import { createEgress } from './client.ts'
import type { EgressClient, EgressPolicy, EgressRequest } from './egress.ts'
import type { Resolve } from './dial.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown
type Listener = { port: number; connections: () => number; requests: IncomingMessage[] }

async function listen(host: string, answer: Answer, port = 0): Promise<Listener> {
  let connections = 0
  const requests: IncomingMessage[] = []
  const server: Server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  server.on('connection', () => connections++)
  server.listen(port, host)
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  // `listen` on TCP always has an AddressInfo.
  return { port: (server.address() as AddressInfo).port, connections: () => connections, requests }
}

function open(policy: Partial<EgressPolicy>, resolve?: Resolve): EgressClient {
  const client = createEgress(resolve ? { resolve } : {}).open({ trusted: false, allow: [], ...policy })
  cleanups.push(() => client.close())
  return client
}

function get(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return { url, method: 'GET', signal: AbortSignal.timeout(5_000), maxBytes: 10_000, ...more }
}

/** Names that an attacker's DNS would answer with inside addresses. */
const HOSTILE_NAMES: Record<string, string[]> = {
  'inside.example': ['127.0.0.1'],
  'inside6.example': ['::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'many.example': ['127.0.0.1', '::1', '10.0.0.1', '169.254.169.254'],
  'spelt.example': ['0x7f.1'],
  'junk.example': ['not an address'],
  '127.0.0.1.nip.example': ['127.0.0.1'],
}
const hostileResolve: Resolve = async (host) => HOSTILE_NAMES[host] ?? ['127.0.0.1']

const HOSTILE_URLS = [
  'http://127.0.0.1:PORT/',
  'http://127.0.0.1:PORT/latest/meta-data',
  'http://127.0.0.2:PORT/',
  'http://127.255.255.254:PORT/',
  'http://127.1:PORT/',
  'http://127.0.1:PORT/',
  'http://0:PORT/',
  'http://0.0.0.0:PORT/',
  'http://0x7f.1:PORT/',
  'http://0x7f000001:PORT/',
  'http://0X7F.0.0.1:PORT/',
  'http://2130706433:PORT/',
  'http://017700000001:PORT/',
  'http://0177.0.0.1:PORT/',
  'http://0177.0.0.01:PORT/',
  'http://127.0.0.1.:PORT/',
  'http://%31%32%37.0.0.1:PORT/',
  'http://①②⑦.⓪.⓪.①:PORT/',
  'http://127。0。0。1:PORT/',
  'http://[::1]:PORT/',
  'http://[0:0:0:0:0:0:0:1]:PORT/',
  'http://[0000::0001]:PORT/',
  'http://[::]:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
  'http://[::ffff:7f00:1]:PORT/',
  'http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/',
  'http://[::127.0.0.1]:PORT/',
  'http://[64:ff9b::127.0.0.1]:PORT/',
  'http://[2002:7f00:1::]:PORT/',
  'http://[fe80::1]:PORT/',
  'http://[fd00::1]:PORT/',
  'http://[ff02::1]:PORT/',
  'http://localhost:PORT/',
  'http://LOCALHOST:PORT/',
  'http://localhost.:PORT/',
  'http://foo.localhost:PORT/',
  'http://10.0.0.1:PORT/',
  'http://172.16.0.1:PORT/',
  'http://192.168.1.1:PORT/',
  'http://169.254.169.254:PORT/latest/meta-data/',
  'http://[fd00:ec2::254]:PORT/',
  'http://100.64.0.1:PORT/',
  'http://100.100.100.200:PORT/',
  'http://168.63.129.16:PORT/',
  'http://192.0.0.192:PORT/',
  'http://198.18.0.1:PORT/',
  'http://224.0.0.1:PORT/',
  'http://255.255.255.255:PORT/',
  'http://inside.example:PORT/',
  'http://INSIDE.example.:PORT/',
  'http://inside6.example:PORT/',
  'http://mapped.example:PORT/',
  'http://many.example:PORT/',
  'http://spelt.example:PORT/',
  'http://junk.example:PORT/',
  'http://127.0.0.1.nip.example:PORT/',
  'https://127.0.0.1:PORT/',
  'https://inside.example:PORT/',
  'https://[::1]:PORT/',
]

const NOT_EVEN_URLS = [
  'http://example.com@127.0.0.1:PORT/',
  'http://user:secret@127.0.0.1:PORT/',
  'http://127.0.0.1:PORT@example.com/',
  'file:///etc/passwd',
  'gopher://127.0.0.1:PORT/',
  'ftp://127.0.0.1:PORT/',
  'data:text/plain,hello',
  'javascript:alert(1)',
  '//127.0.0.1:PORT/',
  'http://[::1',
  '',
]

describe('the guard of untrusted registrations', () => {
  it.each(HOSTILE_URLS)('never connects for %s', async (template) => {
    const v4 = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const v6 = await listen('::1', (_, response) => response.end('inside'), v4.port)
    const url = template.replace('PORT', String(v4.port))

    const failure = await open({}, hostileResolve)
      .request(get(url))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(v4.connections() + v6.connections()).toBe(0)
  })

  it.each(HOSTILE_URLS)('never connects for raw dispatch to %s', async (template) => {
    const v4 = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const v6 = await listen('::1', (_, response) => response.end('inside'), v4.port)
    const { origin } = new URL(template.replace('PORT', String(v4.port)))

    const failure = await open({}, hostileResolve)
      .dispatcher.request({ origin, path: '/', method: 'GET' })
      .catch((error: unknown) => error)

    expect(isProblem(failure)).toBe(true)
    expect(v4.connections() + v6.connections()).toBe(0)
  })

  it.each(NOT_EVEN_URLS)('refuses "%s" as a URL', async (template) => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const url = template.replace('PORT', String(inside.port))

    const failure = await open({}, hostileResolve)
      .request(get(url))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/bad-url' } })
    expect(String(failure)).not.toContain('secret')
    expect(inside.connections()).toBe(0)
  })

  it('names the host, the kind of address and the way to allow it, but not the address behind a name', async () => {
    const failure = await open({}, async () => ['10.1.2.3'])
      .request(get('http://intranet.example/'))
      .catch((error: unknown) => error)

    expect(String(failure)).toMatch(/intranet\.example points to .* \(private\).*allow_addresses/)
    expect(JSON.stringify(failure)).not.toContain('10.1.2.3')
  })
})

describe('exceptions and trust', () => {
  it.each([
    { allow: ['127.0.0.1'], host: '127.0.0.1' },
    { allow: ['127.0.0.0/8'], host: '127.0.0.1' },
    { allow: ['127.0.0.0/8'], host: 'localhost' },
    { allow: ['localhost'], host: 'localhost' },
    { allow: ['127.0.0.0/8'], host: 'inside.example' },
    { allow: ['INSIDE.example.'], host: 'inside.example' },
    { allow: ['*.example'], host: 'inside.example' },
  ])('$allow lets $host through', async ({ allow, host }) => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))

    const { body } = await open({ allow }, hostileResolve).request(get(`http://${host}:${inside.port}/`))

    expect(String(body)).toBe('inside')
  })

  it.each([
    { allow: ['*.inside.example'], host: 'inside.example' },
    { allow: ['example'], host: 'inside.example' },
    { allow: ['side.example'], host: 'inside.example' },
    { allow: ['*.side.example'], host: 'inside.example' },
    { allow: ['10.0.0.0/8'], host: '127.0.0.1' },
    { allow: ['::/0'], host: '127.0.0.1' },
  ])('$allow does not let $host through', async ({ allow, host }) => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))

    const failure = await open({ allow }, hostileResolve)
      .request(get(`http://${host}:${inside.port}/`))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(inside.connections()).toBe(0)
  })

  it.each(['http://x', '*', 'a b', '10.0.0.0/33', '*.', ''])('"%s" is no exception', (entry) => {
    expect(() => open({ allow: [entry] })).toThrow(/is no exception/)
  })

  it('a trusted registration may reach the machine itself', async () => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))

    const { body, url } = await open({ trusted: true }).request(get(`http://127.0.0.1:${inside.port}/x?y=1`))

    expect(String(body)).toBe('inside')
    expect(url).toBe(`http://127.0.0.1:${inside.port}/x?y=1`)
  })

  it('keeps a connection for the next request', async () => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const client = open({ trusted: true })

    await client.request(get(`http://127.0.0.1:${inside.port}/`))
    // undici gives a socket back one turn of the event loop after the answer's end.
    await new Promise(setImmediate)
    await client.request(get(`http://127.0.0.1:${inside.port}/`))

    expect(inside.connections()).toBe(1)
  })
})

describe('redirects', () => {
  const redirectTo = (location: () => string, status = 302): Answer => {
    return (request, response) => {
      if (request.url === '/end') return response.end(`${request.method} end`)
      return response.writeHead(status, { location: location() }).end('elsewhere')
    }
  }

  it.each([
    'http://127.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://0x7f.1:PORT/',
    'http://inside.example:PORT/',
    'http://169.254.169.254/latest/meta-data/',
    '//127.0.0.1:PORT/',
  ])('a redirect to %s is not dialled', async (template) => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const outside = await listen(
      '::1',
      redirectTo(() => template.replace('PORT', String(inside.port))),
    )
    const client = open({ allow: ['outside.example'] }, async (host) =>
      host === 'outside.example' ? ['::1'] : ['127.0.0.1'],
    )

    const failure = await client
      .request(get(`http://outside.example:${outside.port}/`))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(outside.connections()).toBe(1)
    expect(inside.connections()).toBe(0)
  })

  it.each(['file:///etc/passwd', 'ftp://x/', 'http://a:b@example.com/', 'http://[', 'mailto:a@b'])(
    'a redirect to %s is refused',
    async (location) => {
      const server = await listen(
        '127.0.0.1',
        redirectTo(() => location),
      )

      const failure = await open({ trusted: true })
        .request(get(`http://127.0.0.1:${server.port}/`))
        .catch((error: unknown) => error)

      expect(failure).toMatchObject({ kind: { code: 'http/refused-redirect' } })
    },
  )

  it('a trusted server cannot send us to an inside address', async () => {
    const inside = await listen('127.0.0.1', (_, response) => response.end('inside'))
    const trusted = await listen(
      '127.0.0.1',
      redirectTo(() => `http://127.0.0.1:${inside.port}/`),
    )

    const failure = await open({ trusted: true })
      .request(get(`http://127.0.0.1:${trusted.port}/`))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/blocked-address' } })
    expect(inside.connections()).toBe(0)
  })

  it('what was sent to one server is not sent to another', async () => {
    const other = await listen('127.0.0.1', (_, response) => response.end())
    const first = await listen(
      '127.0.0.1',
      redirectTo(() => `http://127.0.0.1:${other.port}/`, 307),
    )

    const failure = await open({ trusted: true, allow: ['127.0.0.1'] })
      .request(get(`http://127.0.0.1:${first.port}/`, { method: 'POST', body: 'secret' }))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code: 'http/refused-redirect' } })
    expect(other.connections()).toBe(0)
  })

  it('follows three redirects and no fourth', async () => {
    let left = 3
    const server = await listen(
      '127.0.0.1',
      redirectTo(() => (--left > 0 ? '/again' : '/end')),
    )
    const client = open({ trusted: true })

    const three = await client.request(get(`http://127.0.0.1:${server.port}/`))
    left = 4
    const four = await client.request(get(`http://127.0.0.1:${server.port}/`)).catch((error: unknown) => error)

    expect(three).toMatchObject({ status: 200, url: `http://127.0.0.1:${server.port}/end` })
    expect(four).toMatchObject({ kind: { code: 'http/refused-redirect' } })
  })

  it.each([
    { status: 301, method: 'POST', becomes: 'GET', body: '' },
    { status: 302, method: 'POST', becomes: 'GET', body: '' },
    { status: 302, method: 'PUT', becomes: 'PUT', body: 'body' },
    { status: 303, method: 'POST', becomes: 'GET', body: '' },
    { status: 303, method: 'DELETE', becomes: 'GET', body: '' },
    { status: 303, method: 'HEAD', becomes: 'HEAD', body: '' },
    { status: 307, method: 'POST', becomes: 'POST', body: 'body' },
    { status: 308, method: 'PUT', becomes: 'PUT', body: 'body' },
  ] as const)('$status turns $method into $becomes', async ({ status, method, becomes, body }) => {
    const seen: { method: string | undefined; type: string | undefined; body: string }[] = []
    const server = await listen('127.0.0.1', async (request, response) => {
      const received = await text(request)
      if (request.url !== '/end') return response.writeHead(status, { location: '/end' }).end()
      seen.push({ method: request.method, type: request.headers['content-type'], body: received })
      return response.end()
    })

    await open({ trusted: true }).request(
      get(`http://127.0.0.1:${server.port}/`, {
        method,
        headers: { 'content-type': 'text/plain' },
        ...(method === 'HEAD' || method === 'DELETE' ? {} : { body: 'body' }),
      }),
    )

    const keepsBody = becomes === method
    expect(seen).toEqual([{ method: becomes, type: keepsBody ? 'text/plain' : undefined, body }])
  })

  it('credentials do not follow to another origin, nor back', async () => {
    const home = await listen('127.0.0.1', (request, response) => {
      if (request.url === '/back') return response.end('done')
      return response.writeHead(307, { location: `http://localhost:${away.port}/` }).end()
    })
    const away = await listen('127.0.0.1', (_, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${home.port}/back` }).end()
    })

    await open({ trusted: true, allow: ['localhost'] }, async () => ['127.0.0.1']).request(
      get(`http://127.0.0.1:${home.port}/`, {
        headers: { accept: 'text/plain', Authorization: 'Bearer in-headers' },
        credentials: { 'x-api-key': 'k', cookie: 'c=1' },
      }),
    )

    expect(home.requests[0]?.headers).toMatchObject({
      'x-api-key': 'k',
      cookie: 'c=1',
      authorization: 'Bearer in-headers',
    })
    for (const { headers } of [away.requests[0], home.requests[1]].filter((request) => request !== undefined)) {
      expect(headers).toMatchObject({ accept: 'text/plain' })
      expect(headers).not.toHaveProperty('x-api-key')
      expect(headers).not.toHaveProperty('cookie')
      expect(headers).not.toHaveProperty('authorization')
    }
  })

  it('credentials stay on redirects within the origin', async () => {
    const server = await listen(
      '127.0.0.1',
      redirectTo(() => '/end'),
    )

    await open({ trusted: true }).request(
      get(`http://127.0.0.1:${server.port}/`, { credentials: { authorization: 'Bearer t' } }),
    )

    expect(server.requests[1]?.headers.authorization).toBe('Bearer t')
  })
})

describe('limits', () => {
  it('an answer larger than maxBytes is refused', async () => {
    const server = await listen('127.0.0.1', (_, response) => response.end('x'.repeat(1_001)))
    const client = open({ trusted: true })
    const url = `http://127.0.0.1:${server.port}/`

    const over = await client.request(get(url, { maxBytes: 1_000 })).catch((error: unknown) => error)
    const fits = await client.request(get(url, { maxBytes: 1_001 }))

    expect(over).toMatchObject({ kind: { code: 'http/response-too-large' } })
    expect(fits.body.length).toBe(1_001)
  })

  it('an endless answer ends at maxBytes and its connection is closed', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const server = await listen('127.0.0.1', (request, response) => {
      closed = new Promise((resolve) => request.socket.on('error', () => undefined).once('close', resolve))
      const pump = () => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', pump)
      }
      pump()
    })

    const over = await open({ trusted: true })
      .request(get(`http://127.0.0.1:${server.port}/`, { maxBytes: 50_000 }))
      .catch((error: unknown) => error)

    expect(over).toMatchObject({ kind: { code: 'http/response-too-large' } })
    await closed
  })

  it('a silent server is given up after the idle timeout', async () => {
    const server = await listen('127.0.0.1', () => undefined)

    const failure = await open({ trusted: true })
      .request(get(`http://127.0.0.1:${server.port}/`, { idleTimeoutMs: 50 }))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' })
  })

  it('an aborted request rejects with the reason', async () => {
    const server = await listen('127.0.0.1', () => abort.abort(new Error('no longer needed')))
    const abort = new AbortController()

    const failure = open({ trusted: true }).request(get(`http://127.0.0.1:${server.port}/`, { signal: abort.signal }))

    await expect(failure).rejects.toThrow('no longer needed')
  })

  it('close ends requests under way', async () => {
    const client = open({ trusted: true })
    const server = await listen('127.0.0.1', () => void client.close())

    await expect(client.request(get(`http://127.0.0.1:${server.port}/`))).rejects.toThrow(/destroyed/)
  })
})

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}
