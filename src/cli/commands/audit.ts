import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { verifyExport, type AuditRecord, type ExportVerdict } from '#audit'
import { isProblem } from '#kernel'
import { Failure, unreadable } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import { addExport } from './audit-export.ts'
import { filterOf, withFilters, type FilterOptions } from './audit-filter.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { relative } from '../words/times.ts'

export function addAudit(program: Command, verb: Verb): void {
  const audit = withFilters(dataCommand(program, 'audit'))
    .description('what happened: every attempt, allowed or not')
    .option('--cursor <cursor>', 'go on where an earlier answer (--json: next) ended')
    .option('--limit <n>', 'at most so many', '50')
    .option('--follow', 'show records as they are written, until you stop it')
    .action((options: AuditOptions) =>
      options.follow ? follow(verb.terminal, options) : search(verb.terminal, options),
    )
  dataCommand(audit, 'show <chain/seq>')
    .description('one record whole')
    .option(
      '--payload',
      'what the call was made with and what came back, where a rule had it recorded; reading it is recorded',
    )
    .action((place: string, options: DataOptions & { payload?: true }) => show(verb.terminal, place, options))
  addExport(audit, verb)
  dataCommand(audit, 'keys')
    .description('the public keys that sign the trail (PEM); keep them where this house cannot reach them')
    .action((options: DataOptions) => keys(verb.terminal, options))
  dataCommand(audit, 'verify')
    .option('--file <export>', 'verify an exported file (format jsonl) instead, with no house at hand')
    .option('--key <pem>', 'with --file: the public keys that may have signed, as "audit keys" prints them')
    .description('read the whole trail and name the first record that is not as it was written')
    .action((options: VerifyOptions) =>
      options.file === undefined ? verify(verb, options) : verifyFile(verb, options),
    )
}

type AuditOptions = DataOptions & FilterOptions & { limit: string; follow?: true; cursor?: string }
type VerifyOptions = DataOptions & { file?: string; key?: string }

async function search(terminal: Terminal, options: AuditOptions): Promise<void> {
  const query = { ...filterOf(terminal, options), limit: options.limit, cursor: options.cursor }
  await withHouse(terminal, options, async ({ api }) => {
    const page = await api.searchAudit({ query })
    // The newest last, where a reader's eye is.
    const rows = page.records.toReversed().map((record) => cellsOf(record, relative(record.at, terminal.now())))
    const text = table(HEADINGS, rows, terminal.columns)
    printEither(terminal, options, { json: page, text: rows.length > 0 ? text : 'No such records.\n' })
    if (page.next !== null && !options.json) terminal.err('There is more: raise --limit or narrow the search.\n')
  })
}

const HEADINGS = ['time', 'decision', 'what', 'user', 'gateway', 'tool', 'ms', 'reason'] as const

function cellsOf(record: AuditRecord, time: string): string[] {
  const { decision, what, userId, gateway, server, tool, toolName, latencyMs, reason, extra } = record
  const from = server === undefined ? '' : `${server}/`
  const target = tool === undefined ? (toolName ?? server ?? '') : `${from}${tool}`
  // What was asked of the API, where there is nothing else to tell.
  const why = reason ?? (typeof extra?.['operation'] === 'string' ? extra['operation'] : '')
  const took = latencyMs === undefined ? '' : `${Math.round(latencyMs)}`
  return [time, decision, what, userId ?? '', gateway ?? '', target, took, why]
}

async function show(terminal: Terminal, text: string, options: DataOptions & { payload?: true }): Promise<void> {
  const [, chain, seq] = /^([a-z0-9_]{1,64})\/(\d{1,15})$/.exec(text) ?? []
  if (chain === undefined || seq === undefined)
    throw new Failure(
      `"${text}" is not the place of a record.`,
      'Write it as CHAIN/SEQ; "gatehouse audit --json" shows both.',
    )
  const params = { chain, seq: Number(seq) }
  await withHouse(terminal, options, async ({ api }) => {
    const shown = options.payload ? await api.readAuditPayload({ params }) : await api.showAuditRecord({ params })
    terminal.out(`${JSON.stringify(shown, null, options.json ? 0 : 2)}\n`)
  })
}

async function follow(terminal: Terminal, options: AuditOptions): Promise<void> {
  const stop = new AbortController()
  const release = terminal.onSignal(() => stop.abort())
  try {
    await withHouse(terminal, options, async ({ api, url }) => {
      if (url === null)
        throw new Failure('Nothing runs with this data, so there is nothing to follow.', 'Start it: ./gatehouse up')
      await printAsTheyCome(terminal, api, { options, signal: stop.signal })
    })
  } finally {
    release()
  }
}

async function printAsTheyCome(
  terminal: Terminal,
  api: Api,
  { options, signal }: { options: AuditOptions; signal: AbortSignal },
): Promise<void> {
  try {
    for await (const record of await api.followAudit({ query: filterOf(terminal, options) }, { signal })) {
      const time = new Date(record.at).toISOString().slice(11, 19)
      const words = cellsOf(record, time).filter((cell) => cell !== '')
      terminal.out(options.json ? `${JSON.stringify(record)}\n` : `${words.map(plain).join('  ')}\n`)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function verify({ terminal, finish }: Verb, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const verdict = await api.verifyAudit({ query: {} })
    const read = `${count(verdict.records, 'record')} in ${count(verdict.chains, 'chain')}, ${count(verdict.checkpoints, 'signed checkpoint')}`
    const faults = verdict.faults.map(faultLine)
    const { removed } = verdict
    const gone =
      removed.until === null
        ? ''
        : `${count(removed.records, 'record')} removed by retention, until ${new Date(removed.until).toISOString()}.\n`
    const text = verdict.ok
      ? `The trail is as it was written: ${read}.\n${gone}`
      : `The trail was changed (${read}):\n${faults.join('')}`
    printEither(terminal, options, { json: verdict, text })
    if (!verdict.ok) finish(1)
  })
}

function faultLine({ chain, seq, kind, detail }: ExportVerdict['faults'][number]): string {
  return `  ${plain(chain)} #${seq} ${kind}: ${plain(detail)}\n`
}

async function keys(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const listed = await api.listAuditKeys()
    printEither(terminal, options, { json: listed, text: listed.keys.map(({ publicKey }) => publicKey).join('') })
  })
}

async function verifyFile({ terminal, finish }: Verb, options: VerifyOptions): Promise<void> {
  const { file = '', key } = options
  const pem = key === undefined ? undefined : await readFile(resolve(terminal.cwd, key), 'utf8').catch(unreadable(key))
  const lines = createInterface({ input: createReadStream(resolve(terminal.cwd, file)), crlfDelay: Infinity })
  const verdict = await verifyExport(lines, pem).catch(unlessProblem(file))
  printEither(terminal, options, { json: verdict, text: wordsOf(verdict, pem !== undefined) })
  if (!verdict.ok) finish(1)
}

function unlessProblem(file: string): (error: unknown) => never {
  return (error) => {
    if (isProblem(error)) throw error
    return unreadable(file)(error)
  }
}

function wordsOf(verdict: ExportVerdict, isChecked: boolean): string {
  const { ok, records, chains, signed, removed, unsigned, isWhole, faults } = verdict
  const read = `${count(records, 'record')} in ${count(chains, 'chain')}, ${count(signed, 'checked signature')}`
  if (!ok) return `The file was changed (${read}):\n${faults.map(faultLine).join('')}`
  const notes = [
    removed > 0 ? `${count(removed, 'record')} removed by retention before.` : '',
    isWhole ? '' : 'It was made with a filter, so what is missing between its records cannot be told.',
    isChecked
      ? `${count(unsigned, 'record')} after the last signature.`
      : 'Signatures were not checked: give the keys with --key, or a file that was made anew is not noticed.',
  ]
  return [`The file is as it was written: ${read}.`, ...notes.filter((note) => note !== ''), ''].join('\n')
}
