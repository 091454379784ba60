export const CLIENTS = ['claude-code', 'cursor', 'vscode', 'codex', 'inspector'] as const
export type ClientName = (typeof CLIENTS)[number]

type Target = { readonly url: string; readonly key: string }
export type Snippet = { readonly title: string; readonly text: string }

/** What a person runs or writes so that a client uses a gateway. */
export function snippetFor(client: ClientName, target: Target): Snippet {
  return MAKERS[client](target)
}

const MAKERS: Readonly<Record<ClientName, (target: Target) => Snippet>> = {
  'claude-code': ({ url, key }) => ({
    title: 'Claude Code',
    text: `  claude mcp add --transport http gatehouse ${url} --header "Authorization: Bearer ${key}"`,
  }),
  cursor: ({ url, key }) => ({
    title: 'Cursor, in ~/.cursor/mcp.json',
    text: indent(
      JSON.stringify({ mcpServers: { gatehouse: { url, headers: { Authorization: `Bearer ${key}` } } } }, null, 2),
    ),
  }),
  vscode: ({ url, key }) => ({
    title: 'VS Code',
    text: `  code --add-mcp '${JSON.stringify({ name: 'gatehouse', type: 'http', url, headers: { Authorization: `Bearer ${key}` } })}'`,
  }),
  codex: ({ url, key }) => ({
    title: 'Codex, in ~/.codex/config.toml (it reads the key from the environment)',
    text: `  [mcp_servers.gatehouse]\n  url = "${url}"\n  bearer_token_env_var = "GATEHOUSE_KEY"\n  # before you start it: export GATEHOUSE_KEY=${key}`,
  }),
  inspector: ({ url, key }) => ({
    title: 'MCP Inspector',
    text: `  npx @modelcontextprotocol/inspector --transport http --server-url ${url} --header "Authorization: Bearer ${key}"`,
  }),
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}
