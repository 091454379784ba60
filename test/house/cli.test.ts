import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '#kernel'
import { testCli, type TestCli } from '../../src/cli/testing.ts'
import { startConformanceServer, type ConformanceServer } from '../fixtures/conformance-server.ts'
import { printed, startHouseWithCli } from './house-with-cli.ts'
import type { TestHouse } from './start-house.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const TOML = `
[[servers]]
name = "reference"
transport = "builtin"

[[gateways]]
slug = "default"
tools = ["reference/*"]

[[gateways]]
slug = "open"
auth = "none"
tools = ["reference/echo"]
`

let cwd: string
let house: TestHouse
let upstream: ConformanceServer
let cli: TestCli

beforeAll(async () => {
  upstream = await startConformanceServer()
  ;({ cwd, house, cli } = await startHouseWithCli({ toml: TOML }))
})

afterAll(async () => {
  await house.close()
  await upstream.close()
})

const json = (...words: string[]) => printed(cli, ...words)

describe('accounts', () => {
  test('a person is put into a group, made inactive with all keys, let in again and removed', async () => {
    await json('account', 'add', 'bob@example.com', '--role', 'guest', '--name', 'Bob')
    await json('group', 'add', 'sales')
    const joined = await json('group', 'join', 'sales', 'bob@example.com')
    const { key } = await json('key', 'create', '--user', 'bob@example.com', '--gateway', 'default')
    const code = () => {
      const answer = house.gatehouse.identity.authenticate({ authorization: key, gateway: 'default' })
      return answer.ok ? 'ok' : answer.problem.kind.code
    }

    await json('account', 'deactivate', 'bob@example.com')
    const inactive = code()
    await json('account', 'activate', 'bob@example.com')
    const active = code()
    await json('account', 'remove', 'bob@example.com')

    expect(joined).toMatchObject({ userId: 'bob@example.com', role: 'guest', groups: ['sales'], isActive: true })
    expect([inactive, active, code()]).toEqual(['identity/account-inactive', 'ok', 'identity/account-inactive'])
    expect(await json('group', 'list')).toMatchObject({ groups: [{ name: 'sales', members: 0 }] })
  })
})

describe('what a person signs in with', () => {
  test('is shown, and ends at once with every session when it is reset', async () => {
    const { id } = await json('account', 'add', 'lost@example.com')
    const { passwords, factors, sessions } = house.gatehouse.identity
    await passwords.set(id, new Secret('quiet otters cross the river'), ADMIN)
    await factors.makeRecoveryCodes(id, ADMIN)
    await sessions.start({ accountId: id, factor: 'password', from: { address: '127.0.0.1', agent: 'a browser' } })

    const before = await cli('account', 'factors', 'lost@example.com')
    const reset = await cli('account', 'reset', 'lost@example.com')
    const after = await cli('account', 'factors', 'lost@example.com')

    expect(before.out).toMatch(/password[^]*recovery codes +10 left/)
    expect([reset.code, reset.out]).toEqual([0, expect.stringMatching(/\/setup\/[\w-]{43}\n$/)])
    expect(after.out).toContain('nothing to sign in with')
    expect(await sessions.list(id)).toEqual([])
    expect(await passwords.matches('lost@example.com', new Secret('quiet otters cross the river'))).toBe(false)
    expect((await json('audit', '--what', 'factor.reset')).records).toMatchObject([{ decision: 'allowed' }])
    await json('account', 'remove', 'lost@example.com')
  })

  test('nobody else is reset by a wrong name', async () => {
    expect((await cli('account', 'reset', 'nobody@example.com')).err).toContain('nobody@example.com')
  })
})

describe('keys', () => {
  test('account hand-over names the identity provider that writes an account from now on', async () => {
    await json('account', 'add', 'handed@example.com')

    expect(await json('account', 'hand-over', 'handed@example.com', '--to', 'scim:entra')).toMatchObject({
      source: 'scim:entra',
    })
    expect((await cli('account', 'hand-over', 'handed@example.com', '--to', 'other')).err).toContain('scim:')
    await json('account', 'remove', 'handed@example.com')
  })

  test('create --scim makes a key that opens SCIM only', async () => {
    const made = await json('key', 'create', '--scim', '--name', 'entra')
    const wrong = await cli('key', 'create', '--scim', '--gateway', 'default')
    const { err } = await cli('key', 'create', '--scim')

    expect(made).toMatchObject({ role: 'scim', gateways: [], userId: null, name: 'entra' })
    expect(wrong.err).toContain('/scim/v2 only')
    expect(err).toContain('for SCIM, does not expire')
  })

  test('a key is made, shown once, listed without itself, and revoked', async () => {
    const made = await json('key', 'create', '--user', 'alice@example.com', '--gateway', 'default', '--expires', '30d')
    const { keys } = await json('key', 'list', '--user', 'alice@example.com')
    const revoked = await cli('key', 'revoke', made.id)

    expect(made.key).toMatch(/^gh_/)
    expect(keys).toMatchObject([{ id: made.id, userId: 'alice@example.com', gateways: ['default'], role: 'user' }])
    expect(JSON.stringify(keys)).not.toContain(made.key)
    expect(revoked).toEqual({ code: 0, out: `${made.id} is revoked.\n`, err: '' })
  })

  test('all keys of a user are revoked at once, and nobody else’s', async () => {
    const mine = [
      await json('key', 'create', '--user', 'dora', '--gateway', 'default'),
      await json('key', 'create', '--user', 'dora', '--gateway', '*'),
    ]
    const other = await json('key', 'create', '--user', 'eve', '--gateway', 'default')

    const { keys } = await json('key', 'revoke', '--user', 'dora')
    const left = await json('key', 'list', '--user', 'eve')
    const neither = await cli('key', 'revoke')

    expect(keys).toHaveLength(2)
    expect(keys).toEqual(expect.arrayContaining(mine.map(({ id }) => expect.objectContaining({ id }))))
    expect(left.keys).toMatchObject([{ id: other.id, revokedAt: null }])
    expect((await cli('key', 'revoke', '--user', 'dora')).out).toBe('No key of dora is left.\n')
    expect(neither.code).toBe(2)
  })

  test('only the key goes to standard output, so that a shell can keep it', async () => {
    const { out, err } = await cli('key', 'create', '--gateway', 'default')

    expect(out).toMatch(/^gh_\S+\n$/)
    expect(err).toContain('This is shown once.')
  })

  test('a key for an unknown gateway is made with a warning', async () => {
    const { code, err } = await cli('key', 'create', '--gateway', 'nowhere')

    expect(code).toBe(0)
    expect(err).toContain('There is no gateway "nowhere" yet')
  })
})

describe('servers and gateways', () => {
  test('a server is added, checked, shown through a gateway and removed', async () => {
    const added = await cli('server', 'add', 'fixture', '--url', upstream.url, '--allow', '127.0.0.1', '--tag', 'demo')
    const saved = await json('gateway', 'add', 'demo', '--tools', 'fixture/test_simple_text', 'fixture/test_input_*')
    const shown = await cli('gateway', 'show', 'demo')
    const checked = await cli('server', 'check', 'fixture')
    const listed = await cli('server', 'list')
    const tools = await json('tools', '--gateway', 'demo', '--user', 'alice')

    expect(added).toMatchObject({ code: 0, err: '' })
    expect(added.out).toMatch(/^Added\. fixture is healthy with \d+ tools\.\n$/)
    expect(saved).toMatchObject({ slug: 'demo', origin: 'api', servers: ['fixture'] })
    expect(shown.out).toContain(`${house.url}/mcp/demo`)
    expect(checked.code).toBe(0)
    expect(listed.out).toMatch(/fixture\s+http\s+healthy/)
    expect(tools.user).toBe('alice')
    expect(tools.tools).toContainEqual(
      expect.objectContaining({ name: 'test_simple_text', server: 'fixture', original: 'test_simple_text' }),
    )
  })

  test('what a tool asks is asked in the terminal', async () => {
    const asked = testCli({ cwd, answers: ['Ada'] })

    const ran = await asked('call', '--gateway', 'demo', '--user', 'alice', 'test_input_required_result_elicitation')

    expect(ran.code).toBe(0)
    expect(ran.err).toContain('What is your name?')
    expect(ran.out).toContain('Ada')
  })

  test('where nobody can answer, the call says what was asked', async () => {
    const ran = await cli('call', '--gateway', 'demo', '--user', 'a', 'test_input_required_result_elicitation')

    expect(ran.code).toBe(1)
    expect(ran.err).toContain('What is your name?')
  })

  test('a server with a private address is not let through unasked', async () => {
    const { code, out } = await cli('server', 'add', 'private', '--url', upstream.url)

    expect(code).toBe(0)
    expect(out).toContain('private is unreachable')
    expect((await cli('server', 'check', 'private')).code).toBe(1)
    expect((await cli('server', 'remove', 'private')).code).toBe(0)
  })

  test('the servers of a client are imported, with the reason where that cannot be', async () => {
    const mcpServers = {
      Imported: { url: upstream.url },
      Gatehouse: { url: `${house.url}/mcp/default`, headers: { Authorization: 'Bearer hunter2' } },
      secretive: { command: 'x', env: { TOKEN: '${NOWHERE_SET}' } },
    }
    await writeFile(join(cwd, 'mcp.json'), JSON.stringify({ mcpServers }))

    const planned = await cli('server', 'import', 'mcp.json', '--dry-run', '--only', 'Imported')
    const before = await json('server', 'list')
    const imported = await cli('server', 'import', 'mcp.json', '--allow', '127.0.0.1')
    const again = await cli('server', 'import', 'mcp.json', '--only', 'Imported')

    expect(planned.out).toMatch(/Imported\s+would add/)
    expect(before.servers).not.toContainEqual(expect.objectContaining({ name: 'imported' }))
    expect(imported.out).toMatch(/Imported\s+added\s+imported is healthy/)
    expect(imported.out).toMatch(/Gatehouse\s+left out\s+it is this house itself/)
    expect(imported.out).toMatch(/secretive\s+left out\s+the environment variable NOWHERE_SET is not set/)
    expect(imported.out).not.toContain('hunter2')
    expect(again).toMatchObject({ code: 1, out: expect.stringContaining('exists') })
    expect((await cli('server', 'remove', 'imported')).code).toBe(0)
  })

  test('a command is a server as well', async () => {
    const program = join(import.meta.dirname, '../../examples/reference-server/server.ts')

    const added = await cli('server', 'add', 'local', '--env', 'A=b', '--', process.execPath, program, '--stdio')
    const removed = await cli('server', 'remove', 'local')

    expect(added.out).toMatch(/^Added\. local is healthy/)
    expect(removed.code).toBe(0)
  })

  test.each<[what: string, words: string[], code: number, says: string]>([
    ['what the file declares', ['server', 'remove', 'reference'], 1, 'gatehouse.toml'],
    ['an unknown server', ['server', 'check', 'nothing'], 1, 'There is no server "nothing"'],
    ['an unknown gateway', ['gateway', 'show', 'nothing'], 1, 'There is no gateway "nothing"'],
    ['a name that is taken', ['server', 'add', 'reference', '--url', 'http://x'], 1, 'exists'],
    ['a name that is none', ['server', 'add', 'Not A Name', '--url', 'http://x'], 1, 'name: use 1–40'],
    ['neither URL nor command', ['server', 'add', 'x'], 2, '--url URL'],
    ['both', ['server', 'add', 'x', '--url', 'http://x', '--', 'cat'], 2, 'not both'],
    [
      'a worker without its secret',
      ['server', 'add', 'x', '--url', 'http://x', '--transport', 'worker'],
      2,
      '--secret-file',
    ],
    ['a variable that is not there', ['server', 'add', 'x', '--url', 'http://x', '--header-env', 'A: NOPE'], 2, 'NOPE'],
    ['an unknown verb', ['server', 'explode'], 2, 'unknown command'],
    ['an unknown option', ['key', 'list', '--colour'], 2, 'unknown option'],
    ['a key for nothing', ['key', 'create'], 2, '--gateway SLUG'],
    ['arguments that are no JSON', ['call', '--gateway', 'default', 'echo', '{x'], 2, 'not valid JSON'],
    ['arguments that are no object', ['call', '--gateway', 'default', 'echo', '[1]'], 2, 'JSON object'],
    ['an unknown tool', ['call', '--gateway', 'default', 'nothing'], 1, 'Unknown tool: "nothing"'],
    ['a call at an unknown gateway', ['call', '--gateway', 'nothing', 'echo'], 1, 'no gateway "nothing"'],
    ['an unknown change', ['changes', 'accept', 'chg_1'], 1, 'chg_1'],
    ['a time that is none', ['audit', '--since', 'yesterday'], 2, '--since "yesterday"'],
  ])('%s is refused in words', async (_, words, code, says) => {
    const ran = await cli(...words)

    expect(ran).toMatchObject({ code, out: '' })
    expect(ran.err).toContain(says)
    expect(ran.err).not.toContain('    at ')
  })
})

describe('calls and the audit', () => {
  test('an export is made, verified without a house, and found out when it was edited', async () => {
    await cli('call', 'default', 'echo', '{"text":"exported"}')
    const made = await cli('audit', 'export', '--output', 'trail.jsonl')
    const keys = await cli('audit', 'keys')
    await writeFile(join(cwd, 'keys.pem'), keys.out)
    const text = await readFile(join(cwd, 'trail.jsonl'), 'utf8')
    await writeFile(join(cwd, 'edited.jsonl'), text.replace('"decision":"allowed"', '"decision":"denied"'))

    const verified = await cli('audit', 'verify', '--file', 'trail.jsonl', '--key', 'keys.pem')
    const unchecked = await cli('audit', 'verify', '--file', 'trail.jsonl')
    const edited = await cli('audit', 'verify', '--file', 'edited.jsonl', '--key', 'keys.pem')
    const again = await cli('audit', 'export', '--output', 'trail.jsonl')

    expect([made.code, made.err]).toEqual([0, ''])
    expect((await stat(join(cwd, 'trail.jsonl'))).mode & 0o777).toBe(0o600)
    expect([verified.code, verified.out]).toEqual([0, expect.stringMatching(/as it was written: \d+ records in/)])
    expect(unchecked.out).toContain('Signatures were not checked')
    expect([edited.code, edited.out]).toEqual([1, expect.stringMatching(/#1 edited/)])
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('"trail.jsonl" cannot be made')])
  })

  test.each([
    ['csv', /^at,decision,what,.*hash\r\n20/],
    ['otlp', /^\{"resourceLogs":\[\{.*"gatehouse.audit.what"/],
    ['jsonl', /"what":"audit.chain-started"/],
  ])('an export as %s, narrowed by what', async (format, expected) => {
    const ran = await cli('audit', 'export', '--format', format, '--what', 'audit.chain-started', '--since', '1h')

    expect([ran.code, ran.err]).toEqual([0, ''])
    expect(ran.out).toMatch(expected)
  })

  test('one record whole, by its place', async () => {
    await cli('call', 'default', 'echo', '{"text":"shown"}')
    const { records } = await json('audit', '--what', 'tools/call', '--limit', '1')
    const [{ chain, seq }] = records

    const shown = await cli('audit', 'show', `${chain}/${seq}`)
    const payload = await cli('audit', 'show', `${chain}/${seq}`, '--payload')
    const wrong = await cli('audit', 'show', 'somewhere')

    expect(JSON.parse(shown.out)).toMatchObject({ chain, seq, what: 'tools/call' })
    expect([payload.code, payload.err]).toEqual([1, expect.stringContaining('No payload was recorded')])
    expect(wrong.err).toContain('CHAIN/SEQ')
  })

  test('a call is made as the user, recorded, and found again', async () => {
    const called = await cli('call', '--gateway', 'default', '--user', 'bob', 'echo', '{"text":"hello"}')
    const { records } = await json('audit', '--user', 'bob', '--tool', 'echo', '--since', '1h')
    const shown = await cli('audit', '--user', 'bob')
    const verified = await cli('audit', 'verify')

    expect(called).toEqual({ code: 0, out: 'hello\n', err: '' })
    expect(records).toMatchObject([{ decision: 'allowed', face: 'cli', server: 'reference', tool: 'echo' }])
    expect(shown.out).toMatch(/allowed\s+tools\/call\s+bob\s+default\s+reference\/echo/)
    expect(verified.out).toMatch(/^The trail is as it was written/)
  })

  test('arguments come from standard input, and the whole result as JSON', async () => {
    const piped = testCli({ cwd, input: '{"text":"from a pipe"}' })

    const ran = await piped('call', '--gateway', 'default', 'echo', '-', '--json')

    expect(JSON.parse(ran.out)).toMatchObject({
      status: 'complete',
      isError: false,
      content: [{ text: 'from a pipe' }],
    })
  })

  test('a tool that reports an error ends with 1 and prints it as an error', async () => {
    const ran = await cli('call', '--gateway', 'default', 'add', '{"a":"x","b":1}')

    expect(ran.code).toBe(1)
    expect(ran.out).toBe('')
    expect(ran.err).toContain('The tool reported an error')
  })

  test('the trail is followed until it is stopped', async () => {
    const following = testCli({ cwd })
    const ended = following('audit', '--follow', '--user', 'carol')
    // What is written before the reader stands is not its business, so call until one arrives.
    const seen = following.printed('carol')
    let isSeen = false
    void seen.then(() => (isSeen = true))
    while (!isSeen) await cli('call', '--gateway', 'default', '--user', 'carol', 'echo', '{"text":"x"}')

    following.signal('SIGINT')

    expect(await ended).toMatchObject({ code: 0 })
  })
})

describe('looking after the house', () => {
  test('doctor finds the open gateway and nothing that fails', async () => {
    await writeFile(join(cwd, 'doctor.toml'), `[server]\nlisten = "127.0.0.1:0"\n${TOML}`)

    const ran = await cli('doctor', '--config', 'doctor.toml')

    expect(ran.code).toBe(0)
    expect(ran.out).toContain(`the house runs at ${house.url}`)
    expect(ran.out).toContain('warn  gateway open: 1 tool, without a key')
    expect(ran.out).toMatch(/ok {4}audit: \d+ records?, unchanged/)
  })

  test('doctor names the line of a mistake', async () => {
    await writeFile(join(cwd, 'bad.toml'), '[server]\nlisten = "127.0.0.1:0"\nlissten = 1\n')

    const ran = await cli('doctor', '--config', 'bad.toml')

    expect(ran.code).toBe(1)
    expect(ran.out).toContain('bad.toml:3')
  })

  test('connect prints the exact snippet', async () => {
    await writeFile(join(cwd, 'doctor.toml'), `[server]\nlisten = "127.0.0.1:0"\n${TOML}`)

    const ran = await cli('connect', '--client', 'claude-code', '--key', 'gh_x', '--config', 'doctor.toml')

    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(ran.out).toContain(
      `claude mcp add --transport http gatehouse ${house.url}/mcp/default --header "Authorization: Bearer gh_x"`,
    )
  })

  test('doctor and connect ask the house that runs, and need nothing of its environment', async () => {
    const secret =
      '[[servers]]\nname = "ref"\ntransport = "worker"\nurl = "http://127.0.0.1:1"\nsecret = "${env:NOT_HERE}"'
    await writeFile(join(cwd, 'secret.toml'), `[server]\nlisten = "127.0.0.1:0"\n${TOML}\n${secret}\n`)

    const doctor = await cli('doctor', '--config', 'secret.toml')
    const connect = await cli('connect', '--client', 'claude-code', '--key', 'gh_x', '--config', 'secret.toml')
    const alone = await cli('doctor', '--config', 'secret.toml', '--data', 'nobody-here')

    expect(doctor).toMatchObject({ code: 0, err: '' })
    expect(doctor.out).toContain('the environment variable NOT_HERE is not set')
    expect(doctor.out).toMatch(/ok {4}audit: /)
    expect(connect).toMatchObject({ code: 0, err: '', out: expect.stringContaining(`${house.url}/mcp/default`) })
    expect(alone).toMatchObject({ code: 1, out: expect.stringContaining('fail  configuration: ') })
  })

  test('a backup fills an empty house, and is never overwritten', async () => {
    const made = await cli('backup', 'saved.jsonl')
    const again = await cli('backup', 'saved.jsonl')
    const restored = await cli('restore', 'saved.jsonl', '--data', 'other')
    const keys = await cli('key', 'list', '--data', 'other', '--json')
    const running = await cli('restore', 'saved.jsonl')

    expect(made.code).toBe(0)
    expect((await stat(join(cwd, 'saved.jsonl'))).mode & 0o777).toBe(0o600)
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('exists already') })
    expect(restored).toMatchObject({ code: 0 })
    expect(JSON.parse(keys.out).keys).toEqual((await json('key', 'list')).keys)
    expect(running).toMatchObject({ code: 1, err: expect.stringContaining('Stop it first') })
  })

  test('help is no error', async () => {
    const ran = await cli('--help')

    expect(ran.code).toBe(0)
    expect(ran.out).toContain('gateway')
  })
})

describe('up', () => {
  test('the first start shows a key that works; later ones do not', async () => {
    const place = await mkdtemp(join(tmpdir(), 'gatehouse-up-'))
    const first = testCli({ cwd: place })
    const ended = first('up', '--listen', '127.0.0.1:0')
    await first.printed('Look around')
    const url = JSON.parse(await readFile(join(place, 'data/running.json'), 'utf8')).url
    first.signal('SIGTERM')
    const { out, code } = await ended
    const key = /^ {2}(gh_\S+)$/m.exec(out)?.[1] ?? ''

    const second = testCli({ cwd: place })
    const endedAgain = second('up', '--listen', '127.0.0.1:0')
    await second.printed('A new key')
    const running = JSON.parse(await readFile(join(place, 'data/running.json'), 'utf8')).url
    const tools = await fetch(`${running}/api/v1/gateways/default/tools`, {
      headers: { authorization: `Bearer ${key}` },
    })
    second.signal('SIGINT')
    const later = await endedAgain
    await rm(place, { recursive: true })

    expect(code).toBe(0)
    expect(out).toContain(`${url}/mcp/default`)
    expect(tools.status).toBe(200)
    expect(later.out).not.toContain('gh_')
  })

  test('a port that is taken is said in one sentence', async () => {
    await using blocker = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => blocker.once('listening', resolve))
    const address = blocker.address()
    const port = typeof address === 'object' ? address?.port : 0

    const ran = await cli('up', '--listen', `127.0.0.1:${port}`, '--data', 'blocked')

    expect(ran.code).toBe(1)
    expect(ran.err).toContain(`could not listen on 127.0.0.1:${port}: `)
    expect(ran.err).toMatch(new RegExp(`\\S+ \\(pid ${process.pid}\\) listens there`))
    expect(await readdir(join(cwd, 'blocked'))).toEqual(['serving.lock'])
  })

  test('a second house on the same data is refused', async () => {
    const program = join(import.meta.dirname, '../../src/cli/main.ts')
    const refused = promisify(execFile)(process.execPath, [program, 'up', '--listen', '127.0.0.1:0'], { cwd })

    await expect(refused).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(`at ${house.url}`) })
  })
})
