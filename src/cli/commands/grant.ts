import { Option, type Command } from 'commander'
import { shellWord } from '#kernel'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { parseExpiry, relative } from '../words/times.ts'

const SUBJECTS = ['user', 'group', 'role', 'account', 'client', 'key'] as const

export function addGrant(program: Command, { terminal }: Verb): void {
  const grant = program.command('grant').description('who may use what')
  const add = dataCommand(grant, 'add').description('let somebody use something')
  subjectOptions(add)
    .option('--everyone', 'whoever the gateway admits')
    .option('--tools <patterns...>', "what: 'github/*', 'github/get_*', 'tag:NAME', '*'")
    .option('--prompts <patterns...>', 'prompts; without it, those of servers that --tools takes whole')
    .option('--resources <patterns...>', 'resources; without it, those of servers that --tools takes whole')
    .addOption(new Option('--only <kind>', 'only such tools').choices(['read-only', 'not-destructive']))
    .option('--gateway <slug>', 'where; without it, at every gateway')
    .option('--expires <time>', 'when it ends: 30d, 12h or a date')
    .option('--note <text>', 'what it is for')
    .action((options: AddOptions) => makeGrant(terminal, options))
  const list = dataCommand(grant, 'list').description('all grants')
  subjectOptions(list)
    .option('--gateway <slug>', 'only those of this gateway')
    .action((options: ListOptions) => listGrants(terminal, options))
  dataCommand(grant, 'unused')
    .description('grants that were not needed, and narrower ones for those that give too much')
    .option('--days <n>', 'in so many days', '30')
    .action((options: DataOptions & { days: string }) => showUnused(terminal, options))
  dataCommand(grant, 'remove <id...>')
    .description('take grants back; clients hear of it at once')
    .action((ids: string[], options: DataOptions) => removeGrants(terminal, ids, options))
}

function subjectOptions(command: Command): Command {
  return command
    .option('--user <id>', 'a user', gather)
    .option('--group <name>', 'a group', gather)
    .option('--role <role>', 'a role', gather)
    .option('--account <id>', 'a system account', gather)
    .option('--client <id>', 'whoever comes by this OAuth client', gather)
    .option('--key <id>', 'whoever comes with this API key', gather)
}

type SubjectOptions = { readonly [kind in (typeof SUBJECTS)[number]]?: string[] }
type ListOptions = DataOptions & SubjectOptions & { gateway?: string }
type AddOptions = ListOptions & {
  everyone?: true
  tools?: string[]
  prompts?: string[]
  resources?: string[]
  only?: 'read-only' | 'not-destructive'
  expires?: string
  note?: string
}

type Subject = { readonly kind: (typeof SUBJECTS)[number] | 'everyone'; readonly id: string }

async function makeGrant(terminal: Terminal, options: AddOptions): Promise<void> {
  const subjects = subjectsOf(options)
  if (subjects.length === 0)
    throw new UsageError('Say who: --user, --group, --role, --account, --client, --key or --everyone.')
  const { tools, prompts, resources, only, gateway, note, expires } = options
  const expiresAt = expires === undefined ? null : parseExpiry(expires, terminal.now())
  const what = { tools, prompts, resources, only, gateway, note, expiresAt }
  await withHouse(terminal, options, async ({ api }) => {
    const added = []
    for (const subject of subjects) added.push(await api.addGrant({ body: { subject, ...what } }))
    const lines = added.map(({ grant }) => `${grant.id}: ${describeWho(grant.subject)} may use ${describeWhat(grant)}.`)
    const effects = new Set(added.flatMap((one) => one.effects))
    printEither(terminal, options, { json: { added }, text: [...lines, ...effects, ''].join('\n') })
  })
}

function subjectsOf(options: SubjectOptions & { everyone?: true }): Subject[] {
  const named = SUBJECTS.flatMap((kind) => (options[kind] ?? []).map((id) => ({ kind, id })))
  return options.everyone ? [...named, { kind: 'everyone', id: '' }] : named
}

type Grant = Awaited<ReturnType<Api['listGrants']>>['grants'][number]

function describeWho({ kind, id }: Subject): string {
  return kind === 'everyone' ? 'everyone' : `${kind} ${id}`
}

function describeWhat({ tools, prompts, resources, only, gateway }: Grant): string {
  const parts = [
    tools.join(' '),
    ...(prompts === null ? [] : [`prompts ${prompts.join(' ')}`]),
    ...(resources === null ? [] : [`resources ${resources.join(' ')}`]),
    ...(only === null ? [] : [`(${only} only)`]),
  ]
  return `${parts.filter((part) => part !== '').join(' ')} at ${gateway ?? 'every gateway'}`
}

async function listGrants(terminal: Terminal, options: ListOptions): Promise<void> {
  const subjects = subjectsOf(options)
  await withHouse(terminal, options, async ({ api }) => {
    const all = await allGrants(api, options.gateway)
    const isWanted = ({ subject }: Grant): boolean =>
      subjects.some(({ kind, id }) => kind === subject.kind && id === subject.id)
    const grants = subjects.length === 0 ? all : all.filter(isWanted)
    const now = terminal.now()
    const rows = grants.map((grant) => [
      grant.id,
      describeWho(grant.subject),
      describeWhat(grant),
      endOf(grant, now),
      grant.note ?? '',
    ])
    const text = table(['id', 'who', 'what', 'ends', 'note'], rows, terminal.columns)
    printEither(terminal, options, { json: { grants }, text: grants.length > 0 ? text : 'No grants.\n' })
  })
}

function endOf({ expiresAt }: Grant, now: number): string {
  if (expiresAt === null) return ''
  return expiresAt <= now ? `ended ${relative(expiresAt, now)}` : relative(expiresAt, now)
}

const MAX_PAGES = 100

async function allGrants(api: Api, gateway: string | undefined): Promise<Grant[]> {
  const grants: Grant[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { grants: more, next } = await api.listGrants({ query: { limit: 1_000, gateway, cursor } })
    grants.push(...more)
    if (next === null) break
    cursor = next
  }
  return grants
}

async function removeGrants(terminal: Terminal, ids: readonly string[], options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const removed = []
    for (const id of ids) removed.push(await api.removeGrant({ params: { id } }))
    const text = removed.map(
      (grant) =>
        `${grant.id} is taken back: ${describeWho(grant.subject)} no longer has ${describeWhat(grant)} by it.\n`,
    )
    printEither(terminal, options, { json: { removed }, text: text.join('') })
  })
}

async function showUnused(terminal: Terminal, options: DataOptions & { days: string }): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const usage = await api.findGrantUsage({ query: { days: options.days } })
    const unneeded = usage.grants.filter(({ verdict }) => verdict !== 'used')
    const text =
      unneeded.length === 0 ? 'Every grant was needed, in all that it gives.\n' : unneeded.map(describeUse).join('')
    printEither(terminal, options, { json: usage, text: `${text}\n${OF_TODAY}` })
  })
}

const OF_TODAY =
  'Old calls count for the grants that would allow them today, to people with the groups they have now, not with those they had then.\n'

type Use = Awaited<ReturnType<Api['findGrantUsage']>>['grants'][number]

function describeUse({ grant, verdict, calls, covers, used, isYoung }: Use): string {
  const head = `${grant.id}: ${describeWho(grant.subject)} may use ${describeWhat(grant)}\n`
  const young = isYoung ? ' (it is younger than that)' : ''
  if (verdict === 'unused') return `${head}  not used${young}: ./gatehouse grant remove ${grant.id}\n`
  const all = Object.entries(used).filter(([, names]) => names.length > 0)
  const what = all
    .map(([kind, names]) => ` --${kind} ${names.map((name) => shellWord(plain(name))).join(' ')}`)
    .join('')
  const named = all.reduce((sum, [, names]) => sum + names.length, 0)
  const narrower = `./gatehouse grant add ${optionsOf(grant)}${what}`
  return `${head}  ${count(calls, 'call')} of ${named} out of ${covers}${young}; enough would be:\n  ${narrower}\n  ./gatehouse grant remove ${grant.id}\n`
}

/** All of a grant but what it is for. */
function optionsOf({ subject, gateway, only, expiresAt, note }: Use['grant']): string {
  const options = [
    subject.kind === 'everyone' ? '--everyone' : `--${subject.kind} ${shellWord(subject.id)}`,
    ...(gateway === null ? [] : [`--gateway ${gateway}`]),
    ...(only === null ? [] : [`--only ${only}`]),
    ...(expiresAt === null ? [] : [`--expires ${new Date(expiresAt).toISOString()}`]),
    ...(note === null ? [] : [`--note ${shellWord(plain(note))}`]),
  ]
  return options.join(' ')
}
