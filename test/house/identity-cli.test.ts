import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestCli } from '../../src/cli/testing.ts'
import { startCatalogueServer, type CatalogueServer } from '../fakes/catalogue-server.ts'
import { printed, startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'

/** Signing keys and identity tokens from the command line. */

let house: TestHouse
let upstream: CatalogueServer
let cli: TestCli

beforeAll(async () => {
  upstream = await startCatalogueServer({ era: 'modern', tools: [] })
  ;({ house, cli } = await startHouseWithCli({ toml: '' }))
})

afterAll(async () => {
  await house.close()
  await upstream.close()
})

const json = (...words: string[]) => printed(cli, ...words)

test('doctor names the server that can demand nothing, and not the one that can demand an identity token', async () => {
  await cli('server', 'add', 'plain', '--url', upstream.url, '--allow', '127.0.0.1')
  await cli('server', 'add', 'strict', '--url', upstream.url, '--allow', '127.0.0.1', '--identity-token')
  const audience = ['--identity-audience', 'tickets']
  await cli('server', 'add', 'named', '--url', upstream.url, '--allow', '127.0.0.1', ...audience)

  const ran = await cli('doctor')
  const { servers } = await json('server', 'list')
  const guards = servers.map(({ name, guard }: { name: string; guard: string }) => [name, guard])

  expect(guards).toEqual([
    ['named', 'identity'],
    ['plain', 'none'],
    ['strict', 'identity'],
  ])
  expect(ran.out).toMatch(/warn {2}server plain: \S+ can be called without the gateway/)
  expect(ran.out).not.toMatch(/server (?:strict|named): \S+ can be called without/)
})

test('signing keys are listed, follow one another, and are dropped', async () => {
  const kidsOf = ({ keys }: { keys: { kid: string }[] }) => keys.map(({ kid }) => kid)
  const before = kidsOf(await json('signing-key', 'list'))

  const rotated = kidsOf(await json('signing-key', 'rotate'))
  const told = await cli('signing-key', 'list')
  const dropped = kidsOf(await json('signing-key', 'rotate', '--drop-old'))

  expect(rotated).toHaveLength(4)
  expect(rotated.slice(0, 2)).toEqual(before)
  expect(told.out.match(/ES256 +next/g)).toHaveLength(1)
  expect(told.out.match(/RS256 +signing/g)).toHaveLength(1)
  expect(dropped).toHaveLength(2)
  expect(dropped.filter((kid) => rotated.includes(kid))).toEqual([])
})

test('the audit trail has who wanted new keys, and how', async () => {
  await json('signing-key', 'rotate', '--now')

  const { records } = await house.gatehouse.audit.search({ what: 'oauth.signing-keys-rotated' })

  expect(records[0]).toMatchObject({ decision: 'allowed', face: 'cli', extra: { now: true, dropOld: false } })
})
