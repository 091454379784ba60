import { expect, test } from 'vitest'
import { findResource } from '../call/resolve.ts'
import type { CatalogEntry } from '../catalog/catalog.ts'
import { gatewayConfig, serverConfig, type GatewayConfigInput } from '../config.ts'
import { assignNames } from './naming.ts'
import { fillArguments } from './override.ts'
import { changedLists } from './snapshot.ts'
import { buildView, nameOf, pickFrom, templateMatcher, type ViewInput } from './view.ts'

const tool = (name: string, extra: object = {}) => ({ name, inputSchema: { type: 'object' }, ...extra })

function entry(part: Partial<CatalogEntry['offer']> & { tools?: CatalogEntry['tools'] }): CatalogEntry {
  const { tools = [], ...offer } = part
  const rest = {
    era: 'modern',
    serverInfo: {},
    capabilities: { tools: {} },
    resources: [],
    templates: [],
    prompts: [],
  } as const
  return { tools, held: [], offer: { ...rest, ...offer } }
}

function view(gateway: GatewayConfigInput, entries: Record<string, CatalogEntry>) {
  const config = gatewayConfig.parse(gateway)
  const servers: ViewInput['servers'] = Object.entries(entries).map(([name, known]) => ({
    config: serverConfig.parse({ name, transport: 'builtin' }),
    entry: known,
  }))
  const picked = pickFrom(config, servers)
  const tools = picked.flatMap((part) => part.tools.map((one) => ({ server: part.server.name, original: nameOf(one) })))
  const prompts = picked.flatMap((part) =>
    part.prompts.map((one) => ({ server: part.server.name, original: nameOf(one) })),
  )
  const wished = new Map(config.overrides.map((override) => [override.tool, override.name]))
  const toolNames = assignNames(
    [],
    tools.map((one) => ({ ...one, wished: wished.get(`${one.server}/${one.original}`) })),
  )
  return buildView({ config, servers, toolNames, promptNames: assignNames([], prompts) })
}

test('a gateway shows what its patterns pick, and nothing of the rest', () => {
  const shown = view(
    { slug: 'g', tools: ['files/read_*', 'mail/*'] },
    {
      files: entry({ tools: [tool('read_file'), tool('write_file')] }),
      mail: entry({ tools: [tool('send')] }),
      other: entry({ tools: [tool('x')] }),
    },
  )

  expect(shown.tools.map(nameOf)).toEqual(['read_file', 'send'])
  expect(shown.servers).toEqual(['files', 'mail'])
})

test('the second server with a name gets its own in front; rules still bind to the original', () => {
  const shown = view(
    { slug: 'g', tools: ['a/*', 'b/*'] },
    { b: entry({ tools: [tool('find')] }), a: entry({ tools: [tool('find')] }) },
  )

  expect(shown.tools.map(nameOf)).toEqual(['b_find', 'find'])
  expect(shown.toolByName.get('b_find')).toMatchObject({ server: 'b', original: 'find' })
  expect(shown.toolByName.get('find')).toMatchObject({ server: 'a', original: 'find' })
})

test('an override renames, re-describes, and takes hidden, pinned and defaulted arguments out of the schema', () => {
  const inputSchema = {
    type: 'object',
    properties: { path: { type: 'string' }, mode: { type: 'string' }, depth: { type: 'integer' } },
    required: ['path', 'mode', 'depth'],
  }
  const override = {
    tool: 'files/read',
    name: 'open',
    description: 'Reads.',
    pin: { mode: 'ro' },
    default: { depth: 1 },
  }
  const shown = view(
    { slug: 'g', tools: ['files/*'], overrides: [override] },
    { files: entry({ tools: [tool('read', { inputSchema })] }) },
  )

  expect(shown.tools).toEqual([
    {
      name: 'open',
      description: 'Reads.',
      inputSchema: {
        type: 'object',
        properties: { path: { type: 'string' }, depth: { type: 'integer', default: 1 } },
        required: ['path'],
      },
    },
  ])
  const bound = shown.toolByName.get('open')?.override
  expect(fillArguments({ path: '/x' }, bound)).toEqual({ ok: true, arguments: { depth: 1, path: '/x', mode: 'ro' } })
  expect(fillArguments({ path: '/x', mode: 'rw' }, bound)).toEqual({ ok: false, refused: 'mode' })
})

test('two servers with one address: the first keeps it, the second is reached by an alias, also from its tools', () => {
  const ui = { resources: [{ uri: 'ui://app' }], capabilities: { resources: {} } }
  const app = tool('open', { _meta: { ui: { resourceUri: 'ui://app' } } })
  const shown = view(
    { slug: 'g', tools: ['a/*', 'b/*'] },
    { a: entry({ ...ui, tools: [app] }), b: entry({ ...ui, tools: [app] }) },
  )

  expect(shown.resources.map((one) => one['uri'])).toEqual(['ui://app', 'ui://b.gatehouse/app'])
  expect(shown.tools.map((one) => one['_meta'])).toEqual([
    { ui: { resourceUri: 'ui://b.gatehouse/app' } },
    { ui: { resourceUri: 'ui://app' } },
  ])
  expect(shown.resourceByUri.get('ui://b.gatehouse/app')).toMatchObject({ server: 'b', original: 'ui://app' })
})

test('resources and prompts come only from servers that are picked whole, unless they are named', () => {
  const full = entry({
    tools: [tool('read')],
    resources: [{ uri: 'x://1' }],
    prompts: [{ name: 'p' }],
    capabilities: { resources: {}, prompts: {} },
  })

  expect(view({ slug: 'g', tools: ['a/read'] }, { a: full })).toMatchObject({ resources: [], prompts: [] })
  expect(view({ slug: 'g', tools: ['a/*'] }, { a: full })).toMatchObject({
    resources: [{ uri: 'x://1' }],
    prompts: [{ name: 'p' }],
  })
  expect(view({ slug: 'g', tools: ['a/read'], prompts: ['a/p'] }, { a: full })).toMatchObject({
    resources: [],
    prompts: [{ name: 'p' }],
  })
})

test('only lists that differ are told as changed', () => {
  const before = view({ slug: 'g', tools: ['a/*'] }, { a: entry({ tools: [tool('x')], prompts: [{ name: 'p' }] }) })
  const after = view(
    { slug: 'g', tools: ['a/*'] },
    { a: entry({ tools: [tool('x'), tool('y')], prompts: [{ name: 'p' }] }) },
  )

  expect(changedLists(before, after)).toEqual(['tools'])
  expect(changedLists(before, before)).toEqual([])
  expect(changedLists(undefined, after)).toEqual(['tools', 'prompts'])
})

test.each([
  ['test://template/{id}/data', 'test://template/7/data', true],
  ['test://template/{id}/data', 'test://template/7/other', false],
  ['file:///{+path}', 'file:///a/b/c.txt', true],
  ['a.b://{x}', 'aXb://1', false],
])('template %s and %s: %s', (template, uri, expected) => {
  expect(templateMatcher(template)(uri)).toBe(expected)
})

test.each([
  ['many expressions, never a match', `a${'{x}a'.repeat(18)}!`, 'a'.repeat(8_000)],
  ['braces that never close', '{'.repeat(200_000), 'a'.repeat(8_000)],
])('a hostile template costs one pass: %s', (_what, template, uri) => {
  const startedAt = performance.now()

  expect(templateMatcher(template)(uri)).toBe(false)

  expect(performance.now() - startedAt).toBeLessThan(500)
})

const template = (uriTemplate: string) => ({ uriTemplate, name: uriTemplate })
const whose = (shown: ReturnType<typeof view>, uri: string) => findResource(shown, uri)?.server

test('a listed address is its owner’s, then the template that says most of it wins, whoever comes first', () => {
  const shown = view(
    { slug: 'g', tools: ['greedy/*', 'notes/*'] },
    {
      greedy: entry({ templates: [template('note://{+all}')] }),
      notes: entry({ resources: [{ uri: 'note://a/listed' }], templates: [template('note://a/{id}')] }),
    },
  )

  expect(['note://a/listed', 'note://a/1', 'note://b/1'].map((uri) => whose(shown, uri))).toEqual([
    'notes',
    'notes',
    'greedy',
  ])
})

test.each(['{+all}', '{a}', '{scheme}://{+rest}'])(
  'a template without a scheme catches nothing with the scheme of another server: %s',
  (greedy) => {
    const shown = view(
      { slug: 'g', tools: ['greedy/*', 'notes/*', 'mail/*'] },
      {
        greedy: entry({ templates: [template(greedy)] }),
        notes: entry({ resources: [{ uri: 'note://a' }] }),
        mail: entry({ templates: [template('mail://{id}/text')] }),
      },
    )

    expect(['NOTE://secret', 'note://secret', 'mail://7'].map((uri) => whose(shown, uri))).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(whose(shown, 'free://1')).toBe('greedy')
  },
)
