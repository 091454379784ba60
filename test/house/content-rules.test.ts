import { expect, onTestFinished, test } from 'vitest'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession, textOf } from './talk.ts'

const SSN = '219-09-9999'

async function startWith(rules: string) {
  const effects = await startSideEffectServer()
  const house = await startHouse({
    toml: `
      [[servers]]
      name = "effects"
      transport = "http"
      url = "${effects.url}"

      [[gateways]]
      slug = "demo"
      tools = ["effects/*"]
      ${rules}
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await effects.close()
  })
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  return { house, effects, line: { url: gatewayUrl(house, 'demo'), key } }
}

const NO_SSN = `
  [[content_rules]]
  name = "no-ssn"
  phase = "input"
  detect = ["ssn"]
  effect = "block"
  note = "Use the customer number."
`

test('a blocked input reaches no tool, says which rule and not what it found, and is recorded as denied', async () => {
  const { house, effects, line } = await startWith(NO_SSN)
  const session = await openSession(line)

  const modern = await callTool(line, 'charge', { order: `order of ${SSN}` })
  const legacy = await session.call('charge', { order: `order of ${SSN}` })

  expect(effects.executions.total).toBe(0)
  for (const { result, text } of [modern, legacy]) {
    expect(result).toMatchObject({
      isError: true,
      _meta: { 'io.gatehouse/problem': { code: 'content/blocked-input', rule: 'no-ssn' } },
    })
    expect(text).not.toContain(SSN)
  }
  expect(textOf(modern)).toBe(
    'This did not go to the server: the content rule "no-ssn" does not let it pass. Use the customer number.',
  )
  const { records } = await house.gatehouse.audit.search({ what: 'tools/call' })
  expect(records).toHaveLength(2)
  for (const record of records) {
    expect(record).toMatchObject({
      decision: 'denied',
      tool: 'charge',
      extra: { rule: 'content:no-ssn', content: [{ rule: 'no-ssn', id: 'file:no-ssn', effect: 'block', found: 1 }] },
    })
  }
  expect(JSON.stringify(records) + house.logs.join('')).not.toContain(SSN)
})

test('a rule that is changed while the house runs holds at once', async () => {
  const { house, effects, line } = await startWith('')
  await callTool(line, 'charge', { order: 'falcon' })
  const admin = { authorization: `Bearer ${house.adminToken}`, 'content-type': 'application/json' }
  const rule = { name: 'no-falcon', phase: 'input', pattern: 'falcon', effect: 'block' }
  const saved = await fetch(`${house.url}/api/v1/content-rules`, {
    method: 'POST',
    headers: admin,
    body: JSON.stringify(rule),
  })

  const refused = await callTool(line, 'charge', { order: 'falcon' })
  await fetch(`${house.url}/api/v1/content-rules/no-falcon`, { method: 'DELETE', headers: admin })
  await callTool(line, 'charge', { order: 'falcon' })

  expect(await saved.json()).toMatchObject({ name: 'no-falcon', version: '1', origin: 'api' })
  expect(refused.result).toMatchObject({ isError: true })
  expect(effects.timesRun('charge', 'falcon')).toBe(2)
})
