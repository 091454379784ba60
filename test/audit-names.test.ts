import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** A name of an event: what it is about, and what became of it. */
const NAME = /[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*/.source
const QUOTED = new RegExp(`'(${NAME})'`, 'g')

/** Every event that the code names: what stands in quotes after `what`, up to the end of the statement's line or the next. */
function namesInCode(): Set<string> {
  const files = globSync('src/**/*.ts', { cwd: root }).filter(
    (file) => !/\.test\.ts$|testing|fixture|^src\/cli/.test(file),
  )
  const statements = files.flatMap((file) =>
    [...read(file).matchAll(/\bwhat(?::| =)(?!\s*z\.)[^\n]*(?:\n\s+[?:][^\n]*)*/g)].map(([text]) => text),
  )
  return new Set(statements.flatMap((text) => [...text.matchAll(QUOTED)].map(([, name = '']) => name)))
}

/** What events begin with whose end is filled in. */
function madeUp(): string[] {
  const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'))
  return files.flatMap((file) => [...read(file).matchAll(/\bwhat: `([a-z-]+\.)\$\{/g)].map(([, start = '']) => start))
}

/** Every event in the first column of the table in `docs/audit.md`. */
function namesInDocs(): Set<string> {
  const [, table = ''] = read('docs/audit.md').split('| `what` | |')
  const [rows = ''] = table.split('\n\n')
  const cells = rows.split('\n').map((row) => row.split('|')[1] ?? '')
  return new Set(
    cells.flatMap((cell) => [...cell.matchAll(new RegExp(`\`(${NAME})\``, 'g'))].map(([, name = '']) => name)),
  )
}

test('docs/audit.md tells every event that the code records, and no other', () => {
  const [code, docs, starts] = [namesInCode(), namesInDocs(), madeUp()]
  const isRecorded = (name: string) => code.has(name) || starts.some((start) => name.startsWith(start))

  expect([...code].filter((name) => !docs.has(name))).toEqual([])
  expect([...docs].filter((name) => !isRecorded(name))).toEqual([])
  expect(code.size).toBeGreaterThan(15)
})
