import { runCli } from './index.ts'
import { processTerminal } from './terminal.ts'

/** What `./gatehouse` starts. */
process.exitCode = await runCli(process.argv.slice(2), processTerminal())
