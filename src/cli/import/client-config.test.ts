import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readClientConfig, type Env } from './client-config.ts'
import { withoutComments } from './without-comments.ts'

function read(text: string, env: Env = {}, file = 'mcp.json') {
  return readClientConfig(text, { file, env })
}

test('Claude and Cursor: commands and addresses, with variables', () => {
  const text = JSON.stringify({
    mcpServers: {
      'File System': {
        command: 'npx',
        args: ['-y', 'server-filesystem', '${ROOT:-/srv}'],
        env: { TOKEN: '${env:TOKEN}' },
      },
      search: { type: 'http', url: 'https://${HOST}/mcp', headers: { Authorization: 'Bearer ${TOKEN}' } },
    },
  })

  const { taken, left } = read(text, { TOKEN: 'hunter2', HOST: 'search.example' })

  expect(left).toEqual([])
  expect(taken.map(({ server }) => server)).toEqual([
    {
      name: 'file-system',
      title: 'File System',
      transport: 'stdio',
      command: ['npx', '-y', 'server-filesystem', '/srv'],
      env: { TOKEN: 'hunter2' },
    },
    {
      name: 'search',
      title: 'search',
      transport: 'http',
      url: 'https://search.example/mcp',
      headers: { Authorization: 'Bearer hunter2' },
    },
  ])
})

test('VS Code: comments, commas at the end, and inputs that only it can ask for', () => {
  const text = `{
    // the servers of this folder
    "inputs": [{ "id": "key", "type": "promptString" }],
    "servers": {
      "one": { "type": "sse", "url": "https://one.example/sse", /* old */ },
      "two": { "url": "https://two.example", "headers": { "X-Key": "\${input:key}" } },
    },
  }`

  const { taken, left } = read(text)

  expect(taken).toMatchObject([{ server: { name: 'one', transport: 'http', url: 'https://one.example/sse' } }])
  expect(left).toEqual([{ label: 'two', why: '${input:key} is known to its client only; write the value instead' }])
})

test('Codex: TOML, with the token and headers from the environment', () => {
  const text = `
    [mcp_servers.docs]
    url = "https://docs.example/mcp"
    bearer_token_env_var = "DOCS_TOKEN"
    env_http_headers = { "X-Team" = "TEAM" }

    [mcp_servers.local]
    command = "docs-server"
    env = { PORT = 8080 }
  `

  const { taken } = read(text, { DOCS_TOKEN: 't0ken', TEAM: 'blue' }, 'config.toml')

  expect(taken).toMatchObject([
    { server: { headers: { Authorization: 'Bearer t0ken', 'X-Team': 'blue' } } },
    { server: { command: ['docs-server'], env: { PORT: '8080' } } },
  ])
})

test.each([
  ['a variable that is not set', { command: 'a', args: ['${NOWHERE}'] }, 'the environment variable NOWHERE is not set'],
  ['what is switched off', { command: 'a', disabled: true }, 'it is switched off'],
  ['what says nothing', { type: 'http' }, 'it has neither a command nor a url'],
  ['what is no server', 'a', 'it is not written like a server'],
])('%s is left out, with the reason', (_, server, why) => {
  expect(read(JSON.stringify({ mcpServers: { a: server } }))).toEqual({ taken: [], left: [{ label: 'a', why }] })
})

test('two names that become one are told apart', () => {
  const servers = { 'a b': { command: 'x' }, A_B: { command: 'y' } }

  const { taken, left } = read(JSON.stringify({ mcpServers: servers }))

  expect(taken).toHaveLength(1)
  expect(left).toEqual([{ label: 'A_B', why: 'another server of the file is called "a-b" already' }])
})

test.each(['{', '[]', '{"name":"x"}'])('%s is no client configuration', (text) => {
  expect(() => read(text)).toThrow(/cannot be read|names no MCP servers/)
})

test('JSON without comments is not touched, whatever its strings hold', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(withoutComments(text))).toEqual(JSON.parse(text))
    }),
  )
})

test('any name becomes one that a server may have', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (label) => {
      const { taken } = read(JSON.stringify({ mcpServers: { [label]: { command: 'x' } } }))

      for (const { server } of taken) expect(server.name).toMatch(/^[a-z0-9][a-z0-9-]{0,39}$/)
    }),
  )
})
