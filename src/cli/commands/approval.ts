import { Option, type Command } from 'commander'
import { readableArguments } from '#approvals'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { list, table } from '../words/table.ts'

export function addApproval(program: Command, { terminal }: Verb): void {
  const approval = program.command('approval').description('calls that wait for a person')
  dataCommand(approval, 'list')
    .description('approvals, newest first')
    .addOption(
      new Option('--state <state>', 'only these').choices(['pending', 'approved', 'denied', 'expired', 'used']),
    )
    .action((options: ListOptions) => listApprovals(terminal, options))
  dataCommand(approval, 'show <id>')
    .description('one approval, with the arguments of its call')
    .action((id: string, options: DataOptions) => show(terminal, id, options))
  dataCommand(approval, 'approve <id>')
    .description('let the call be made, once and with exactly these arguments')
    .action((id: string, options: DataOptions) => answer(terminal, { id, said: 'approve' }, options))
  dataCommand(approval, 'deny <id>')
    .description('do not let the call be made')
    .action((id: string, options: DataOptions) => answer(terminal, { id, said: 'deny' }, options))
  dataCommand(approval, 'link <id>')
    .description('make a link with which somebody without an account answers it, once')
    .action((id: string, options: DataOptions) => link(terminal, id, options))
}

type ListOptions = DataOptions & { state?: Approval['state'] }
type Approval = Awaited<ReturnType<Api['listApprovals']>>['approvals'][number]

async function listApprovals(terminal: Terminal, options: ListOptions): Promise<void> {
  const { state } = options
  await withHouse(terminal, options, async ({ api }) => {
    const page = await api.listApprovals({ query: state === undefined ? {} : { state } })
    const rows = page.approvals.map((one) => {
      const until = new Date(one.expiresAt).toISOString()
      return [one.id, one.state, one.userId, `${one.server}/${one.tool}`, one.gateway, until, one.answeredBy ?? '']
    })
    const text = table(['approval', 'state', 'user', 'tool', 'gateway', 'until', 'answered by'], rows, terminal.columns)
    printEither(terminal, options, { json: page, text: rows.length > 0 ? text : 'No approvals.\n' })
  })
}

async function show(terminal: Terminal, id: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { arguments: args, ...approval } = await api.getApproval({ params: { id } })
    const pairs = Object.entries(approval).filter(([, value]) => value !== null)
    const shown = (key: string, value: string | number | null): string =>
      key.endsWith('At') ? new Date(Number(value)).toISOString() : String(value)
    const text = `${list(pairs.map(([key, value]) => [key, shown(key, value)]))}${readableArguments(args)}\n`
    printEither(terminal, options, { json: { ...approval, arguments: args }, text })
  })
}

async function answer(
  terminal: Terminal,
  { id, said }: { id: string; said: 'approve' | 'deny' },
  options: DataOptions,
): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const answered = await api.answerApproval({ params: { id }, body: { answer: said } })
    const text = said === 'approve' ? `${id} is approved: the call may be made, once.\n` : `${id} is denied.\n`
    printEither(terminal, options, { json: answered, text })
  })
}

async function link(terminal: Terminal, id: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const made = await api.linkApproval({ params: { id } })
    printEither(terminal, options, { json: made, text: `${made.link}\n` })
  })
}
