import { constants } from 'node:fs'
import { access, chmod, copyFile, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { MIGRATIONS } from '#main'
import { restoreStorage } from '#storage'
import { Failure } from '../failure.ts'
import { configOf, dataDirOf, runningUrl, withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, houseCommand, type DataOptions, type HouseOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'

export function addBackup(program: Command, { terminal }: Verb): void {
  dataCommand(program, 'backup <file>')
    .description('write a consistent copy of everything stored; it holds secrets, so keep it safe')
    .action((file: string, options: DataOptions) => backup(terminal, file, options))
  houseCommand(program, 'restore <file>')
    .description('fill an empty database from a backup')
    .action((file: string, options: HouseOptions) => restore(terminal, file, options))
}

async function backup(terminal: Terminal, file: string, options: DataOptions): Promise<void> {
  const target = resolve(terminal.cwd, file)
  if (await exists(target))
    throw new Failure(`${file} exists already.`, 'Name another file; a backup is never overwritten.')
  await withHouse(terminal, options, async ({ api }) => {
    const made = await api.backup()
    await copyFile(made.path, target, constants.COPYFILE_EXCL)
    await chmod(target, 0o600)
    await rm(made.path)
    const report = { path: target, bytes: made.bytes }
    printEither(terminal, options, { json: report, text: `Wrote ${made.bytes} bytes to ${file}. It holds secrets.\n` })
  })
}

async function restore(terminal: Terminal, file: string, options: HouseOptions): Promise<void> {
  const fromFile = resolve(terminal.cwd, file)
  if (!(await exists(fromFile))) throw new Failure(`There is no file ${file}.`)
  const url = await runningUrl(dataDirOf(terminal, options))
  if (url !== null) throw new Failure(`A house runs with this data at ${url}.`, 'Stop it first.')
  const { config } = configOf(terminal, options)
  await restoreStorage({ url: config.storage.url, fromFile, migrations: MIGRATIONS })
  terminal.out(`Restored ${file}. Start the house: ./gatehouse up\n`)
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
