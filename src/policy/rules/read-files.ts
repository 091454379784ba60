import { globSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { Problem } from '#kernel'
import type { PolicySource } from '../cedar/check.ts'
import { BAD_POLICY } from '../problems.ts'

/** The files that these patterns name, in the order of their names. A pattern that finds nothing is a mistake. */
export function readPolicyFiles(patterns: readonly string[]): PolicySource[] {
  const files = patterns.flatMap((pattern) => {
    const found = globSync(pattern)
    if (found.length > 0) return found
    throw new Problem(BAD_POLICY, `policy.files: there is no file "${pattern}".`)
  })
  return [...new Set(files)].toSorted().map((file) => ({ name: relative(process.cwd(), file), text: readText(file) }))
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Problem(BAD_POLICY, `policy.files: ${file} cannot be read.`, { cause })
  }
}
