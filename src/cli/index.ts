/**
 * The command line. Each noun is a file in `commands/`; each verb is written once, against the typed client of the API.
 *
 * `reach.ts` finds the house: the one that runs with this data directory, over HTTP with the token that only its owner
 * can read, or, where none runs, one opened in this process for as long as the verb takes. Values go to stdout (as
 * JSON with `--json`), everything else to stderr. Exit codes: 0 done, 1 it failed, 2 it was asked wrongly.
 */
export { runCli } from './run.ts'
