import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestCli } from '../../src/cli/testing.ts'
import { startChangingServer, type ChangingServer } from '../fakes/changing-server.ts'
import { printed, startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'

let cwd: string
let house: TestHouse
let upstream: ChangingServer
let cli: TestCli

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gatehouse-policy-cli-'))
  upstream = await startChangingServer(['get', 'put', 'drop'].map((name) => ({ name, description: name })))
  await writeFile(
    join(cwd, 'house.cedar'),
    '@id("never-drop") forbid(principal, action, resource == Tool::"up/drop");\n',
  )
  const toml = `
    [policy]
    files = ["${cwd}/*.cedar"]

    [[servers]]
    name = "up"
    transport = "http"
    url = "${upstream.url}"

    [[gateways]]
    slug = "demo"
    tools = ["up/*"]

    [[gateways]]
    slug = "free"
    access = "all"
    tools = ["up/*"]
  `
  ;({ house, cli } = await startHouseWithCli({ toml, cwd }))
})

afterAll(async () => {
  await house.close()
  await upstream.close()
})

const json = (...words: string[]) => printed(cli, ...words)

test('a grant says what changes by it, is used, found too wide, and taken back', async () => {
  const added = await cli('grant', 'add', '--user', 'alice', '--tools', 'up/*', '--gateway', 'demo', '--note', 'a test')
  const called = await cli('call', '--gateway', 'demo', '--user', 'alice', 'get', '{}')
  const stranger = await cli('call', '--gateway', 'demo', '--user', 'bob', 'get', '{}')
  const refused = await cli('grant', 'add', '--user', 'alice', '--tools', 'up/*', '--gateway', 'free')
  const unused = await cli('grant', 'unused', '--days', '7')
  const twice = await cli('grant', 'add', '--user', 'alice', '--tools', 'up/*', '--gateway', 'demo')
  const { grants } = await json('grant', 'list', '--user', 'alice')
  const removed = await cli('grant', 'remove', grants[0].id)

  expect(added.out).toMatch(
    /alice may use up\/\* at demo\.\nGateway "demo" was open to everybody.*\nAt demo it covers 3 tools/,
  )
  expect(called).toMatchObject({ code: 0, out: 'get was called\n' })
  expect(stranger.err).toContain('Unknown tool: "get"')
  expect(refused.err).toContain('has access = "all"')
  expect(unused.out).toMatch(
    /1 call of 1 out of 3.*\n.*grant add --user 'alice' --gateway demo --note 'a test' --tools 'up\/get'\n/,
  )
  expect(unused.out).toContain('with the groups they have now, not with those they had then')
  expect(twice.out).toContain(`${grants[0].id} gives the same already; each has to be taken back on its own.`)
  expect(removed.out).toContain('is taken back')
})

test('a rule of a file holds everywhere, and is explained with what would have to change', async () => {
  const { effect, deciding, advice } = await json(
    'policy',
    'explain',
    '--user',
    'x',
    '--gateway',
    'free',
    '--tool',
    'drop',
  )
  const words = await cli('policy', 'explain', '--user', 'x', '--gateway', 'demo', '--tool', 'up/get')

  expect({ effect, deciding, advice }).toMatchObject({
    effect: 'deny',
    deciding: [{ id: 'never-drop' }],
    advice: [expect.stringContaining('never-drop')],
  })
  expect(words.out).toContain("./gatehouse grant add --user 'x' --tools 'up/get' --gateway demo")
})

test('policies are checked with their lines, kept, put in force, replayed and rolled back', async () => {
  await writeFile(join(cwd, 'new.txt'), '@id("no-get")\nforbid(principal, action, resource == Tool::"up/get");\n')
  await writeFile(join(cwd, 'bad.txt'), 'permit(principal, action, resource)\nwhen { resource.nme == "" };\n')
  await cli('call', '--gateway', 'free', '--user', 'carol', 'get', '{}')

  const bad = await cli('policy', 'check', 'bad.txt')
  const kept = await cli('policy', 'put', 'new.txt', '--note', 'reading is over')
  const replayed = await json('policy', 'replay', '--since', '1h', '--with', 'new.txt')
  const active = await cli('policy', 'activate', '1')
  const listed = await cli('policy', 'list')
  const denied = await cli('call', '--gateway', 'free', '--user', 'carol', 'get', '{}')
  const badKept = await cli('policy', 'put', 'bad.txt')
  const badReplay = await cli('policy', 'replay', '--since', '1h', '--with', 'bad.txt')
  const rolledBack = await cli('policy', 'rollback')
  const again = await cli('call', '--gateway', 'free', '--user', 'carol', 'get', '{}')

  expect(bad).toMatchObject({ code: 1, out: expect.stringContaining('bad.txt:2: error:') })
  for (const { code, err } of [badKept, badReplay])
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining('bad.txt cannot be used:\nbad.txt:2: error:'),
    })
  expect(rolledBack.out).toContain('Version 1 was in force until now; to roll back once more puts that back.')
  expect(kept.out).toContain('Version 1 is kept.')
  expect(replayed.changes).toContainEqual(
    expect.objectContaining({ user: 'carol', tool: 'get', before: 'allow', after: 'deny', calls: 1 }),
  )
  expect(active.out).toContain('Version 1 is in force.')
  expect(listed.out).toMatch(/never-drop +forbid[^]*no-get +forbid[^]*reading is over/)
  expect(denied.err).toContain('Unknown tool: "get"')
  expect(again.code).toBe(0)
})

test('doctor names a server that can be called around the gateway', async () => {
  const { findings } = await json('doctor', '--config', '/dev/null')

  expect(findings).toContainEqual(
    expect.objectContaining({ level: 'warn', detail: expect.stringContaining('can be called without the gateway') }),
  )
})
