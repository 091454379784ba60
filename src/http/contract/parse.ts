import type * as z from 'zod'
import { Problem } from '#kernel'
import type { Operation } from './contract.ts'
import { readJson } from './read-json.ts'
import { INVALID_REQUEST } from './problems.ts'

const MAX_FINDINGS = 20

type Finding = { readonly in: 'path' | 'query' | 'body'; readonly at: string; readonly expected: string }

/** The declared parts of a request, parsed; one Problem lists everything that is not as the contract says. */
export async function parseRequest(
  operation: Operation,
  request: Request,
  path: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, unknown>>> {
  const findings: Finding[] = []
  const parsed: Record<string, unknown> = {}
  const take = (part: 'params' | 'query' | 'body', schema: z.ZodType | undefined, sent: unknown): void => {
    const result = schema?.safeParse(sent)
    if (result?.success === true) parsed[part] = result.data
    if (result?.success === false) findings.push(...result.error.issues.flatMap((issue) => explain(part, issue)))
  }
  take('params', operation.params, path)
  take('query', operation.query, readQuery(new URL(request.url).searchParams))
  if (operation.body) take('body', operation.body, await readJson(request))
  if (findings.length > 0) throw invalid(findings)
  return parsed
}

/** A key that was sent twice becomes a list, which the schema of a single value refuses. */
function readQuery(sent: URLSearchParams): Record<string, string | string[]> {
  const keys = [...new Set(sent.keys())]
  return Object.fromEntries(
    keys.map((key) => {
      const [first = '', ...more] = sent.getAll(key)
      return [key, more.length === 0 ? first : [first, ...more]]
    }),
  )
}

function invalid(findings: readonly Finding[]): Problem {
  const shown = findings.slice(0, MAX_FINDINGS)
  const text = shown.map((finding) => `${placeOf(finding)}: ${finding.expected}`).join('; ')
  return new Problem(INVALID_REQUEST, text, { problems: shown })
}

function placeOf(finding: Finding): string {
  if (finding.at !== '') return finding.in === 'body' ? finding.at : `${finding.at} (in the ${finding.in})`
  return `the ${finding.in}`
}

function explain(part: 'params' | 'query' | 'body', issue: z.core.$ZodIssue): Finding[] {
  const where = part === 'params' ? 'path' : part
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ in: where, at: pathOf([...issue.path, key]), expected: 'is not known here' }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const closest = issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? []
    return closest.flatMap((inner) => explain(part, { ...inner, path: [...issue.path, ...inner.path] }))
  }
  return [{ in: where, at: pathOf(issue.path), expected: lowerFirst(issue.message.replace(/^Invalid input: /, '')) }]
}

/** `tools[0].name`; long or odd keys are cut. */
function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at === 0 ? '' : '.'}${String(key).slice(0, 64)}`))
    .join('')
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
