import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { isProblem, Problem } from '#kernel'
import {
  byteSize,
  CONFIG_INVALID,
  CONFIG_MISSING_REFERENCE,
  CONFIG_SYNTAX,
  CONFIG_UNREADABLE,
  duration,
  hostPort,
  loadConfig,
  secretString,
} from './index.ts'

const common = { name: z.string().regex(/^[a-z]+$/, 'use a–z'), headers: z.record(z.string(), z.string()).default({}) }
const schema = z.strictObject({
  server: z
    .strictObject({
      listen: hostPort().optional(),
      public_url: z.url().optional(),
      max_body: byteSize().optional(),
      keep: duration().default(1_000),
      level: z.enum(['debug', 'info', 'warn']).default('info'),
    })
    .prefault({}),
  servers: z
    .array(
      z.discriminatedUnion('transport', [
        z.strictObject({ ...common, transport: z.literal('http'), url: z.url() }),
        z.strictObject({ ...common, transport: z.literal('stdio'), command: z.array(z.string()).min(1) }),
        z.strictObject({
          ...common,
          transport: z.literal('worker'),
          secret: secretString(),
          retries: z.int().max(9).optional(),
        }),
      ]),
    )
    .default([]),
  gateways: z
    .array(z.strictObject({ slug: z.string(), title: z.string().optional(), tools: z.array(z.string()).default([]) }))
    .default([]),
})

function load(text: string, env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const readFile = (path: string): string => {
    const found = files[path]
    if (found === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
    return found
  }
  return loadConfig({ schema, text, env, file: '/etc/gatehouse/gatehouse.toml', readFile })
}

function refusal(...args: Parameters<typeof load>): Problem {
  try {
    load(...args)
  } catch (error) {
    if (isProblem(error)) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

test('a right file comes back typed, with defaults and the directory that relative paths start from', () => {
  const { value, baseDir } = load('[server]\nlisten = "[::1]:8600"\nmax_body = "4MiB"\nkeep = "30d"\n')

  expect(baseDir).toBe('/etc/gatehouse')
  expect(value.server).toEqual({
    listen: { host: '::1', port: 8600 },
    max_body: 4_194_304,
    keep: 2_592_000_000,
    level: 'info',
  })
})

test('without a file everything has its default', () => {
  expect(loadConfig({ schema }).value).toEqual({ server: { keep: 1_000, level: 'info' }, servers: [], gateways: [] })
})

test.each([
  [
    'a misspelt key',
    '[[gateways]]\nslug = "a"\n\n[[gateways]]\nslg = "b"',
    '5: unknown key "slg" in [[gateways]]; did you mean "slug"?',
  ],
  [
    'another spelling of a key',
    '[server]\n\npublicURL = "x"',
    '3: unknown key "publicURL" in [server]; did you mean "public_url"?',
  ],
  ['an unknown table', '\n[sever]\nlisten = "x"', '2: unknown key "sever" at the top level; did you mean "server"?'],
  [
    'an unknown key like no other',
    '[[gateways]]\nslug = "a"\nxyzzy = 1',
    '3: unknown key "xyzzy" in [[gateways]]; known are slug, title, tools',
  ],
  [
    'a misspelt key that says which sort of entry it is',
    '[[servers]]\nname = "a"\ntransprt = "http"\nurl = "http://a"',
    '3: unknown key "transprt" in [[servers]]; did you mean "transport"?',
  ],
  ['a missing key', '[[gateways]]\ntitle = "a"', '1: missing key "slug" in [[gateways]]'],
  ['a wrong type', '[[gateways]]\nslug = 7', '2: "gateways[0].slug" must be a string, but 7 was sent'],
  [
    'a wrong element',
    '[[gateways]]\nslug = "a"\ntools = [\n "a",\n  1,\n]',
    '5: "gateways[0].tools[1]" must be a string, but 1 was sent',
  ],
  [
    'a table where a value belongs',
    '[server]\nlevel.x = 1',
    '2: "server.level" must be one of "debug", "info", "warn", but a table was sent',
  ],
  [
    'a wrong word',
    '[server]\nlevel = "wran"',
    '2: "server.level" must be one of "debug", "info", "warn", but "wran" was sent; did you mean "warn"?',
  ],
  [
    'a wrong pattern',
    '[[servers]]\ntransport = "http"\nurl = "http://a"\nname = "A B"',
    '4: "servers[0].name" is not valid: use a–z, but "A B" was sent',
  ],
  ['no URL', '[server]\npublic_url = "nix"', '2: "server.public_url" must be a URL, but "nix" was sent'],
  [
    'a URL with a password',
    '[server]\nlevel = "http://a:hunter22@b/"',
    '2: "server.level" must be one of "debug", "info", "warn", but "http://…@b/" was sent',
  ],
  [
    'a wrong sort of server',
    '[[servers]]\nname = "a"\ntransport = "htp"',
    '3: "servers[0].transport" must be one of "http", "stdio", "worker", but "htp" was sent; did you mean "http"?',
  ],
  [
    'no sort of server',
    '[[servers]]\nname = "a"',
    '1: missing key "transport" in [[servers]]; it must be one of "http", "stdio", "worker"',
  ],
  [
    'a key of another sort',
    '[[servers]]\nname = "a"\ntransport = "stdio"\ncommand = ["a"]\nurl = "http://a"',
    '5: key "url" does not belong to this sort of entry in [[servers]]',
  ],
  [
    'an empty array',
    '[[servers]]\nname = "a"\ntransport = "stdio"\ncommand = []',
    '4: "servers[0].command" must have at least 1 entry, but an array was sent',
  ],
  [
    'a number too large',
    '[[servers]]\nname = "a"\ntransport = "worker"\nsecret = "a"\nretries = 10',
    '5: "servers[0].retries" must be at most 9, but 10 was sent',
  ],
  [
    'a wrong duration',
    '[server]\nkeep = "30 days"',
    '2: "server.keep" must be a duration such as "30d", "90s" or "500ms" (units: ms, s, m, h, d, w), but "30 days" was sent',
  ],
  [
    'a number as duration',
    '[server]\nkeep = 30',
    '2: "server.keep" must be a duration such as "30d", "90s" or "500ms" (units: ms, s, m, h, d, w), but 30 was sent',
  ],
  ['a missing secret', '[[servers]]\nname = "a"\ntransport = "worker"', '1: missing key "secret" in [[servers]]'],
  [
    'a secret of a wrong type, not shown',
    '[[servers]]\nname = "a"\ntransport = "worker"\nsecret = 12345',
    '4: "servers[0].secret" must be a text of 1 to 65,536 characters',
  ],
  [
    'a credential in a header, not shown',
    '[[servers]]\nname = "a"\ntransport = "http"\nurl = "http://a"\nheaders = { Authorization = 12345 }',
    '5: "servers[0].headers.Authorization" must be a string',
  ],
])('refuses %s', (_, text, message) => {
  const problem = refusal(text)

  expect(problem.message).toBe(`gatehouse.toml:${message}`)
  expect(problem.kind).toBe(CONFIG_INVALID)
})

test('all mistakes are reported at once, sorted by line', () => {
  const problem = refusal(
    '[[gateways]]\nslg = "${env:NO}"\n[server]\nlevel = 3\nlisten = "${env:NOT_SET}"\nkeep = ""\n',
  )

  expect(problem.message.split('\n').map((line) => line.slice(0, 50))).toEqual([
    'gatehouse.toml:2: "gateways[0].slg" refers to ${en',
    'gatehouse.toml:2: unknown key "slg" in [[gateways]',
    'gatehouse.toml:4: "server.level" must be one of "d',
    'gatehouse.toml:5: "server.listen" refers to ${env:',
    'gatehouse.toml:6: "server.keep" must be a duration',
  ])
  expect(problem.extra['problems']).toHaveLength(5)
})

test('text that is not TOML is refused with its line and without showing its text', () => {
  const problem = refusal('a = 1\n\nsecret = "hunter22\n')

  expect(problem.kind).toBe(CONFIG_SYNTAX)
  expect(problem.message).toMatch(/^gatehouse\.toml:3: this is not valid TOML: /)
  expect(problem.message).not.toContain('hunter22')
})

test('a key that would reach the prototype of objects is refused', () => {
  expect(refusal('[server]\n__proto__ = { x = 1 }').kind).toBe(CONFIG_SYNTAX)
})

test('references are replaced anywhere in strings, from the environment and from files', () => {
  const text = `
    gateways = [{ slug = "\${env:A}-\${file:/run/b}", title = "$\${env:A}", tools = ["\${file:c}"] }]
    [[servers]]
    name = "a"
    transport = "worker"
    secret = "\${env:A}"`

  const { value } = load(text, { A: 'alpha' }, { '/run/b': 'beta\n', '/etc/gatehouse/c': 'gamma\r\n' })

  expect(value.gateways).toEqual([{ slug: 'alpha-beta', title: '${env:A}', tools: ['gamma'] }])
  expect(inspect(value.servers, { depth: 9 })).not.toContain('alpha')
})

test.each([
  ['${env:NOT_SET}', 'but the environment variable NOT_SET is not set'],
  ['${env:toString}', 'but the environment variable toString is not set'],
  ['${env:A B}', 'which is not the name of an environment variable'],
  ['${file:/run/none}', 'but the file /run/none does not exist'],
  ['${file:}', 'which names no file'],
  ['${vault:stripe/key}', 'but the vault is not available yet; use ${env:NAME} or ${file:/path}'],
  ['${evn:A}', 'but references are env and file (write $${ for a plain ${); did you mean "env"?'],
])('the reference %s is refused with its key, its line and the reason', (reference, reason) => {
  const problem = refusal(`[[gateways]]\n\nslug = "x ${reference}"`)

  expect(problem.kind).toBe(CONFIG_MISSING_REFERENCE)
  expect(problem.message).toBe(`gatehouse.toml:3: "gateways[0].slug" refers to ${reference}, ${reason}`)
})

test('a value that came through a reference is never shown, whatever is wrong with it', () => {
  const quoting = z.strictObject({
    a: z.string().refine(() => false, { error: (issue) => `bad: ${String(issue.input)}` }),
    b: z.enum(['x']),
  })

  const act = () => loadConfig({ schema: quoting, text: 'a = "pre-${env:A}"\nb = "${env:A}"', env: { A: 'hunter22' } })

  expect(act).toThrow(Problem)
  expect(act).not.toThrow(/hunter22/)
})

test('a file on disk is read, with byte order mark and Windows line ends', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'gatehouse.toml')
  writeFileSync(file, '\uFEFF[server]\r\n# comment\r\nkep = "30d"\r\n')

  expect(() => loadConfig({ schema, file })).toThrow(
    'gatehouse.toml:3: unknown key "kep" in [server]; did you mean "keep"?',
  )
})

test('a file that is not there is a problem that names it', () => {
  const act = () => loadConfig({ schema, file: '/nowhere/gatehouse.toml' })

  expect(act).toThrow(expect.objectContaining({ kind: CONFIG_UNREADABLE }))
  expect(act).toThrow('the configuration file /nowhere/gatehouse.toml does not exist')
})
