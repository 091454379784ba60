import { dirname, delimiter } from 'node:path'
import { execPath } from 'node:process'

export type Environment = Readonly<Record<string, string | undefined>>

const INHERITED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TERM']

/** The variable by which a process, and whatever it starts, is known as ours. */
export const MARKER = 'GATEHOUSE_PROCESS'

/** What a child sees: a few harmless variables of ours, its own from the configuration, the marker, and nothing else. */
export function childEnvironment(of: { ours: Environment; configured: Environment; marker: string }): Environment {
  const inherited = Object.entries(of.ours).filter(([name]) => INHERITED.includes(name) || name.startsWith('LC_'))
  // Our own Node comes last on the PATH, so that `node` exists even where the machine has none.
  const path = [of.ours['PATH'], dirname(execPath)].filter(Boolean).join(delimiter)
  return { ...Object.fromEntries(inherited), PATH: path, ...of.configured, [MARKER]: of.marker }
}

/** Takes the configured values (API keys, mostly) out of text that a child printed. */
export function createRedactor(configured: Environment): (text: string) => string {
  const secrets = Object.values(configured)
    .flatMap((value) => (value ?? '').split('\n'))
    .filter((value) => value.length >= 6)
    .sort((a, b) => b.length - a.length)
  return (text) => secrets.reduce((left, secret) => left.replaceAll(secret, '[secret]'), text)
}
