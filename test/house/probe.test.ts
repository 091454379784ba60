import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testCli, type Ran } from '../../src/cli/testing.ts'
import { startArcadeWorker, type ArcadeWorker } from '../fakes/arcade-worker.ts'
import { startCatalogueServer, type CatalogueServer } from '../fakes/catalogue-server.ts'
import { createIdentityCheck } from '../fakes/identity-check.ts'
import { listen, type Listening } from '../fakes/listen.ts'
import { startStrictUpstream, type StrictUpstream } from '../fakes/strict-upstream.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** `doctor --probe`: each server is asked by somebody who brings nothing, and what it does is told. */

const SECRET = 'only-the-gateway-has-this'
const seen: string[] = []

let cwd: string
let house: TestHouse
let open: { modern: CatalogueServer; legacy: CatalogueServer }
let strict: StrictUpstream
let worker: ArcadeWorker
let others: { forbidding: Listening; silent: Listening; private: Listening }
let plain: Ran
let probed: Ran

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gatehouse-probe-'))
  const tools = [{ name: 'one', inputSchema: { type: 'object' } }]
  open = {
    modern: await startCatalogueServer({ era: 'modern', tools }),
    legacy: await startCatalogueServer({ era: 'legacy', tools }),
  }
  strict = await startStrictUpstream('legacy')
  worker = await startArcadeWorker()
  others = {
    forbidding: await listen((req, res) => {
      seen.push(JSON.stringify([req.url, req.headers]))
      res.writeHead(req.headers['x-key'] === SECRET ? 500 : 403).end()
    }),
    silent: await listen(() => undefined),
    private: await listen((_req, res) => {
      seen.push('private')
      res.end()
    }),
  }
  house = await startHouse({ toml: tomlOf(), dataDir: join(cwd, 'data'), timing: { listTimeoutMs: 300 } })
  strict.trust(createIdentityCheck({ issuer: house.url, audience: strict.url }))
  const cli = testCli({ cwd })
  await cli('server', 'add', 'private', '--url', others.private.url)
  plain = await cli('doctor')
  seen.length = 0
  probed = await cli('doctor', '--probe')
})

afterAll(async () => {
  await house.close()
  const all = [open.modern, open.legacy, strict, worker, ...Object.values(others)]
  await Promise.all(all.map((server) => server.close()))
  await rm(cwd, { recursive: true, force: true })
})

function tomlOf(): string {
  const http = (name: string, url: string, more = ''): string =>
    `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n${more}\n`
  return [
    http('open-modern', open.modern.url, `headers = { x-key = "${SECRET}" }`),
    http('open-legacy', open.legacy.url, 'identity_token = true'),
    http('strict', strict.url, 'identity_token = true'),
    http('forbidding', `${others.forbidding.url}?key=${SECRET}`, `headers = { x-key = "${SECRET}" }`),
    http('silent', others.silent.url, 'timeout_ms = 200'),
    `[[servers]]\nname = "worker"\ntransport = "worker"\nurl = "${worker.url}"\nsecret = "${worker.secret}"\n`,
    '[[servers]]\nname = "program"\ntransport = "stdio"\ncommand = ["cat"]\nstart_timeout_ms = 300\n',
    '[[servers]]\nname = "ref"\ntransport = "builtin"\n',
  ].join('')
}

const lineOf = (name: string, what: string): string =>
  probed.out.split('\n').find((line) => line.includes(`server ${name}: `) && line.includes(what)) ?? probed.out

test.each([
  ['open-modern', 'warn', 'can be called without the gateway: it lists its tools for whoever comes (1 tool)'],
  ['open-legacy', 'warn', 'can be called without the gateway: it lists its tools for whoever comes (1 tool)'],
  ['strict', 'ok', 'it refuses whoever brings nothing, and answers our identity token'],
  ['forbidding', 'ok', 'it refuses whoever brings nothing'],
  ['worker', 'ok', 'it refuses whoever brings nothing'],
  ['silent', 'warn', 'tried without the gateway: server "silent" did not answer'],
  ['private', 'warn', 'tried without the gateway: 127.0.0.1 is an address that may not be reached'],
  ['program', 'ok', 'not tried without the gateway: it is a program that this house starts'],
  ['ref', 'ok', 'not tried without the gateway: it is part of this house'],
])('%s: %s, %s', (name, level, what) => {
  const line = lineOf(name, what)

  expect(line.startsWith(level)).toBe(true)
  expect(line).toContain(what)
})

test('nothing that only the gateway has goes out with a probe, and the guard of addresses stays', () => {
  const strangers = seen.filter((request) => !request.includes('"x-key"'))

  expect(strangers.length).toBeGreaterThan(0)
  expect(strangers.join()).not.toContain(SECRET)
  expect(strangers.join()).not.toContain('gatehouse-identity')
  expect(seen).not.toContain('private')
  expect(worker.refusals.entries.length).toBeGreaterThan(0)
})

test('without --probe nobody is asked as a stranger; with it that is said first, and recorded', async () => {
  const { records } = await house.gatehouse.audit.search({ what: 'server.probed' })

  expect(plain.out).not.toContain('tried without the gateway')
  expect(plain.err).toBe('')
  expect(probed.err).toMatch(
    /^Asking 7 servers for the tools, from this machine, without any credential; no tool is called:\n/,
  )
  expect(probed.err).not.toContain(SECRET)
  expect(records).toHaveLength(9)
})
