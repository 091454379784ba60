/**
 * Files that are made from code and committed, so that a review sees what changed: `node scripts/generate.ts` writes
 * them, `--check` only says which of them are out of date.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeHouse } from '#main'
import { makeErrorsPage } from './errors-page.ts'
import { root } from './steps.ts'

type Generated = { readonly path: string; readonly make: () => Promise<string> }

const files: readonly Generated[] = [
  { path: 'docs/openapi.json', make: async () => `${JSON.stringify(describeHouse(), null, 2)}\n` },
  { path: 'docs/errors.md', make: makeErrorsPage },
]

const isCheck = process.argv.includes('--check')
for (const { path, make } of files) {
  const [made, found] = await Promise.all([make(), readFile(join(root, path), 'utf8').catch(() => undefined)])
  if (made === found) continue
  if (isCheck) {
    console.error(`${path} is out of date: run \`node scripts/generate.ts\` and commit it`)
    process.exitCode = 1
  } else {
    await writeFile(join(root, path), made)
    console.log(`wrote ${path}`)
  }
}
