import { dirname, resolve } from 'node:path'
import { errorCode } from '#kernel'
import { pathId, pathName, type Finding, type KeyPath } from './finding.ts'
import { nearest } from './nearest.ts'

export type ReferenceSources = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly baseDir: string
  readonly readFile: (path: string) => string
}

/**
 * The document with its references replaced. `secretPaths` are the values that hold one (`pathId`), `secrets` what was
 * put in: neither may be shown. `failedPaths` are the values of which a reference could not be followed.
 */
export type Resolved = {
  readonly document: unknown
  readonly findings: readonly Finding[]
  readonly secretPaths: ReadonlySet<string>
  readonly failedPaths: ReadonlySet<string>
  readonly secrets: ReadonlySet<string>
}

const KINDS = ['env', 'file', 'vault']

/** Replaces `${env:NAME}` and `${file:PATH}` in every string; `$${` stands for a plain `${`. Keys are left alone. */
export function resolveReferences(document: unknown, sources: ReferenceSources): Resolved {
  const findings: Finding[] = []
  const secretPaths = new Set<string>()
  const failedPaths = new Set<string>()
  const secrets = new Set<string>()

  const resolveText = (text: string, path: KeyPath): string =>
    text.replaceAll(/\$\$\{|\$\{([a-zA-Z]+):([^{}]*)\}/g, (whole: string, kind?: string, name?: string) => {
      if (kind === undefined) return '${'
      secretPaths.add(pathId(path))
      const followed = follow(kind, (name ?? '').trim(), sources)
      if ('value' in followed) {
        secrets.add(followed.value)
        return followed.value
      }
      failedPaths.add(pathId(path))
      findings.push({ path, text: `"${pathName(path)}" refers to ${whole}, ${followed.reason}` })
      return whole
    })

  const walk = (value: unknown, path: KeyPath): unknown => {
    if (typeof value === 'string') return resolveText(value, path)
    if (Array.isArray(value)) return value.map((item: unknown, index) => walk(item, [...path, index]))
    if (!isTable(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]))
  }

  return { document: walk(document, []), findings, secretPaths, failedPaths, secrets }
}

/** A TOML table; dates are objects too, but not plain ones. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

type Followed = { readonly value: string } | { readonly reason: string }

function follow(kind: string, name: string, sources: ReferenceSources): Followed {
  switch (kind) {
    case 'env':
      return followEnv(name, sources.env)
    case 'file':
      return followFile(name, sources)
    case 'vault':
      return { reason: 'but the vault is not available yet; use ${env:NAME} or ${file:/path}' }
    default: {
      const meant = nearest(kind, KINDS)
      const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
      return { reason: `but references are env and file (write $\${ for a plain \${)${hint}` }
    }
  }
}

function followEnv(name: string, env: ReferenceSources['env']): Followed {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { reason: 'which is not the name of an environment variable' }
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  return value === undefined ? { reason: `but the environment variable ${name} is not set` } : { value }
}

function followFile(name: string, { baseDir, readFile }: ReferenceSources): Followed {
  if (name === '') return { reason: 'which names no file' }
  const path = resolve(baseDir, name)
  try {
    return { value: readFile(path).replace(/\r?\n$/, '') }
  } catch (error) {
    return { reason: `but the file ${path} ${unreadable(error)}` }
  }
}

/** Why a file cannot be read, to stand after its name. */
export function unreadable(error: unknown): string {
  const code = errorCode(error) ?? ''
  switch (code) {
    case 'ENOENT':
      return 'does not exist'
    case 'EACCES':
      return 'may not be read by this user'
    case 'EISDIR':
      return 'is a directory'
    default:
      return `cannot be read${code === '' ? '' : ` (${code})`}`
  }
}

/** The directory that relative paths in `file` start from; without a file it is the working directory. */
export function baseDirOf(file: string | undefined): string {
  return file === undefined ? process.cwd() : dirname(resolve(file))
}
