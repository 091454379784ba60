import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { isJsonObject } from '#kernel'
import { testCli } from '../../src/cli/testing.ts'
import { PLACES, startLeakyServer } from '../fakes/leaky-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { clientKinds, connect } from './matrix/clients.ts'
import { hearAll, timesIn } from './hear-all.ts'
import { lineOf, askAdmin } from './kit.ts'
import { startHouse } from './start-house.ts'
import { ask, callTool, gatewayUrl, openSession, textOf } from './talk.ts'

const ADMIN = { kind: 'admin', userId: 'admin', keyId: null, face: 'cli' } as const
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
  const rule = { name: 'no-falcon', phase: 'input', pattern: 'falcon', effect: 'block' }
  const saved = await askAdmin(house, '/api/v1/content-rules', { body: rule })

  const refused = await callTool(line, 'charge', { order: 'falcon' })
  await askAdmin(house, '/api/v1/content-rules/no-falcon', { method: 'DELETE' })
  await callTool(line, 'charge', { order: 'falcon' })

  expect(saved.body).toMatchObject({ name: 'no-falcon', version: '1', origin: 'api' })
  expect(refused.result).toMatchObject({ isError: true })
  expect(effects.timesRun('charge', 'falcon')).toBe(2)
})

// --- a secret in every place ----------------------------------------------------------------------------------------

const NO_KEYS = `
  [[content_rules]]
  name = "no-keys"
  phase = "output"
  detect = ["secrets"]
  effect = "redact"

  [[audit.payloads]]
  record = "full"
`

async function startLeaky(eras: 'legacy' | 'modern', rules: string) {
  const leaky = await startLeakyServer({ eras })
  const house = await startHouse({
    toml: `
      [[servers]]
      name = "leaky"
      transport = "http"
      url = "${leaky.url}"

      [[gateways]]
      slug = "demo"
      tools = ["leaky/*"]
      ${rules}
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await leaky.close()
  })
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  return { house, leaky, url: gatewayUrl(house, 'demo'), headers: { authorization: `Bearer ${key}` } }
}

describe.each(['legacy', 'modern'] as const)('a %s server that tells its secret everywhere', (eras) => {
  test.each(clientKinds)('tells %s nothing of it, nor anybody who looks afterwards', async (kind) => {
    const { house, url, headers } = await startLeaky(eras, NO_KEYS)
    await using client = await connect(kind, { url, headers })

    const heard = await hearAll(client)

    expect(timesIn(heard)).toBe(0)
    expect(heard.split('[redacted]').length - 1).toBeGreaterThanOrEqual(20)
    expect(timesIn(house.logs.join('\n'))).toBe(0)
    expect(timesIn(await house.gatehouse.metrics.render())).toBe(0)
    const { records } = await house.gatehouse.audit.search({}, { limit: 1_000 })
    expect(timesIn(JSON.stringify(records))).toBe(0)
    expect(records.filter(({ extra }) => JSON.stringify(extra ?? {}).includes('file:no-keys')).length).toBeGreaterThan(
      5,
    )
    const kept = records.filter(({ payloadHash }) => payloadHash !== undefined)
    const payloads = await Promise.all(kept.map((record) => house.gatehouse.audit.readPayload(ADMIN, record)))
    expect(timesIn(JSON.stringify(payloads))).toBe(0)
    expect(payloads.length).toBeGreaterThan(5)
    const dump = join(house.dataDir, 'dump.jsonl')
    await house.gatehouse.storage.backup(dump)
    expect(timesIn(await readFile(dump, 'utf8'))).toBe(0)
  })

  test('without the rule tells it as often as the test looks for it', async () => {
    const { url, headers } = await startLeaky(eras, '')
    await using client = await connect('SDK v1', { url, headers })

    expect(timesIn(await hearAll(client))).toBeGreaterThanOrEqual(PLACES)
  })

  test('answers what still fits its schema', async () => {
    const { house, url, headers } = await startLeaky(eras, NO_KEYS)
    await using client = await connect('SDK v2 modern', { url, headers })
    const tool = house.gatehouse.house.snapshot().views.get('demo')?.toolByName.get('tell')?.definition['outputSchema']

    const { structuredContent } = await client.callTool('tell')

    const ajv = new Ajv2020({ strict: false, formats: { uri: (text: string) => URL.canParse(text) } })
    expect(isJsonObject(tool) && ajv.validate(tool, structuredContent)).toBe(true)
    expect(structuredContent).toMatchObject({
      key: 'the key is [redacted]',
      pattern: 'XXXXXXXXXXXXXXXX0000',
    })
  })

  test('tells REST and the command line nothing of it', async () => {
    const { house, headers } = await startLeaky(eras, NO_KEYS)
    const call = (tool: string) =>
      fetch(`${house.url}/api/v1/gateways/demo/call`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ tool }),
      }).then((response) => response.text())

    const texts = await Promise.all(['tell', 'ask', 'fail'].map(call))

    expect(texts.map(timesIn)).toEqual([0, 0, 0])
    expect(texts.join('').split('[redacted]').length).toBeGreaterThan(8)
  })

  test('gets no answer with what may not go in', async () => {
    const { leaky, url, headers } = await startLeaky(eras, NO_SSN.replace('effect = "block"', 'effect = "redact"'))
    const answer = () => ({ action: 'accept', content: { name: `Ann ${SSN}` } })
    await using client = await connect('SDK v2 legacy', { url, headers, answer })

    await client.callTool('ask')
    await client.callTool('take', { text: `my ${SSN}` })

    expect(leaky.received.entries).toEqual([{ name: 'Ann [redacted]' }, { text: 'my [redacted]' }])
  })
})

test('an address is redacted too, also one that the gateway shows under another name', async () => {
  const servers = [await startLeakyServer(), await startLeakyServer()]
  const sections = servers.map(({ url }, at) => `[[servers]]\nname = "s${at}"\ntransport = "http"\nurl = "${url}"\n`)
  const house = await startHouse({
    toml: `${sections.join('')}[[gateways]]\nslug = "demo"\ntools = ["*"]\n${NO_SSN.replace('"block"', '"redact"')}`,
  })
  onTestFinished(async () => {
    await house.close()
    await Promise.all(servers.map((server) => server.close()))
  })
  await house.listed()
  const line = await lineOf(house, 'ann')
  const { resourceTemplates } = (await ask(line, 'resources/templates/list')).result
  const shown = z.array(z.object({ uriTemplate: z.string() })).parse(resourceTemplates)
  const read = async (name: string) => {
    for (const { uriTemplate } of shown) await ask(line, 'resources/read', { uri: uriTemplate.replace('{name}', name) })
  }

  await read('plain')
  await read(`of-${SSN}`)

  expect(new Set(shown.map(({ uriTemplate }) => uriTemplate)).size).toBe(2)
  const received = servers.flatMap((server) => server.received.entries)
  expect(received.filter((uri) => uri === 'leaky://keys/plain')).toHaveLength(2)
  const { records } = await house.gatehouse.audit.search({ what: 'resources/read' })
  expect(records.map(({ tool }) => String(tool).includes('redacted'))).toEqual([true, true, false, false])
  expect(JSON.stringify([received, records, house.logs])).not.toContain(SSN)
})

test('five megabytes with a number in them are looked through, and the house answers others meanwhile', async () => {
  const { house, url, headers } = await startLeaky('modern', `${NO_SSN}\n[limits]\nmax_request_bytes = 8_000_000`)
  const line = { url, headers }
  const large = 'lorem ipsum '.repeat(400_000)

  const [refused, ready] = await Promise.all([
    callTool(line, 'take', { text: `${large}${SSN}` }),
    fetch(`${house.url}/readyz`),
  ])

  expect(refused.result).toMatchObject({ isError: true, _meta: { 'io.gatehouse/problem': { rule: 'no-ssn' } } })
  expect(ready.status).toBe(200)
})

test('the command line keeps rules, and tells what one would do before it is stored', async () => {
  const toml = '[[servers]]\nname = "reference"\ntransport = "builtin"\n'
  const house = await startHouse({ toml, dataDir: await mkdtemp(join(tmpdir(), 'gatehouse-rules-')) })
  await house.listed()
  onTestFinished(async () => {
    await house.close()
    await rm(house.dataDir, { recursive: true, force: true })
  })
  const file = join(house.dataDir, 'rule.toml')
  await writeFile(file, NO_SSN)
  const cli = testCli({ cwd: house.dataDir })
  const data = ['--data', house.dataDir]

  const tried = await cli('rule', 'test', '--rule', 'rule.toml', '--input', `{"a":"${SSN}"}`, ...data)
  const added = await cli('rule', 'add', '--file', 'rule.toml', ...data)
  const listed = await cli('rule', 'list', ...data)
  const passes = await cli('rule', 'test', '--input', '{"a":"nothing"}', '--json', ...data)
  await writeFile(join(house.dataDir, 'wrong.json'), '{"name":"x","url_hosts":["a/b"],"effect":"block","colour":1}')
  const wrong = await cli('rule', 'add', '--file', 'wrong.json', ...data)
  await cli('gateway', 'add', 'shop', '--tools', 'reference/*', '--access', 'all', '--approve', 'destructive', ...data)
  const gateway = await cli('gateway', 'show', 'shop', ...data)
  const blocked = await cli('call', '--gateway', 'shop', '--user', 'ann', 'echo', `{"text":"${SSN}"}`, ...data)
  const removed = await cli('rule', 'remove', 'no-ssn', ...data)
  const gone = await cli('rule', 'show', 'no-ssn', ...data)

  expect(tried).toMatchObject({ code: 1, out: 'blocked by no-ssn\n  no-ssn (block) found 1 place\n', err: '' })
  expect(added).toMatchObject({ code: 0, out: 'Rule no-ssn is in force, version 1.\n' })
  expect(listed.out).toMatch(/no-ssn +input +block +on +1 +api +ssn/)
  expect(JSON.parse(passes.out)).toMatchObject({ outcome: 'passes', value: { a: 'nothing' } })
  expect(wrong).toMatchObject({
    code: 2,
    err: 'gatehouse: wrong.json is no content rule:\n  Unrecognized key: "colour"\n  url_hosts: "a/b" is no host: write name, *.name or *\n',
  })
  expect(gateway.out).toMatch(/access +all\napprove +destructive\n/)
  expect(blocked).toMatchObject({
    code: 1,
    err: expect.stringContaining(
      'Gatehouse answered in the place of the tool (content/blocked-input):\nThis did not go',
    ),
  })
  expect(removed).toMatchObject({ code: 0, out: 'Rule no-ssn is out of force.\n' })
  expect(gone).toMatchObject({ code: 1 })
  const { records } = await house.gatehouse.audit.search({})
  expect(records.map(({ what }) => what)).toEqual(
    expect.arrayContaining(['content-rule.saved', 'content-rule.removed']),
  )
  expect(JSON.stringify(records)).not.toContain(SSN)
})
