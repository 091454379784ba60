import { runCli } from './run.ts'
import type { Terminal } from './terminal.ts'

export type Ran = { readonly code: number; readonly out: string; readonly err: string }

export type TestCli = {
  (...words: string[]): Promise<Ran>
  /** Sends a signal to whatever runs now. */
  readonly signal: (signal: 'SIGINT' | 'SIGTERM') => void
  /** Resolves when a line of standard output holds this. */
  readonly printed: (text: string) => Promise<void>
}

type World = {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Answers to questions, in order; with any, a person sits in front. */
  readonly answers?: readonly string[]
}

/** The command line in this process, with its own standard streams. */
export function testCli(world: World): TestCli {
  const listeners = new Set<(signal: 'SIGINT' | 'SIGTERM') => void>()
  const watchers = new Set<() => void>()
  let out = ''
  const run = async (...words: string[]): Promise<Ran> => {
    const answers = [...(world.answers ?? [])]
    let err = ''
    out = ''
    const terminal: Terminal = {
      env: world.env ?? {},
      cwd: world.cwd,
      isInteractive: world.answers !== undefined,
      columns: undefined,
      now: () => Date.now(),
      out: (text) => {
        out += text
        for (const look of watchers) look()
      },
      err: (text) => void (err += text),
      readInput: async () => world.input ?? '',
      ask: async (question) => {
        err += question
        return answers.shift() ?? ''
      },
      onSignal: (listener) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
      exit: () => {},
    }
    const code = await runCli(words, terminal)
    return { code, out, err }
  }
  const signal: TestCli['signal'] = (name) => {
    for (const listener of listeners) listener(name)
  }
  const printed = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!out.includes(text)) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    })
  return Object.assign(run, { signal, printed })
}
