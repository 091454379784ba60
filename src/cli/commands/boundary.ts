import type { Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { count } from '../words/print.ts'

/** What `doctor` says of servers that can be called around the gateway, seen by no rule and no record. */

export type Finding = {
  readonly level: 'ok' | 'warn' | 'fail'
  readonly what: string
  readonly detail: string
  readonly advice?: string
}

export type ServerInfo = Awaited<ReturnType<Api['checkServer']>>
type Probe = Awaited<ReturnType<Api['probeServer']>>

const ADVICE =
  'Give it one (headers), let it demand our token (identity_token), or let only this machine reach it. See docs/policy.md, "The boundary".'

/** As far as our own configuration tells. */
export function checkGuard({ name, guard, target }: ServerInfo): Finding[] {
  if (guard !== 'none') return []
  const detail = `${target} can be called without the gateway: it gets no credential from us`
  return [{ level: 'warn', what: `server ${name}`, detail, advice: ADVICE }]
}

/** As the servers themselves tell: each is asked what it offers by somebody who brings nothing, all at once. */
export async function probeAll(
  { terminal, api }: { terminal: Terminal; api: Api },
  servers: readonly ServerInfo[],
): Promise<Finding[]> {
  const asked = servers.filter(({ transport }) => transport === 'http' || transport === 'worker')
  const names = asked.map(({ name, target }) => `  ${name} at ${target}\n`).join('')
  const what = 'from this machine, without any credential; no tool is called'
  if (asked.length > 0) terminal.err(`Asking ${count(asked.length, 'server')} for the tools, ${what}:\n${names}`)
  const probes = servers.map(async (server) =>
    toFindings(server, await api.probeServer({ params: { name: server.name } })),
  )
  return (await Promise.all(probes)).flat()
}

function toFindings(server: ServerInfo, { verdict, detail, tools }: Probe): Finding[] {
  const what = `server ${server.name}`
  switch (verdict) {
    case 'open': {
      const listed = tools === null ? '' : ` (${count(tools, 'tool')})`
      const words = `${server.target} can be called without the gateway: ${detail}${listed}`
      return [{ level: 'warn', what, detail: words, advice: ADVICE }]
    }
    case 'identity':
    case 'closed':
      return [{ level: 'ok', what, detail: `tried without the gateway: ${detail}` }]
    case 'unknown':
      return [{ level: 'warn', what, detail: `tried without the gateway: ${detail}` }, ...checkGuard(server)]
    case 'skipped':
      return [{ level: 'ok', what, detail: `not tried without the gateway: ${detail}` }]
  }
}
