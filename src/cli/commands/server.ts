import { Option, type Command } from 'commander'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { table } from '../words/table.ts'
import { describeServer, whyNot } from '../words/server.ts'
import { addImport } from './import.ts'
import { serverRequest, type AddOptions } from './server-request.ts'

export function addServer(program: Command, verb: Verb): void {
  const { terminal } = verb
  const server = program.command('server').description('where tools come from')
  describeAdd(dataCommand(server, 'add <name> [command...]')).action(
    (name: string, command: string[], options: AddOptions) => add(terminal, { name, command }, options),
  )
  dataCommand(server, 'list')
    .description('all servers and how they are')
    .action((options: DataOptions) => listServers(terminal, options))
  dataCommand(server, 'check <name>')
    .description('list a server anew, now; fails when it is not healthy')
    .action((name: string, options: DataOptions) => check(verb, name, options))
  dataCommand(server, 'remove <name>')
    .description('remove a server that was added here')
    .action((name: string, options: DataOptions) => remove(terminal, name, options))
  addImport(server, verb)
}

function describeAdd(command: Command): Command {
  return command
    .description('add a server: --url URL, or a command after "--"')
    .option('--url <url>', 'its address')
    .option('--transport <kind>', 'http (MCP over HTTP) or worker (the worker protocol)')
    .option('--header <line>', "'Name: value', sent with every request; may be given several times", gather)
    .option('--header-env <line>', "'Name: VARIABLE', with the value from the environment", gather)
    .option('--secret <text>', 'the secret of a worker; others on this machine can read it in the process list')
    .option('--secret-file <file>', 'a file with the secret')
    .option('--secret-env <name>', 'an environment variable with the secret')
    .option('--env <pair>', 'NAME=value for the command; may be given several times', gather)
    .option('--cwd <dir>', 'where the command runs')
    .addOption(new Option('--isolation <who>', 'who shares a process').choices(['session', 'user', 'shared']))
    .addOption(new Option('--on-change <what>', 'when it changes a tool').choices(['accept', 'hold']))
    .option('--allow <address>', 'a host or CIDR that may be dialled although it is private', gather)
    .option('--identity-token', 'say to it with every request who calls, in a token that it can verify')
    .option('--identity-audience <text>', 'for whom that token is made; its address when absent')
    .option('--title <title>', 'its name for people')
    .option('--tag <tag>', 'for patterns such as tag:NAME', gather)
    .option('--timeout <time>', 'give a call up after this time without a sign of life: 60s')
    .option('--start-timeout <time>', 'how long the command may take to start, and to fetch what it needs: 30s')
}

async function add(
  terminal: Terminal,
  named: { name: string; command: readonly string[] },
  options: AddOptions,
): Promise<void> {
  const body = await serverRequest(terminal, named, options)
  await withHouse(terminal, options, async ({ api }) => {
    const added = await api.addServer({ body })
    printEither(terminal, options, { json: added, text: `Added. ${describeServer(added, terminal.now())}` })
  })
}

async function listServers(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { servers } = await api.listServers()
    const rows = servers.map((server) => [
      server.name,
      server.transport,
      server.enabled ? server.health.state : 'off',
      `${server.health.tools}`,
      server.origin,
      server.target,
      whyNot(server, terminal.now()),
    ])
    const text = table(['name', 'transport', 'state', 'tools', 'from', 'target', 'reason'], rows, terminal.columns)
    printEither(terminal, options, { json: { servers }, text: servers.length > 0 ? text : 'No servers yet.\n' })
  })
}

async function check({ terminal, finish }: Verb, name: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const checked = await api.checkServer({ params: { name } })
    printEither(terminal, options, { json: checked, text: describeServer(checked, terminal.now()) })
    if (checked.health.state !== 'healthy') finish(1)
  })
}

async function remove(terminal: Terminal, name: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeServer({ params: { name } })
    printEither(terminal, options, { json: { removed: name }, text: `${name} is removed.\n` })
  })
}
