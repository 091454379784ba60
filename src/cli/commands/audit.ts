import { Option, type Command } from 'commander'
import type { AuditRecord } from '#audit'
import { Failure } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { parseSince, relative } from '../words/times.ts'

export function addAudit(program: Command, verb: Verb): void {
  const audit = dataCommand(program, 'audit')
    .description('what happened: every attempt, allowed or not')
    .option('--user <user>')
    .option('--tool <name>')
    .option('--server <name>')
    .option('--gateway <slug>')
    .addOption(new Option('--decision <what>').choices(['allowed', 'denied', 'failed', 'cancelled']))
    .option('--what <event>', 'tools/call, key.created, …')
    .option('--key <id>', 'made with this key, or about it')
    .option('--client <name>', 'how the name of the client program begins')
    .option('--face <face>', 'mcp, rest or cli')
    .option('--rule <rule>', 'the rule that decided')
    .option('--policy-version <version>')
    .option('--since <time>', 'how long ago (1h, 7d) or a date')
    .option('--until <time>', 'the same')
    .option('--cursor <cursor>', 'go on where an earlier answer (--json: next) ended')
    .option('--trace <id>', 'the W3C trace id')
    .option('--text <words>', 'anywhere in the record')
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
  dataCommand(audit, 'verify')
    .description('read the whole trail and name the first record that is not as it was written')
    .action((options: DataOptions) => verify(verb, options))
}

type AuditOptions = DataOptions & {
  user?: string
  tool?: string
  server?: string
  gateway?: string
  decision?: 'allowed' | 'denied' | 'failed' | 'cancelled'
  what?: string
  key?: string
  client?: string
  face?: string
  rule?: string
  policyVersion?: string
  since?: string
  until?: string
  cursor?: string
  trace?: string
  text?: string
  limit: string
  follow?: true
}

function filterOf(terminal: Terminal, options: AuditOptions) {
  const { user, tool, server, gateway, decision, what, key, client, face, rule, policyVersion, trace, text } = options
  const at = (time: string | undefined) => (time === undefined ? undefined : parseSince(time, terminal.now()))
  const who = { user, key, client, face }
  const when = { since: at(options.since), until: at(options.until) }
  return { ...who, ...when, tool, server, gateway, decision, what, rule, policyVersion, text, traceId: trace }
}

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
  const { decision, what, userId, gateway, server, tool, toolName, latencyMs, reason } = record
  const from = server === undefined ? '' : `${server}/`
  const target = tool === undefined ? (toolName ?? server ?? '') : `${from}${tool}`
  const took = latencyMs === undefined ? '' : `${Math.round(latencyMs)}`
  return [time, decision, what, userId ?? '', gateway ?? '', target, took, reason ?? '']
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
    const faults = verdict.faults.map(
      ({ chain, seq, kind, detail }) => `  ${chain} #${seq} ${kind}: ${plain(detail)}\n`,
    )
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
