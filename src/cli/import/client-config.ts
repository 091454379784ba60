import { parse as parseToml } from 'smol-toml'
import * as z from 'zod'
import { isJsonObject } from '#kernel'
import { Failure } from '../failure.ts'
import { withoutComments } from './without-comments.ts'

/** A server as the configuration of an MCP client names it; unknown members are of no use here. */
const entry = z.object({
  type: z.string().max(64).optional(),
  transport: z.string().max(64).optional(),
  command: z.string().min(1).max(4096).optional(),
  args: z.array(z.string().max(4096)).max(255).default([]),
  env: z.record(z.string(), z.coerce.string()).default({}),
  cwd: z.string().max(4096).optional(),
  url: z.string().max(2048).optional(),
  serverUrl: z.string().max(2048).optional(),
  headers: z.record(z.string(), z.string()).default({}),
  // Codex
  http_headers: z.record(z.string(), z.string()).default({}),
  env_http_headers: z.record(z.string(), z.string()).default({}),
  bearer_token_env_var: z.string().max(256).optional(),
  enabled: z.boolean().default(true),
  disabled: z.boolean().default(false),
})
type Entry = z.output<typeof entry>

export type Importable = {
  /** As the file has it. */
  readonly label: string
  /** What the API is asked for. */
  readonly server:
    | { name: string; title: string; transport: 'stdio'; command: string[]; env: Record<string, string>; cwd?: string }
    | { name: string; title: string; transport: 'http'; url: string; headers: Record<string, string> }
}
export type Left = { readonly label: string; readonly why: string }
export type Env = Readonly<Record<string, string | undefined>>

/**
 * The servers in a client's configuration: `mcpServers` (Claude, Cursor, Windsurf and most others), `servers` (VS Code)
 * or `mcp_servers` (Codex). Variables are filled in from `env`. What cannot be taken over is left, with the reason.
 */
export function readClientConfig(
  text: string,
  from: { file: string; env: Env },
): { taken: Importable[]; left: Left[] } {
  const taken: Importable[] = []
  const left: Left[] = []
  for (const [label, value] of Object.entries(findServers(parse(text, from.file), from.file))) {
    const read = readEntry(label, value, from.env)
    if ('why' in read) left.push(read)
    else if (taken.some(({ server }) => server.name === read.server.name))
      left.push({ label, why: `another server of the file is called "${read.server.name}" already` })
    else taken.push(read)
  }
  return { taken, left }
}

function parse(text: string, file: string): unknown {
  try {
    return file.endsWith('.toml') ? parseToml(text) : JSON.parse(withoutComments(text))
  } catch (error) {
    throw new Failure(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const MEMBERS = ['mcpServers', 'mcp_servers', 'servers'] as const

function findServers(config: unknown, file: string): Readonly<Record<string, unknown>> {
  const places = isJsonObject(config) ? [config, config['mcp']] : []
  for (const place of places) {
    if (!isJsonObject(place)) continue
    const found = MEMBERS.map((member) => place[member]).find((servers) => isJsonObject(servers))
    if (isJsonObject(found)) return found
  }
  throw new Failure(
    `${file} names no MCP servers.`,
    'Expected is "mcpServers" (Claude, Cursor), "servers" (VS Code) or [mcp_servers.…] (Codex).',
  )
}

function readEntry(label: string, value: unknown, env: Env): Importable | Left {
  const name = nameFrom(label)
  const parsed = entry.safeParse(value)
  if (name === '') return { label, why: 'no name can be made of this' }
  if (!parsed.success) return { label, why: 'it is not written like a server' }
  if (parsed.data.disabled || !parsed.data.enabled) return { label, why: 'it is switched off' }
  try {
    return { label, server: toServer({ name, title: label.slice(0, 200) }, fill(parsed.data, env)) }
  } catch (error) {
    if (error instanceof Unfilled) return { label, why: error.message }
    throw error
  }
}

/** Names of servers are part of tool patterns here, so they have fewer letters than elsewhere. */
function nameFrom(label: string): string {
  return label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40)
    .replace(/-+$/, '')
}

function toServer(named: { name: string; title: string }, filled: Entry): Importable['server'] {
  const { command, args, env, cwd, headers, http_headers } = filled
  const url = filled.url ?? filled.serverUrl
  if (url !== undefined) return { ...named, transport: 'http', url, headers: { ...http_headers, ...headers } }
  if (command === undefined) throw new Unfilled('it has neither a command nor a url')
  return { ...named, transport: 'stdio', command: [command, ...args], env, ...(cwd === undefined ? {} : { cwd }) }
}

// --- variables ------------------------------------------------------------------------------------------------------

class Unfilled extends Error {}

function fill(of: Entry, env: Env): Entry {
  const text = (value: string): string => fillText(value, env)
  const texts = (values: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value)]))
  const token = of.bearer_token_env_var
  return {
    ...of,
    args: of.args.map(text),
    env: texts(of.env),
    headers: {
      ...texts(of.headers),
      ...Object.fromEntries(Object.entries(of.env_http_headers).map(([name, from]) => [name, variable(from, env)])),
      ...(token === undefined ? {} : { Authorization: `Bearer ${variable(token, env)}` }),
    },
    http_headers: texts(of.http_headers),
    ...(of.command === undefined ? {} : { command: text(of.command) }),
    ...(of.cwd === undefined ? {} : { cwd: text(of.cwd) }),
    ...(of.url === undefined ? {} : { url: text(of.url) }),
    ...(of.serverUrl === undefined ? {} : { serverUrl: text(of.serverUrl) }),
  }
}

/** `${NAME}` and `${NAME:-otherwise}` (Claude), `${env:NAME}` (Cursor, VS Code), `${userHome}`; nothing else is known. */
function fillText(value: string, env: Env): string {
  return value.replaceAll(/\$\{([^}]*)\}/g, (whole, inner: string) => {
    if (inner === 'userHome') return variable('HOME', env)
    const [, name, otherwise] = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(inner) ?? []
    if (name === undefined) throw new Unfilled(`${whole} is known to its client only; write the value instead`)
    return otherwise === undefined ? variable(name, env) : (env[name] ?? otherwise)
  })
}

function variable(name: string, env: Env): string {
  const value = env[name]
  if (value === undefined) throw new Unfilled(`the environment variable ${name} is not set`)
  return value
}
