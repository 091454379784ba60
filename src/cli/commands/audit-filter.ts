import { Option, type Command } from 'commander'
import type { Terminal } from '../terminal.ts'
import { parseSince } from '../words/times.ts'

/** Everything that a search or an export can be narrowed by. */
export function withFilters(command: Command): Command {
  return command
    .option('--user <user>')
    .option('--tool <name>')
    .option('--server <name>')
    .option('--gateway <slug>')
    .addOption(new Option('--decision <what>').choices(['allowed', 'denied', 'failed', 'cancelled']))
    .option('--what <event>', 'tools/call, key.created, …')
    .option('--key <id>', 'made with this key, or about it')
    .option('--client <name>', 'how the name of the client program begins')
    .option('--face <face>', 'mcp, rest or cli')
    .option('--rule <rule>', 'the rule that decided')
    .option('--policy-version <version>')
    .option('--since <time>', 'how long ago (1h, 7d) or a date')
    .option('--until <time>', 'the same')
    .option('--trace <id>', 'the W3C trace id')
    .option('--text <words>', 'anywhere in the record')
}

export type FilterOptions = {
  user?: string
  tool?: string
  server?: string
  gateway?: string
  decision?: 'allowed' | 'denied' | 'failed' | 'cancelled'
  what?: string
  key?: string
  client?: string
  face?: string
  rule?: string
  policyVersion?: string
  since?: string
  until?: string
  trace?: string
  text?: string
}

/** The options as the API takes them. */
export function filterOf(terminal: Terminal, options: FilterOptions) {
  const { user, tool, server, gateway, decision, what, key, client, face, rule, policyVersion, trace, text } = options
  const at = (time: string | undefined) => (time === undefined ? undefined : parseSince(time, terminal.now()))
  const who = { user, key, client, face }
  const when = { since: at(options.since), until: at(options.until) }
  return { ...who, ...when, tool, server, gateway, decision, what, rule, policyVersion, text, traceId: trace }
}
