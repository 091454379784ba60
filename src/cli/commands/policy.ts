import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { isJsonObject } from '#kernel'
import type { Command } from 'commander'
import { Failure, UsageError, unreadable } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain, safe, table } from '../words/table.ts'
import { parseSince, relative } from '../words/times.ts'
import { explainAdmin, listHolders, section, type ExplainAdminOptions } from './policy-admin.ts'

export function addPolicy(program: Command, { terminal, finish }: Verb): void {
  const policy = program.command('policy').description('rules that people write (Cedar), and what they mean')
  dataCommand(policy, 'check <file>')
    .description('what is wrong with policies; changes nothing')
    .action(async (file: string, options: DataOptions) => finish(await check(terminal, file, options)))
  dataCommand(policy, 'put <file>')
    .description('keep policies as the next version; it is not in force by that')
    .option('--note <text>', 'what is new in it')
    .action((file: string, options: DataOptions & { note?: string }) => put(terminal, file, options))
  dataCommand(policy, 'list')
    .description('the rules in force, and all versions')
    .action((options: DataOptions) => list(terminal, options))
  dataCommand(policy, 'show <version>')
    .description('the text of a version')
    .action((version: string, options: DataOptions) => show(terminal, version, options))
  dataCommand(policy, 'activate <version>')
    .description('put a version in force; "none" leaves the policy files alone in force')
    .action((version: string, options: DataOptions) => activate(terminal, version, options))
  dataCommand(policy, 'rollback')
    .description('put back in force what was before the last activation')
    .action((options: DataOptions) => rollBack(terminal, options))
  dataCommand(policy, 'shadow <version>')
    .description('try a version beside the one in force, on real calls; "off" ends it')
    .action((version: string, options: DataOptions) => shadow(terminal, version, options))
  dataCommand(policy, 'schema')
    .description('what policies may speak of')
    .action((options: DataOptions) => showSchema(terminal, options))
  dataCommand(policy, 'admins')
    .description('who may do something at the admin API without being an admin')
    .action((options: DataOptions) => listHolders(terminal, options))
  addQuestions(policy, terminal)
}

function addQuestions(policy: Command, terminal: Terminal): void {
  dataCommand(policy, 'explain')
    .description('why somebody may or may not use something, and what would have to change')
    .requiredOption('--user <id>', 'who')
    .option('--gateway <slug>', 'where')
    .option('--tool <name>', 'a tool, as the gateway shows it or as server/name')
    .option('--prompt <name>', 'a prompt')
    .option('--resource <uri>', 'a resource')
    .option('--args <json>', 'the arguments of the call')
    .option('--ask-hooks', 'ask the hooks as well what they would say; they are told that it is a question')
    .option('--admin <module>', 'a module of the admin API in the place of a tool: audit, grants …')
    .option('--operation <name>', 'only this operation of the module')
    .option('--write', 'only operations that change something')
    .option('--server <name>', 'with --admin: as far as it is about this server')
    .action((options: ExplainOptions) => explain(terminal, options))
  dataCommand(policy, 'replay')
    .description('which recorded calls would have ended otherwise under other rules')
    .requiredOption('--since <time>', 'how far back: 7d, 12h or a date')
    .option('--with <file>', 'policies in the place of the version in force; without it, everything as it is now')
    .action((options: ReplayOptions) => replay(terminal, options))
}

async function readSource(terminal: Terminal, file: string): Promise<string> {
  return readFile(resolve(terminal.cwd, file), 'utf8').catch(unreadable(file))
}

async function check(terminal: Terminal, file: string, options: DataOptions): Promise<0 | 1> {
  const text = await readSource(terminal, file)
  return withHouse(terminal, options, async ({ api }) => {
    const checked = await api.checkPolicy({ body: { name: basename(file), text } })
    const end = checked.ok
      ? `${file} can be used; together with the policy files it makes ${count(checked.rules.length, 'rule')}.\n`
      : ''
    printEither(terminal, options, { json: checked, text: describeFindings(checked) + end })
    return checked.ok ? 0 : 1
  })
}

type Checked = Awaited<ReturnType<Api['checkPolicy']>>

function describeFindings({ findings }: Checked): string {
  return findings.map(({ level, source, line, message }) => `${source}:${line}: ${level}: ${plain(message)}\n`).join('')
}

/** So that mistakes are told with the name of the file, as `check` tells them. */
async function refuseFaults(api: Api, { file, text }: { file: string; text: string }): Promise<void> {
  const checked = await api.checkPolicy({ body: { name: basename(file), text } })
  if (!checked.ok) throw new Failure(`${file} cannot be used:\n${describeFindings(checked).trimEnd()}`)
}

async function put(terminal: Terminal, file: string, options: DataOptions & { note?: string }): Promise<void> {
  const text = await readSource(terminal, file)
  await withHouse(terminal, options, async ({ api }) => {
    await refuseFaults(api, { file, text })
    const added = await api.putPolicy({ body: { text, note: options.note ?? null } })
    const next = `Version ${added.version} is kept. Try it: ./gatehouse policy shadow ${added.version}; put it in force: ./gatehouse policy activate ${added.version}\n`
    printEither(terminal, options, { json: added, text: next })
  })
}

type State = Awaited<ReturnType<Api['getPolicy']>>

function describeState({ active, shadow: tried, label, files, rules }: State): string {
  const lines = [
    active === null ? 'No version is in force.' : `Version ${active} is in force.`,
    ...(tried === null ? [] : [`Version ${tried} is tried beside it.`]),
    ...(files.length === 0 ? [] : [`Files: ${files.join(', ')}`]),
    `${count(rules.length, 'rule')}, named ${label} in the audit trail.`,
  ]
  return lines.map((line) => `${line}\n`).join('')
}

async function list(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const state = await api.getPolicy({})
    const now = terminal.now()
    const marks = (version: number): string =>
      [...(version === state.active ? ['in force'] : []), ...(version === state.shadow ? ['tried'] : [])].join(', ')
    const versions = state.versions.map(({ version, note, createdAt, createdBy }) => [
      `${version}`,
      marks(version),
      relative(createdAt, now),
      createdBy ?? '',
      note ?? '',
    ])
    const rules = state.rules.map(({ id, effect, note }) => [id, effect, note ?? ''])
    const tables = [
      ...(rules.length === 0 ? [] : [table(['rule', 'effect', 'note'], rules, terminal.columns)]),
      ...(versions.length === 0 ? [] : [table(['version', '', 'made', 'by', 'note'], versions, terminal.columns)]),
    ]
    printEither(terminal, options, { json: state, text: [describeState(state), ...tables].join('\n') })
  })
}

function versionOf(text: string, none: string): number | null {
  if (text === none) return null
  const version = Number(text.replace(/^v/, ''))
  if (Number.isSafeInteger(version) && version > 0) return version
  throw new UsageError(`"${text.slice(0, 40)}" is no version; write its number, or "${none}".`)
}

async function show(terminal: Terminal, text: string, options: DataOptions): Promise<void> {
  const version = versionOf(text, '') ?? 0
  await withHouse(terminal, options, async ({ api }) => {
    const found = await api.showPolicy({ params: { version } })
    printEither(terminal, options, { json: found, text: safe(found.text) })
  })
}

async function change(terminal: Terminal, options: DataOptions, make: (api: Api) => Promise<State>): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const state = await make(api)
    printEither(terminal, options, { json: state, text: describeState(state) })
  })
}

/** Says what it took away: whoever rolls back twice puts that in force again. */
async function rollBack(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { active } = await api.getPolicy({})
    const state = await api.rollbackPolicy({})
    const before = active === null ? 'No version was' : `Version ${active} was`
    const text = `${describeState(state)}${before} in force until now; to roll back once more puts that back.\n`
    printEither(terminal, options, { json: state, text })
  })
}

async function activate(terminal: Terminal, text: string, options: DataOptions): Promise<void> {
  const version = versionOf(text, 'none')
  await change(terminal, options, (api) => api.activatePolicy({ body: { version } }))
}

async function shadow(terminal: Terminal, text: string, options: DataOptions): Promise<void> {
  const version = versionOf(text, 'off')
  await change(terminal, options, (api) => api.shadowPolicy({ body: { version } }))
}

async function showSchema(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const found = await api.getPolicySchema({})
    printEither(terminal, options, { json: found, text: found.schema })
  })
}

type ExplainOptions = Omit<ExplainAdminOptions, 'admin'> & {
  admin?: string
  tool?: string
  prompt?: string
  resource?: string
  args?: string
  askHooks?: true
}

async function explain(terminal: Terminal, options: ExplainOptions): Promise<void> {
  const { user, gateway, args, admin } = options
  const [wanted] = (['tool', 'prompt', 'resource'] as const).flatMap((kind) => {
    const name = options[kind]
    return name === undefined ? [] : [{ kind, name }]
  })
  if (admin !== undefined && wanted === undefined) return explainAdmin(terminal, { ...options, admin })
  if (wanted === undefined || admin !== undefined)
    throw new UsageError('Say what, one of: --tool, --prompt, --resource, --admin.')
  if (gateway === undefined) throw new UsageError('Say where: --gateway SLUG.')
  const given = args === undefined ? {} : { args: parseArguments(args) }
  await withHouse(terminal, options, async ({ api }) => {
    const asked = { user, gateway, ...wanted, ...given, askHooks: options.askHooks ?? false }
    const told = await api.explainPolicy({ body: asked })
    printEither(terminal, options, { json: told, text: describeExplanation(told, asked) })
  })
}

type Explained = Awaited<ReturnType<Api['explainPolicy']>>
type AskedHooks = { readonly askHooks: boolean; readonly args?: unknown }

function describeExplanation(told: Explained, asked: AskedHooks): string {
  const wordsOf = (all: Explained['deciding']): string[] => all.map(({ words }) => words)
  const lines = [
    plain(told.summary),
    ...(told.groups.length === 0 ? [] : [`Groups: ${told.groups.map(plain).join(', ')}`]),
    ...section('Decided by:', wordsOf(told.deciding)),
    ...section('A person has to approve it, because of:', told.approval === null ? [] : [told.approval.words]),
    ...section(
      'Content rules that find something in these arguments:',
      told.content.map(({ rule, effect, found }) => `${rule} (${effect}, ${count(found, 'time')})`),
    ),
    ...section(
      asked.askHooks
        ? 'Hooks:'
        : 'Hooks that a call would be put to as well, and that may say no (--ask-hooks asks them):',
      told.hooks.map((hook) => describeHook(hook, asked)),
    ),
    ...section('It hangs on arguments, time or network:', told.depends),
    ...section(
      'Grants that do not do it:',
      told.near.map(({ id, words }) => `${id}: ${words}`),
    ),
    ...section('What would change it:', told.advice),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function describeHook({ name, points, failure, said }: Explained['hooks'][number], asked: AskedHooks): string {
  const known = `${name} (${points.join(', ')}; failure = "${failure}")`
  if (!asked.askHooks) return known
  const answers = said.map(({ point, outcome, words }) => `${point}: ${outcome}${words === '' ? '' : `, ${words}`}`)
  const isLeft = points.includes('pre') && !said.some(({ point }) => point === 'pre')
  const left = isLeft && asked.args === undefined ? ['pre: not asked, as it looks at arguments (--args)'] : []
  return `${known} – ${[...answers, ...left].join('; ') || 'not asked'}`
}

function parseArguments(text: string) {
  try {
    const parsed: unknown = JSON.parse(text)
    if (isJsonObject(parsed)) return JSON.parse(text)
  } catch {
    // Said below, in one way for both.
  }
  throw new UsageError('--args: write a JSON object, such as \'{"repo":"acme/x"}\'.')
}

type ReplayOptions = DataOptions & { since: string; with?: string }

async function replay(terminal: Terminal, options: ReplayOptions): Promise<void> {
  const since = parseSince(options.since, terminal.now())
  const text = options.with === undefined ? null : await readSource(terminal, options.with)
  await withHouse(terminal, options, async ({ api }) => {
    if (options.with !== undefined && text !== null) await refuseFaults(api, { file: options.with, text })
    const told = await api.replayPolicy({ body: { since, text } })
    const rows = told.changes.map(({ user, gateway, server, tool, what, before, after, calls, last, example }) => [
      user,
      what.startsWith('admin:') ? `${what} ${tool}` : `${server}/${tool}`,
      gateway,
      `${before} → ${after}`,
      `${calls}`,
      relative(last, terminal.now()),
      example,
    ])
    const lines = [
      `${count(told.records, 'call')} looked at; ${told.changed} would end otherwise.`,
      ...(told.unknown === 0 ? [] : [`${told.unknown} were of things that are shown no more.`]),
      ...(told.depends === 0 ? [] : [`${told.depends} hang on arguments or addresses, which the trail does not keep.`]),
      ...(told.hooks === 0 ? [] : [`${told.hooks} were decided by hooks, and are left as they were.`]),
      ...(told.complete ? [] : ['There is more than was looked at or is shown; choose a shorter time.']),
      'People are taken with the groups and grants they have now, not with those they had at the time of the call.',
      '',
    ]
    const changes =
      rows.length === 0 ? '' : table(['user', 'tool', 'gateway', 'change', 'calls', 'last', 'example'], rows)
    printEither(terminal, options, { json: told, text: lines.join('\n') + changes })
  })
}
