import { open, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { csvHeading, csvLine, toOtlp, type ExportLine } from '#audit'
import { Failure } from '../failure.ts'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { houseCommand, type HouseOptions, type Verb } from '../verb.ts'
import { filterOf, withFilters, type FilterOptions } from './audit-filter.ts'

type ExportOptions = HouseOptions & FilterOptions & { format: Format; output?: string }
type Format = 'jsonl' | 'csv' | 'otlp'

/** `audit export`: the trail as a file, line by line, however long it is. */
export function addExport(audit: Command, verb: Verb): void {
  withFilters(houseCommand(audit, 'export'))
    .description('all matching records, to be kept elsewhere')
    .addOption(
      new Option('--format <format>', 'jsonl can be verified offline; otlp is OpenTelemetry logs (OTLP/JSON lines)')
        .choices(['jsonl', 'csv', 'otlp'])
        .default('jsonl'),
    )
    .option('--output <file>', 'a new file that only you can read; without it, standard output')
    .action((options: ExportOptions) => exportTrail(verb.terminal, options))
}

async function exportTrail(terminal: Terminal, options: ExportOptions): Promise<void> {
  await using file = options.output === undefined ? null : await createFile(terminal, options.output)
  await withHouse(terminal, options, async ({ api }) => {
    const lines = await api.exportAudit({ query: filterOf(terminal, options) })
    for await (const text of FORMATS[options.format](lines)) {
      if (file) await file.appendFile(text)
      else terminal.out(text)
    }
    await file?.sync()
  })
}

async function createFile(terminal: Terminal, path: string): Promise<FileHandle> {
  return open(resolve(terminal.cwd, path), 'wx', 0o600).catch((error: unknown) => {
    throw new Failure(`"${path}" cannot be made.`, `Name a new file in a folder that exists. (${String(error)})`)
  })
}

type Lines = AsyncIterable<ExportLine>

const FORMATS: Readonly<Record<Format, (lines: Lines) => AsyncGenerator<string>>> = {
  jsonl: toJsonLines,
  csv: toCsv,
  otlp: toOtlpLines,
}

async function* toJsonLines(lines: Lines): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`
}

async function* toCsv(lines: Lines): AsyncGenerator<string> {
  yield csvHeading()
  for await (const line of lines) if ('seq' in line) yield csvLine(line)
}

const OTLP_BATCH = 500

async function* toOtlpLines(lines: Lines): AsyncGenerator<string> {
  let batch: Extract<ExportLine, { seq: number }>[] = []
  for await (const line of lines) {
    if ('seq' in line) batch.push(line)
    if (batch.length < OTLP_BATCH) continue
    yield `${JSON.stringify(toOtlp(batch))}\n`
    batch = []
  }
  if (batch.length > 0) yield `${JSON.stringify(toOtlp(batch))}\n`
}
