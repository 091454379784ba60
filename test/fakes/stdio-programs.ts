import { join } from 'node:path'

type Program = 'counter' | 'garbage' | 'hang' | 'crash' | 'slow' | 'grandchild' | 'pushy' | 'strict'

/** The command line that starts one of the stdio fakes, e.g. `stdioCommand('crash', '--after=2')`. */
export function stdioCommand(program: Program, ...args: string[]): [command: string, ...args: string[]] {
  return [process.execPath, join(import.meta.dirname, 'stdio', `${program}.ts`), ...args]
}
