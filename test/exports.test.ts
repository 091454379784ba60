import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { exportsOf, namesImportedBy, type Export } from './exports.ts'

const root = dirname(import.meta.dirname)
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.ts'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)))

test('every value that a file of src exports, and every name that a door shows, is imported somewhere', () => {
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const used = new Set(files.flatMap((file) => namesImportedBy(file, read(file))))
  const isUsed = (file: string, name: string) => used.has(`${file} ${name}`) || used.has(`${file} *`)
  const dead = files
    .filter((file) => /^src\/(?!.*testing)/.test(file))
    .flatMap((file) => exportsOf(file, read(file)).map((found) => ({ file, ...found })))
    .filter(({ file, name, isType }) => !isUsed(file, name) && (!isType || isDoor(file)))

  expect(dead.map(({ file, name }) => `${file} exports ${name}`)).toEqual([])
})

/** Elsewhere a type may be exported beside the function whose arguments or result it describes. */
const isDoor = (file: string) => /^src\/[^/]+\/index\.ts$/.test(file)

test.each<[what: string, code: string, exports: readonly Export[]]>([
  ['a function', 'export function f() {}', [{ name: 'f', isType: false }]],
  ['a type', 'export type T = 1', [{ name: 'T', isType: true }]],
  [
    'a name shown by a door',
    `export { a as b, type C } from './x.ts'`,
    [
      { name: 'b', isType: false },
      { name: 'C', isType: true },
    ],
  ],
  ['nothing by name', `export * from './x.ts'`, []],
])('exports are found: %s', (_, code, exports) => {
  expect(exportsOf('src/a/index.ts', code)).toEqual(exports)
})

test.each<[what: string, code: string, names: readonly string[]]>([
  ['a door', `import { x as y, type Z } from '#b'`, ['src/b/index.ts x', 'src/b/index.ts Z']],
  ['a neighbour', `import { x } from '../c.ts'`, ['src/c.ts x']],
  ['a whole file', `import * as c from './c.ts'`, ['src/a/c.ts *']],
  ['a file when it is needed', `await import('./c.ts')`, ['src/a/c.ts *']],
  ['a name shown on', `export { x as y } from './c.ts'`, ['src/a/c.ts x']],
  ['a package', `import { x } from 'zod'`, []],
])('imports are found: %s', (_, code, names) => {
  expect(namesImportedBy('src/a/x.ts', code)).toEqual(names)
})
