import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseDuration } from '#config'
import { UsageError, unreadable } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import type { DataOptions } from '../verb.ts'

export type AddOptions = DataOptions & {
  url?: string
  transport?: string
  header?: string[]
  headerEnv?: string[]
  secret?: string
  secretFile?: string
  secretEnv?: string
  env?: string[]
  cwd?: string
  isolation?: 'session' | 'user' | 'shared'
  onChange?: 'accept' | 'hold'
  allow?: string[]
  title?: string
  tag?: string[]
  timeout?: string
  startTimeout?: string
  identityToken?: boolean
  identityAudience?: string
}

/** What the API is asked for: a worker, an HTTP server, or a command. */
export async function serverRequest(
  terminal: Terminal,
  named: { name: string; command: readonly string[] },
  options: AddOptions,
) {
  const kind = kindOf(named.command, options)
  const common = { ...commonOf(named.name, options), ...identityOf(options) }
  switch (kind) {
    case 'stdio': {
      const { cwd, isolation, env, startTimeout } = options
      const started = { command: [...named.command], env: pairs('--env', '=', env) }
      const place = cwd === undefined ? {} : { cwd: resolve(terminal.cwd, cwd) }
      const patience =
        startTimeout === undefined ? {} : { start_timeout_ms: parseTimeout('--start-timeout', startTimeout) }
      const shared = isolation === undefined ? {} : { isolation }
      return { ...common, transport: kind, ...started, ...place, ...patience, ...shared }
    }
    case 'worker':
      return { ...common, transport: kind, url: options.url ?? '', secret: await secretOf(terminal, options) }
    case 'http':
      return { ...common, transport: kind, url: options.url ?? '', headers: headersOf(terminal, options) }
  }
}

function kindOf(command: readonly string[], { url, transport }: AddOptions): 'http' | 'worker' | 'stdio' {
  if (url !== undefined && command.length > 0) throw new UsageError('A server has either --url or a command, not both.')
  if (url === undefined && command.length === 0)
    throw new UsageError('Say where the server is: --url URL, or its command after "--".')
  if (url === undefined) return 'stdio'
  if (transport === undefined || transport === 'http' || transport === 'worker') return transport ?? 'http'
  throw new UsageError(`--transport ${JSON.stringify(transport)}: write http or worker.`)
}

function commonOf(name: string, options: AddOptions) {
  const { title, tag, allow, onChange, timeout } = options
  return {
    name,
    ...(title === undefined ? {} : { title }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(allow === undefined ? {} : { allow_addresses: allow }),
    ...(onChange === undefined ? {} : { on_change: onChange }),
    ...(timeout === undefined ? {} : { timeout_ms: parseTimeout('--timeout', timeout) }),
  }
}

function identityOf({ identityToken, identityAudience }: AddOptions) {
  if (identityAudience !== undefined) return { identity_token: true, identity_audience: identityAudience }
  return identityToken === true ? { identity_token: true } : {}
}

function parseTimeout(option: string, text: string): number {
  const timeout = parseDuration(text)
  if (timeout === undefined) throw new UsageError(`${option} ${JSON.stringify(text)}: write a duration such as 60s.`)
  return timeout
}

function headersOf(terminal: Terminal, { header, headerEnv }: AddOptions): Record<string, string> {
  const fromEnv = Object.entries(pairs('--header-env', ':', headerEnv)).map(
    ([name, variable]) => [name, fromEnvironment(terminal, '--header-env', variable)] as const,
  )
  return { ...pairs('--header', ':', header), ...Object.fromEntries(fromEnv) }
}

/** `Name: value` or `NAME=value`, split at the first separator. */
function pairs(option: string, separator: ':' | '=', texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf(separator)
      if (at < 1) throw new UsageError(`${option} needs a name and a value: ${option} 'NAME${separator}VALUE'.`)
      return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
    }),
  )
}

async function secretOf(terminal: Terminal, { secret, secretFile, secretEnv }: AddOptions): Promise<string> {
  if (secret !== undefined) return secret
  if (secretEnv !== undefined) return fromEnvironment(terminal, '--secret-env', secretEnv)
  if (secretFile === undefined)
    throw new UsageError('A worker needs its secret: --secret-file FILE or --secret-env NAME.')
  const text = await readFile(resolve(terminal.cwd, secretFile), 'utf8').catch(unreadable(secretFile))
  return text.trim()
}

function fromEnvironment(terminal: Terminal, option: string, name: string): string {
  const value = terminal.env[name]
  if (value === undefined || value === '') throw new UsageError(`${option}: the environment has no variable ${name}.`)
  return value
}
