import { createInterface } from 'node:readline/promises'
import { safe } from './words/table.ts'

/** What a verb sees of the world, so that tests can be the world. */
export type Terminal = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** True where a person sits in front: questions may be asked, lines are cut to the width. */
  readonly isInteractive: boolean
  readonly columns: number | undefined
  readonly now: () => number
  out(text: string): void
  err(text: string): void
  /** All of standard input; refuses more than a mebibyte. */
  readInput(): Promise<string>
  /** Asks one question and waits for the line that answers it. */
  ask(question: string): Promise<string>
  /** Tells of SIGINT and SIGTERM; the returned function ends that. */
  onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

const MAX_INPUT_BYTES = 1_048_576

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  return {
    env: process.env,
    cwd: process.cwd(),
    isInteractive: stdin.isTTY && stderr.isTTY,
    columns: stdout.isTTY ? stdout.columns : undefined,
    now: () => Date.now(),
    // What others wrote is among it: on a screen it may not steer the terminal.
    out: (text) => void stdout.write(stdout.isTTY ? safe(text) : text),
    err: (text) => void stderr.write(stderr.isTTY ? safe(text) : text),
    readInput: readAll,
    ask: async (question) => {
      using lines = createInterface({ input: stdin, output: stderr })
      return lines.question(safe(question))
    },
    onSignal,
    exit: (code) => process.exit(code),
  }
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > MAX_INPUT_BYTES) throw new Error('standard input holds more than 1 MiB')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void {
  process.on('SIGINT', listener).on('SIGTERM', listener)
  return () => void process.off('SIGINT', listener).off('SIGTERM', listener)
}
