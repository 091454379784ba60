import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import * as z from 'zod'
import { Problem } from '#kernel'
import { explainIssues } from './explain.ts'
import type { Finding } from './finding.ts'
import { locateKeys, type Locate } from './locate.ts'
import { CONFIG_INVALID, CONFIG_MISSING_REFERENCE, CONFIG_SYNTAX, CONFIG_UNREADABLE } from './problems.ts'
import { baseDirOf, resolveReferences, unreadable } from './references.ts'

const MAX_BYTES = 1_048_576

/** `baseDir` is where relative paths in the file start: the file's own directory. */
export type LoadedConfig<T> = { readonly value: T; readonly baseDir: string }

type LoadOptions<S extends z.ZodType> = {
  readonly schema: S
  /** Where the file lies, and its name in messages. */
  readonly file?: string | undefined
  /** Its text, when it is not to be read from `file`. Without both the file is taken as empty. */
  readonly text?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly readFile?: ((path: string) => string) | undefined
}

/**
 * Reads, resolves and checks a configuration. Throws one `Problem` that lists every mistake, sorted by line, as
 * `gatehouse.toml:14: unknown key "slg" in [[gateways]]; did you mean "slug"?`; its `problems` hold them one by one.
 */
export function loadConfig<S extends z.ZodType>(options: LoadOptions<S>): LoadedConfig<z.output<S>> {
  const { file, schema, env = {}, readFile = readSmallFile } = options
  const text = options.text ?? (file === undefined ? '' : readConfigFile(file, readFile))
  const name = file === undefined ? 'configuration' : basename(file)
  const baseDir = baseDirOf(file)

  const resolved = resolveReferences(parseToml(text, name), { env, baseDir, readFile })
  const checked = schema.safeParse(resolved.document)
  const issues = checked.success ? [] : explainIssues(checked.error.issues, { schema, resolved })

  if (checked.success && resolved.findings.length === 0) return { value: checked.data, baseDir }
  const kind = issues.length === 0 ? CONFIG_MISSING_REFERENCE : CONFIG_INVALID
  throw report({ kind, name, findings: [...resolved.findings, ...issues], locate: locateKeys(text) })
}

function readSmallFile(path: string): string {
  const { size } = statSync(path)
  if (size > MAX_BYTES) throw Object.assign(new Error('file too large'), { code: 'larger than 1 MiB' })
  return readFileSync(path, 'utf8')
}

function readConfigFile(file: string, readFile: (path: string) => string): string {
  try {
    return readFile(file).replace(/^\uFEFF/, '')
  } catch (error) {
    throw new Problem(CONFIG_UNREADABLE, `the configuration file ${file} ${unreadable(error)}`, { cause: error })
  }
}

// Only the first line of the parser's message: the rest shows the file's text, which may hold a secret.
function parseToml(text: string, name: string): unknown {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw new Problem(
      CONFIG_SYNTAX,
      `${name}:${error.line}: this is not valid TOML: ${reason} (column ${error.column})`,
      {
        problems: [{ line: error.line, message: reason }],
      },
    )
  }
}

type Report = {
  readonly kind: typeof CONFIG_INVALID | typeof CONFIG_MISSING_REFERENCE
  readonly name: string
  readonly findings: readonly Finding[]
  readonly locate: Locate
}

function report({ kind, name, findings, locate }: Report): Problem {
  const problems = findings
    .map(({ path, text }) => ({ line: locate(path), path, message: text }))
    .toSorted((a, b) => a.line - b.line || a.message.localeCompare(b.message))
  return new Problem(kind, problems.map(({ line, message }) => `${name}:${line}: ${message}`).join('\n'), { problems })
}
