import { createServer } from 'node:https'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../src/main/index.ts'
import { hasOpenssl, makeCertificate } from '../fakes/certificate.ts'
import { startHookServer } from '../fakes/hook-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { readText } from '../fakes/listen.ts'
import { askAdmin } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, gatewayUrl, textOf } from './talk.ts'

/** Hooks behind a door that opens for a certificate only (mutual TLS). */

type Certificate = Awaited<ReturnType<typeof makeCertificate>>

/** Lets in whoever shows this very certificate, and hands what they send to the hook behind it. */
async function startDoor(to: string, { own, client }: { own: Certificate; client: Certificate }) {
  const options = { ...own, ca: client.cert, requestCert: true, rejectUnauthorized: true }
  let refused = 0
  const server = createServer(options, (req, res) => {
    void (async () => {
      const { authorization = '', 'content-type': type = '' } = req.headers
      const headers = { authorization, 'content-type': type }
      const body = req.method === 'POST' ? { body: await readText(req) } : {}
      const answer = await fetch(`${to}${req.url}`, { method: req.method ?? 'GET', headers, ...body })
      res.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    })()
  })
  server.on('tlsClientError', (_error: Error, _socket: TLSSocket) => (refused += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return { url: `https://localhost:${port}`, refused: () => refused }
}

/** Certificates in files, as an operator has them. */
async function keepFiles(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-certificates-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)))
  return folder
}

const hookOf = (name: string, url: string, more: string): string => `
  [[hooks]]
  name = "${name}"
  url = "${url}"
  points = ["pre"]
  gateways = ["${name}"]
  retries = 0
  ${more}

  [[gateways]]
  slug = "${name}"
  tools = ["effects/*"]
`

describe.skipIf(!hasOpenssl())('a hook that demands a certificate', () => {
  test('is asked with the right one, and refuses none and another; its own certificate is checked', async () => {
    const [own, client, other] = await Promise.all([makeCertificate(), makeCertificate(), makeCertificate()])
    const files = { 'ca.pem': own.cert, 'client.pem': client.cert, 'client-key.pem': client.key }
    const folder = await keepFiles({ ...files, 'other.pem': other.cert, 'other-key.pem': other.key })
    await using hook = await startHookServer()
    const door = await startDoor(hook.url, { own, client })
    await using effects = await startSideEffectServer()
    const at = (name: string): string => `"\${file:${folder}/${name}.pem}"`
    const shows = (name: string): string => `client_cert = ${at(name)}\nclient_key = ${at(`${name}-key`)}\n`
    const toml = `
      [[servers]]
      name = "effects"
      transport = "http"
      url = "${effects.url}"
      ${hookOf('right', door.url, `${shows('client')}ca = ${at('ca')}`)}
      ${hookOf('none', door.url, `ca = ${at('ca')}`)}
      ${hookOf('another', door.url, `${shows('other')}ca = ${at('ca')}`)}
      ${hookOf('distrusted', door.url, `${shows('client')}ca = ${at('other')}`)}
    `
    await using house = await startHouse({ toml })
    await house.listed()
    const call = async (gateway: string) => {
      const key = await house.createKey({ gateway, user: 'alice@example.com' })
      return callTool({ url: gatewayUrl(house, gateway), key }, 'charge', { order: gateway })
    }

    const right = await call('right')
    const refused = [await call('none'), await call('another'), await call('distrusted')]
    const shown = (await askAdmin(house, '/api/v1/hooks')).text

    expect(textOf(right)).toBe('charged right, time 1')
    for (const { result } of refused)
      expect(result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'policy/hook-failed' } } })
    expect(effects.executions.total).toBe(1)
    expect(hook.asked.entries.map(({ path }) => path)).toEqual(['/pre'])
    expect(door.refused()).toBeGreaterThanOrEqual(3)
    const { records } = await house.gatehouse.audit.search({})
    expect(JSON.stringify(records) + house.logs.join('') + shown).not.toContain('PRIVATE KEY')
  })

  test('is refused by name when its certificate and key do not fit, or are shown to nobody', async () => {
    const [one, two] = await Promise.all([makeCertificate(), makeCertificate()])
    const folder = await keepFiles({ 'one.pem': one.cert, 'one-key.pem': one.key, 'two-key.pem': two.key })
    const at = (name: string): string => `"\${file:${folder}/${name}.pem}"`
    const faultOf = (more: string, url = 'https://guard.example.com'): string => {
      try {
        readConfig({ text: hookOf('demo', url, more), dataDir: folder, env: {} })
        return 'none'
      } catch (error) {
        return String(error)
      }
    }

    const pair = `client_cert = ${at('one')}\nclient_key = ${at('one-key')}`
    expect(faultOf(pair)).toBe('none')
    expect(faultOf(`client_cert = ${at('one')}\nclient_key = ${at('two-key')}`)).toContain('not the key of')
    expect(faultOf(`client_cert = ${at('one')}`)).toContain('"client_cert" needs it')
    expect(faultOf(`client_key = ${at('one-key')}`)).toContain('"client_key" needs it')
    expect(faultOf('ca = "/etc/ca.pem"')).toContain('no certificate in PEM')
    expect(faultOf(pair, 'http://guard.example.com')).toContain('https:')
    expect(faultOf(`client_cert = ${at('one')}\nclient_key = ${at('two-key')}`)).not.toContain('-----BEGIN')
  })
})
