import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { startHouse } from './start-house.ts'
import { callTool, eventually, gatewayUrl } from './talk.ts'

/** A little collector of OpenTelemetry logs that keeps what it is sent. */
async function startCollector() {
  const sent: { body: string; authorization: string | undefined }[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      sent.push({ body: Buffer.concat(chunks).toString(), authorization: req.headers.authorization })
      res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  return { sent, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v1/logs` }
}

const TOML = (endpoint: string) => `
  [audit.otlp]
  endpoint = "${endpoint}"
  headers = { authorization = "Bearer \${env:COLLECTOR_TOKEN}" }

  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "demo"
  tools = ["reference/*"]
`

test('a call is told to the collector of gatehouse.toml, and the credentials for it to nobody else', async () => {
  const collector = await startCollector()
  const env = { ...process.env, COLLECTOR_TOKEN: 'collector-token-4711' }
  const house = await startHouse({ toml: TOML(collector.url), env })
  onTestFinished(() => house.close())
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })

  await callTool({ url: gatewayUrl(house, 'demo'), key }, 'echo', { text: 'x' })
  const { body, authorization } = await eventually(
    async () => collector.sent.find(({ body: text }) => text.includes('tools/call')) ?? { body: '', authorization: '' },
    (found) => found.body !== '',
  )

  expect(authorization).toBe('Bearer collector-token-4711')
  expect(body).toContain('"alice@example.com"')
  expect(house.logs.join('\n')).not.toContain('collector-token-4711')
  expect(JSON.stringify(await house.gatehouse.audit.search({}, { limit: 1_000 }))).not.toContain('collector-token-4711')
  expect(await house.gatehouse.metrics.render()).toMatch(/gatehouse_audit_forwarded_total [1-9]/)
})

test('a collector that is away keeps neither the start, nor a call, nor the end of the house', async () => {
  const house = await startHouse({ toml: TOML('http://127.0.0.1:9/v1/logs'), env: { COLLECTOR_TOKEN: 'token-4711' } })
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })

  const heard = await callTool({ url: gatewayUrl(house, 'demo'), key }, 'echo', { text: 'x' })
  await eventually(
    async () => house.logs.filter((line) => line.includes('could not be sent to the collector')),
    (lines) => lines.length === 1,
  )
  const startedAt = performance.now()
  await house.close()

  expect(heard.text).toContain('x')
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(house.logs.join('\n')).not.toContain('token-4711')
})
