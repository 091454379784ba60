import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import type { DataOptions } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'

export type ExplainAdminOptions = DataOptions & {
  user: string
  admin: string
  operation?: string
  write?: true
  gateway?: string
  server?: string
}

/** What somebody may do in a module of the admin API. */
export async function explainAdmin(terminal: Terminal, options: ExplainAdminOptions): Promise<void> {
  const { user, operation, write, gateway, server } = options
  const asked = {
    user,
    module: options.admin.replace(/^admin:/, ''),
    ...(operation === undefined ? {} : { operation }),
    ...(write === undefined ? {} : { writes: write }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(server === undefined ? {} : { server }),
  }
  await withHouse(terminal, options, async ({ api }) => {
    const told = await api.explainAdmin({ body: asked })
    printEither(terminal, options, { json: told, text: describeAdmin(told) })
  })
}

function describeAdmin(told: Awaited<ReturnType<Api['explainAdmin']>>): string {
  const rows = told.operations.map(({ operation, writes, effect, rules }) => [
    operation,
    writes ? 'writes' : 'reads',
    effect,
    rules.join(', '),
  ])
  const words = (said: readonly { words: string }[]): string[] => said.map((one) => one.words)
  const text = [
    plain(told.summary),
    ...(told.groups.length === 0 ? [] : [`Groups: ${told.groups.map(plain).join(', ')}`]),
    table(['operation', '', 'effect', 'by'], rows).trimEnd(),
    ...section('Decided by:', words(told.deciding)),
    ...section('Rules about it that do not do it:', words(told.near)),
    ...section('Warning:', told.warnings),
    ...section('What would change it:', told.advice),
    '',
  ]
  return text.join('\n')
}

/** A heading with its lines below it; nothing where there are none. */
export function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${plain(line)}`)]
}

/** Who may do something at the admin API without being an admin. */
export async function listHolders(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const told = await api.findAdminHolders({})
    const rows = told.holders.flatMap(({ user, modules, rules }) =>
      modules.map(({ module, mayRead, mayWrite, escalation }) => [
        user,
        module,
        mayRead,
        mayWrite,
        rules.join(', '),
        escalation === null ? '' : `could ${escalation}`,
      ]),
    )
    const found = rows.length === 0 ? '' : table(['account', 'module', 'read', 'write', 'rules', ''], rows)
    const end = told.complete ? '' : 'There are more than are shown.\n'
    const text = `${count(told.holders.length, 'account')} without the role admin may do something here.\n${found}${end}`
    printEither(terminal, options, { json: told, text })
  })
}
