import { Option, type Command } from 'commander'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'

const FACTORS = ['password', 'upstream', 'token', 'two-factor', 'passkey'] as const
type Factor = (typeof FACTORS)[number]

export function addLoginPolicy(program: Command, { terminal, finish }: Verb): void {
  const policy = program.command('login-policy').description('who may sign in to what, from where, how strongly proved')
  dataCommand(policy, 'list')
    .description('all rules, in the order in which they are looked at')
    .action((options: DataOptions) => listRules(terminal, options))
  dataCommand(policy, 'add <id>')
    .description('add a rule; every condition that is given must be met')
    .addOption(new Option('--effect <effect>', 'what it does').choices(['allow', 'deny']).makeOptionMandatory())
    .option('--priority <number>', 'the smallest is looked at first', '100')
    .option('--user <pattern>', 'user ids, "*" for any run of characters; may be given several times', gather)
    .option('--role <role>', 'admin, user or guest', gather)
    .option('--group <pattern>', 'names of groups', gather)
    .option('--account <kind>', 'person or system', gather)
    .option('--service <pattern>', 'slugs of gateways, "account" for the pages of the house, or "client:ID"', gather)
    .option('--service-tag <tag>', 'names from [login_policy.service_tags]', gather)
    .option('--network <range>', 'address ranges such as 10.0.0.0/8', gather)
    .option('--factor <factor>', FACTORS.join(', '), gather)
    .option('--note <text>', 'what it is for')
    .action((id: string, options: AddOptions) => addRule(terminal, id, options))
  dataCommand(policy, 'remove <id>')
    .description('remove a rule that was added here')
    .action((id: string, options: DataOptions) => removeRule(terminal, id, options))
  dataCommand(policy, 'history')
    .description('the changes of the rules, newest first')
    .action((options: DataOptions) => showHistory(terminal, options))
  dataCommand(policy, 'test')
    .description('what the policy says of a user and a service; ends with 1 when it refuses')
    .requiredOption('--user <user>', 'the user id')
    .requiredOption('--service <name>', 'slug of a gateway, "account", or "client:ID"')
    .option('--client <id>', 'the OAuth client')
    .option('--from <address>', 'the IP address')
    .addOption(new Option('--factor <factor>', 'how the user signed in').choices(FACTORS))
    .action((options: TestOptions) => testPolicy(terminal, options, finish))
}

async function listRules(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const policy = await api.getLoginPolicy()
    printEither(terminal, options, { json: policy, text: describePolicy(policy, terminal.columns) })
  })
}

type Policy = Awaited<ReturnType<Api['getLoginPolicy']>>
type Rule = Policy['rules'][number]

function describePolicy(policy: Policy, columns: number | undefined): string {
  const rows = policy.rules.map((rule) => [
    `${rule.priority}`,
    rule.id,
    rule.effect,
    rule.source,
    describeConditions(rule),
    rule.note ?? '',
  ])
  const rules =
    rows.length === 0 ? 'No rules yet.\n' : table(['priority', 'id', 'effect', 'from', 'when', 'note'], rows, columns)
  return `${rules}Whoever no rule decides about: ${policy.default}.\n`
}

function describeConditions(rule: Rule): string {
  const { users, roles, groups, accounts, services, service_tags, networks, factors } = rule
  const all = Object.entries({ users, roles, groups, accounts, services, service_tags, networks, factors })
  return all.flatMap(([name, values]) => (values ? [`${name}=${values.join(',')}`] : [])).join(' ') || 'always'
}

type AddOptions = DataOptions & {
  effect: 'allow' | 'deny'
  priority: string
  user?: string[]
  role?: string[]
  group?: string[]
  account?: string[]
  service?: string[]
  serviceTag?: string[]
  network?: string[]
  factor?: string[]
  note?: string
}

async function addRule(terminal: Terminal, id: string, options: AddOptions): Promise<void> {
  const { effect, priority, note } = options
  if (!/^\d{1,7}$/.test(priority)) throw new UsageError('--priority takes a whole number.')
  const body = {
    id,
    effect,
    priority: Number(priority),
    ...(note === undefined ? {} : { note }),
    ...given('users', options.user),
    ...given('roles', among(['admin', 'user', 'guest'], '--role', options.role)),
    ...given('groups', options.group),
    ...given('accounts', among(['person', 'system'], '--account', options.account)),
    ...given('services', options.service),
    ...given('service_tags', options.serviceTag),
    ...given('networks', options.network),
    ...given('factors', among(FACTORS, '--factor', options.factor)),
  }
  await withHouse(terminal, options, async ({ api }) => {
    const policy = await api.addLoginRule({ body })
    printEither(terminal, options, { json: policy, text: `The rule ${plain(id)} is in force.\n` })
  })
}

function given<Name extends string, T>(name: Name, values: T[] | undefined): { [N in Name]?: T[] } {
  // TypeScript widens a computed name to string.
  return (values === undefined ? {} : { [name]: values }) as { [N in Name]?: T[] }
}

function among<const T extends string>(
  known: readonly T[],
  option: string,
  values: string[] | undefined,
): T[] | undefined {
  return values?.map((value) => {
    const found = known.find((one) => one === value)
    if (found === undefined) throw new UsageError(`${option} takes ${known.join(', ')}.`)
    return found
  })
}

async function removeRule(terminal: Terminal, id: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const policy = await api.removeLoginRule({ params: { id } })
    printEither(terminal, options, { json: policy, text: `The rule ${plain(id)} is removed.\n` })
  })
}

async function showHistory(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { versions } = await api.listLoginPolicyVersions()
    const rows = versions.map(({ version, at, by, change }) => [
      `${version}`,
      new Date(at).toISOString(),
      by ?? '',
      change,
    ])
    const text =
      rows.length === 0 ? 'No changes yet.\n' : table(['version', 'at', 'by', 'change'], rows, terminal.columns)
    printEither(terminal, options, { json: { versions }, text })
  })
}

type TestOptions = DataOptions & { user: string; service: string; client?: string; from?: string; factor?: Factor }

async function testPolicy(terminal: Terminal, options: TestOptions, finish: Verb['finish']): Promise<void> {
  const { user, service, client, from, factor } = options
  await withHouse(terminal, options, async ({ api }) => {
    const decision = await api.testLoginPolicy({ body: { user, service, client, from, factor } })
    if (decision.effect === 'deny') finish(1)
    printEither(terminal, options, { json: decision, text: describeDecision(decision, terminal.columns) })
  })
}

type Decision = Awaited<ReturnType<Api['testLoginPolicy']>>

const NOBODY = {
  active: '',
  inactive: 'This account is switched off: nobody signs in with it, whatever the rules say.\n',
  none: 'There is no such account: nobody signs in with it, whatever the rules say.\n',
}

function describeDecision({ effect, winner, reason, rules, account }: Decision, columns: number | undefined): string {
  const rows = rules.map((rule) => [
    rule.id === winner ? '>' : '',
    `${rule.priority}`,
    rule.id,
    rule.effect,
    rule.verdict,
    rule.because.join(', '),
  ])
  const judged =
    rows.length === 0 ? '' : table(['', 'priority', 'id', 'effect', 'verdict', 'because of'], rows, columns)
  return `${judged}${effect}: ${reason}.\n${NOBODY[account]}`
}
