import type { Command } from 'commander'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'

export function addGroup(program: Command, { terminal }: Verb): void {
  const group = program.command('group').description('groups of accounts')
  dataCommand(group, 'add <name>')
    .description('make a group')
    .action((name: string, options: DataOptions) =>
      act(terminal, options, { text: `The group ${plain(name)} is made.`, make: (api) => make(api, name) }),
    )
  dataCommand(group, 'list')
    .description('all groups')
    .action((options: DataOptions) => listGroups(terminal, options))
  dataCommand(group, 'remove <name>')
    .description('remove a group with all its memberships')
    .action((name: string, options: DataOptions) =>
      act(terminal, options, { text: `The group ${plain(name)} is removed.`, make: (api) => unmake(api, name) }),
    )
  dataCommand(group, 'join <group> <user>')
    .description('put an account into a group')
    .action((name: string, user: string, options: DataOptions) =>
      act(terminal, options, {
        text: `${plain(user)} is in ${plain(name)}.`,
        make: (api) => api.addGroupMember({ params: { group: name, account: user } }),
      }),
    )
  dataCommand(group, 'leave <group> <user>')
    .description('take an account out of a group')
    .action((name: string, user: string, options: DataOptions) =>
      act(terminal, options, {
        text: `${plain(user)} was taken out of ${plain(name)}.`,
        make: (api) => api.removeGroupMember({ params: { group: name, account: user } }),
      }),
    )
}

async function act(
  terminal: Terminal,
  options: DataOptions,
  { text, make: change }: { text: string; make: (api: Api) => Promise<object> },
): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    printEither(terminal, options, { json: await change(api), text: `${text}\n` })
  })
}

async function make(api: Api, name: string): Promise<object> {
  await api.createGroup({ body: { name } })
  return { group: name }
}

async function unmake(api: Api, name: string): Promise<object> {
  await api.removeGroup({ params: { group: name } })
  return { removed: name }
}

async function listGroups(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { groups } = await api.listGroups()
    const rows = groups.map(({ name, source, members }) => [name, source, `${members}`])
    const text = table(['group', 'source', 'members'], rows, terminal.columns)
    printEither(terminal, options, { json: { groups }, text: rows.length > 0 ? text : 'No groups yet.\n' })
  })
}
