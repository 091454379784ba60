import { expect, onTestFinished, test } from 'vitest'
import { startOtlpCollector } from '../fakes/otlp-collector.ts'
import { startHouse } from './start-house.ts'
import { callTool, eventually, gatewayUrl } from './talk.ts'

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
  const collector = await startOtlpCollector()
  const env = { ...process.env, COLLECTOR_TOKEN: 'collector-token-4711' }
  const house = await startHouse({ toml: TOML(collector.url), env })
  onTestFinished(async () => {
    await house.close()
    await collector.close()
  })
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })

  await callTool({ url: gatewayUrl(house, 'demo'), key }, 'echo', { text: 'x' })
  const { body, headers } = await collector.taken.until(({ body: text }) => text.includes('tools/call'))

  expect(headers.authorization).toBe('Bearer collector-token-4711')
  expect(body).toContain('"alice@example.com"')
  expect(collector.refused.entries).toEqual([])
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
