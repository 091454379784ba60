import { Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** What every command is made with. */
export type Verb = {
  readonly terminal: Terminal
  /** Sets the exit code of a command that ends well in itself, such as a tool that reported an error. */
  readonly finish: (code: 0 | 1) => void
}

export type HouseOptions = { readonly config?: string; readonly data: string }
export type DataOptions = HouseOptions & { readonly json?: true }

/** A command with the options that every command has. */
export function houseCommand(parent: Command, nameAndArguments: string): Command {
  return parent
    .command(nameAndArguments)
    .option('--config <file>', 'the configuration file (without it: gatehouse.toml here, where there is one)')
    .option('--data <dir>', 'the data directory', 'data')
}

/** One that prints something. */
export function dataCommand(parent: Command, nameAndArguments: string): Command {
  return houseCommand(parent, nameAndArguments).option('--json', 'print JSON')
}

/** Gathers an option that may be given several times. */
export function gather(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value]
}
