import type { Command } from 'commander'
import { isJsonObject } from '#kernel'
import type { CallResult } from '#tools'
import { Failure, UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { showContent } from '../words/content.ts'
import { printJson } from '../words/print.ts'
import { plain } from '../words/table.ts'
import { askPerson } from './ask.ts'

export function addCall(program: Command, verb: Verb): void {
  dataCommand(program, 'call <tool> [arguments]')
    .description('call a tool; arguments are JSON, or "-" to read them from standard input')
    .requiredOption('--gateway <slug>', 'which gateway')
    .option('--user <user>', 'as whom')
    .option('--idempotency-key <key>', 'the same key never calls twice')
    .action((tool: string, text: string | undefined, options: CallOptions) => call(verb, { tool, text }, options))
}

type CallOptions = DataOptions & { gateway: string; user?: string; idempotencyKey?: string }
type Answer = { readonly inputResponses: Record<string, unknown>; readonly requestState: string }

const MAX_ROUNDS = 16

async function call(
  { terminal, finish }: Verb,
  wanted: { tool: string; text: string | undefined },
  options: CallOptions,
): Promise<void> {
  const args = parseArguments(wanted.text === '-' ? await terminal.readInput() : wanted.text)
  const { user, idempotencyKey } = options
  const stop = new AbortController()
  const release = terminal.onSignal(() => stop.abort())
  try {
    const result = await withHouse(terminal, options, ({ api }) =>
      callAndAnswer(terminal, {
        send: (answer) =>
          api.callTool(
            {
              params: { slug: options.gateway },
              body: { tool: wanted.tool, arguments: args, user, idempotencyKey, ...answer },
            },
            { signal: stop.signal },
          ),
      }),
    )
    printResult(terminal, options, result)
    if (result.status === 'complete' && result.isError) finish(1)
  } catch (error) {
    throw stop.signal.aborted ? new Failure('The call was cancelled.') : error
  } finally {
    release()
  }
}

function parseArguments(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === '') return {}
  const value = parseJson(text)
  if (!isJsonObject(value)) throw new UsageError(`The arguments are a JSON object, such as '{"name":"value"}'.`)
  return { ...value }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`The arguments are not valid JSON: ${error instanceof Error ? error.message : ''}`)
  }
}

/** Calls, and calls again with a person's answers for as long as the server asks for something. */
async function callAndAnswer(
  terminal: Terminal,
  { send }: { send: (answer: Partial<Answer>) => ReturnType<Api['callTool']> },
): Promise<CallResult> {
  let result = await send({})
  for (let round = 0; result.status === 'input_required' && round < MAX_ROUNDS; round++) {
    const { requests, requestState } = result
    const inputResponses = await askPerson(terminal, requests)
    result = await send({ inputResponses, requestState })
  }
  return result
}

function printResult(terminal: Terminal, options: DataOptions, result: CallResult): void {
  if (options.json || result.status !== 'complete') return printJson(terminal, result)
  const text = showContent(result)
  if (result.isError) terminal.err(`${whoseError(result)}:\n${text}`)
  else terminal.out(text)
}

/** What the house refuses inside of a result, so that a model can read it, is no error of the tool. */
function whoseError({ _meta: meta }: { readonly _meta?: unknown }): string {
  const problem = isJsonObject(meta) ? meta['io.gatehouse/problem'] : undefined
  const code = isJsonObject(problem) ? problem['code'] : undefined
  return typeof code === 'string'
    ? `Gatehouse answered in the place of the tool (${plain(code)})`
    : 'The tool reported an error'
}
