import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { makeErrorsPage } from '../scripts/errors-page.ts'
import { fileSchema, readConfig } from '../src/main/config.ts'
import { runCli } from '../src/cli/index.ts'
import { ADMIN_OPERATIONS } from '../src/main/index.ts'

const root = dirname(import.meta.dirname)
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const pages = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: root })]

// --- policy.md ------------------------------------------------------------------------------------------------------

test('policy.md tells every action of the admin API', () => {
  const told = [...read('docs/policy.md').matchAll(/^\| `admin:([\w-]+)` \|/gm)].map(([, module]) => module)
  const actions = new Set(ADMIN_OPERATIONS.map(({ module }) => module))

  expect(told).toEqual([...actions].toSorted())
})

// --- configuration.md -----------------------------------------------------------------------------------------------

type Row = { readonly key: string; readonly fallback: string }

/** The keys of the tables under each heading that has any. */
function rowsByHeading(page: string): ReadonlyMap<string, readonly Row[]> {
  const parts = page.split(/^##+ /m).slice(1)
  return new Map(
    parts.flatMap((part) => {
      const rows = [...part.matchAll(/^\| `(\w+)` \| [^\n]*? \| (`[^\n]*?`|—) \| [^|\n]*\|$/gm)]
      const heading = part.slice(0, part.indexOf('\n'))
      return rows.length === 0 ? [] : [[heading, rows.map(([, key = '', fallback = '']) => ({ key, fallback }))]]
    }),
  )
}

type Json = { readonly [name: string]: unknown }
const schema = z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' })

/** The object schema at a path of property names, through arrays. */
function objectAt(...path: readonly string[]): Json {
  return path.reduce<Json>((at, name) => itemsOf(member(member(at, 'properties'), name)), { ...schema })
}

function itemsOf(at: Json): Json {
  return at['items'] === undefined ? at : member(at, 'items')
}

function member(at: Json, name: string): Json {
  const value = at[name]
  if (typeof value !== 'object' || value === null) throw new Error(`the schema has no ${name}`)
  return { ...value }
}

/** What the page should say of an object: its keys with their defaults. */
function rowsOf(object: Json): readonly Row[] {
  return Object.entries(member(object, 'properties')).map(([key, value]) => {
    const fallback: unknown = Object(value).default
    return { key, fallback: fallback === undefined ? '—' : `\`${JSON.stringify(fallback)}\`` }
  })
}

function variantOf(transport: string): readonly Row[] {
  const found = Object.values(member(objectAt('servers'), 'oneOf')).find(
    (option) => Object(member(member({ ...Object(option) }, 'properties'), 'transport')).const === transport,
  )
  return rowsOf({ ...Object(found) })
}

const sorted = (rows: readonly Row[]) => rows.toSorted((a, b) => (a.key < b.key ? -1 : 1))

describe('configuration.md', () => {
  const told = rowsByHeading(read('docs/configuration.md'))
  const at = (heading: string) => told.get(heading) ?? []

  test.each([
    ['[server]', ['server']],
    ['[storage]', ['storage']],
    ['[audit]', ['audit']],
    ['[audit.otlp]', ['audit', 'otlp']],
    ['[[audit.payloads]]', ['audit', 'payloads']],
    ['[limits]', ['limits']],
    ['[policy]', ['policy']],
    ['[[identity_sources]]', ['identity_sources']],
    ['[login_policy]', ['login_policy']],
    ['[[login_policy.rules]]', ['login_policy', 'rules']],
    ['[[content_rules]]', ['content_rules']],
    ['[[gateways]]', ['gateways']],
    ['[[gateways.overrides]]', ['gateways', 'overrides']],
    ['[[gateways.rate_limits]]', ['gateways', 'rate_limits']],
  ])('tells every key of %s with its default, and no other', (heading, path) => {
    expect(sorted(at(heading))).toEqual(sorted(rowsOf(objectAt(...path))))
  })

  test.each(['http', 'stdio', 'worker', 'builtin'])('tells every key of a server with transport %s', (transport) => {
    const rows = [...at('[[servers]]'), ...at(`transport = "${transport}"`)]

    expect(sorted(rows).map(withoutConst)).toEqual(sorted(variantOf(transport)).map(withoutConst))
  })

  test('tells every section', () => {
    const sections = Object.keys(member(objectAt(), 'properties'))

    expect(sections.filter((name) => !told.has(`[${name}]`) && !told.has(`[[${name}]]`))).toEqual([])
  })
})

const withoutConst = (row: Row) => (row.key === 'transport' ? { ...row, fallback: '—' } : row)

describe('the example configuration', () => {
  const text = read('docs/gatehouse.example.toml')

  test('can be read', () => {
    const config = readConfig({ file: join(root, 'docs/gatehouse.example.toml'), dataDir: '/nowhere', env: {} })

    expect(config.servers.map(({ transport }) => transport).toSorted()).toEqual(['builtin', 'http', 'stdio', 'worker'])
    expect(config.gateways[0]?.overrides).toHaveLength(2)
  })

  test('names every key there is', () => {
    const sections = [
      'server',
      'storage',
      'audit',
      'limits',
      'login_policy',
      'identity_sources',
      'gateways',
      'content_rules',
    ].map((name) => rowsOf(objectAt(name)))
    const inner = ['overrides', 'rate_limits'].map((name) => rowsOf(objectAt('gateways', name)))
    const payloads = rowsOf(objectAt('audit', 'payloads'))
    const servers = ['http', 'stdio', 'worker', 'builtin'].map(variantOf)
    const rules = rowsOf(objectAt('login_policy', 'rules'))
    const keys = new Set([...sections, ...inner, ...rules, payloads, ...servers].flat().map(({ key }) => key))

    expect([...keys].filter((key) => !new RegExp(`^(# )?${key} = |\\.${key}\\]{1,2}$`, 'm').test(text))).toEqual([])
  })
})

// --- all pages ------------------------------------------------------------------------------------------------------

test('the list of errors is the one the code makes', async () => {
  expect(read('docs/errors.md')).toBe(await makeErrorsPage())
})

test.each(pages)('every link of %s leads somewhere', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link)
  const broken = links.filter((link) => !leadsSomewhere(page, link))

  expect(broken).toEqual([])
})

function leadsSomewhere(page: string, link: string): boolean {
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? page : join(dirname(page), file)
  if (!existsSync(join(root, target))) return false
  return anchor === undefined || anchorsOf(read(target)).includes(anchor)
}

/** Headings as GitHub makes anchors of them. */
function anchorsOf(page: string): readonly string[] {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('commands', () => {
  const used = pages.flatMap((page) =>
    [...read(page).matchAll(/\.\/gatehouse ([a-z][^\n`|#]*)/g)].map(([, words = '']) => ({
      page,
      words: words.trim(),
    })),
  )

  test.each(used)('`./gatehouse $words` in $page exists, with its options', async ({ words }) => {
    const [verb = '', ...rest] = words.split(/\s+/)
    const second = rest[0] !== undefined && /^[a-z]+$/.test(rest[0]) ? [rest[0]] : []
    const help = (await helpOf([verb, ...second])) ?? (await helpOf([verb])) ?? ''
    const options = [...(words.split(' -- ')[0] ?? '').matchAll(/(?<= )--[a-z-]+/g)].map(([option]) => option)

    expect(help).toContain(`Usage: gatehouse ${verb}`)
    expect(options.filter((option) => !help.includes(option))).toEqual([])
  })
})

/** What `--help` says of a command; undefined where there is none. `test` is the launcher's own. */
async function helpOf(verbs: readonly string[]): Promise<string | undefined> {
  if (verbs[0] === 'test')
    return execFileSync('sed', ['-n', 's/.*= test .*/Usage: gatehouse test/p', join(root, 'gatehouse')]).toString()
  let said = ''
  const silent = { env: {}, cwd: root, isInteractive: false, columns: 200, now: () => 0 }
  const terminal = {
    ...silent,
    out: (text: string) => void (said += text),
    err: () => {},
    readInput: async () => '',
    ask: async () => '',
    onSignal: () => () => {},
    exit: (): never => {
      throw new Error('a help text does not end the process')
    },
  }
  const code = await runCli([...verbs, '--help'], terminal)
  const isAsked = said.includes(`Usage: gatehouse ${verbs.join(' ')}`)
  return code === 0 && isAsked ? said : undefined
}
