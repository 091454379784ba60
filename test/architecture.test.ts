import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { rooms } from '../architecture.ts'
import { importsOf, refuseImport, type Table } from './imports.ts'

const root = dirname(import.meta.dirname)
const table: Table = rooms
const tracked = listFiles('--cached')
const sources = listFiles('--cached', '--others', '--exclude-standard', 'src').filter((file) => file.endsWith('.ts'))

function listFiles(...args: readonly string[]): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-z', ...args], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  return listed.split('\0').filter((file) => file !== '' && existsSync(join(root, file)))
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

test('every import keeps to the table of rooms', () => {
  const refused = sources.flatMap((file) =>
    importsOf(file, read(file)).flatMap((specifier) => {
      const reason = refuseImport(table, file, specifier)
      return reason === undefined ? [] : [`${file} ${reason}`]
    }),
  )

  expect(refused).toEqual([])
})

test('a room uses only rooms that stand before it in the table, so there are no cycles', () => {
  const names = Object.keys(table)
  const upward = Object.entries(table).flatMap(([room, uses]) =>
    uses.filter((used) => !names.slice(0, names.indexOf(room)).includes(used)).map((used) => `${room} uses ${used}`),
  )

  expect(upward).toEqual([])
})

test('every folder of src is a room of the table, and no file lies outside', () => {
  const strays = sources.filter((file) => !Object.hasOwn(table, file.split('/')[1] ?? ''))

  expect(strays).toEqual([])
})

test('every door begins with the comment that explains the room', () => {
  const doors = sources.filter((file) => /^src\/[^/]+\/index\.ts$/.test(file))
  const bare = doors.filter((file) => !read(file).startsWith('/**'))

  expect(bare).toEqual([])
})

test.each<[what: string, file: string, code: string, reason: string | undefined]>([
  ['an allowed door', 'src/b/x.ts', `import '#a'`, undefined],
  ['a file of the same room', 'src/b/c/x.ts', `import { x } from '../y.ts'`, undefined],
  ['a package', 'src/a/x.ts', `import 'zod'; import fs from 'node:fs'`, undefined],
  ['a door above', 'src/a/x.ts', `import '#b'`, 'imports #b, which a may not use'],
  ['a type from a door above', 'src/a/x.ts', `import type { X } from '#b'`, 'imports #b, which a may not use'],
  ['a type expression', 'src/a/x.ts', `type X = import('#b').X`, 'imports #b, which a may not use'],
  ['a dynamic import', 'src/a/x.ts', `await import('#b')`, 'imports #b, which a may not use'],
  ['a computed import', 'src/a/x.ts', 'await import(`#${x}`)', 'imports a computed name'],
  ['a re-export', 'src/a/x.ts', `export { x } from '#b'`, 'imports #b, which a may not use'],
  ['a re-export of everything', 'src/a/x.ts', `export * from '#b'`, 'imports #b, which a may not use'],
  ['another room from behind', 'src/b/x.ts', `import '../a/x.ts'`, 'leaves its room by ../a/x.ts'],
  ['a door of no room', 'src/b/x.ts', `import '#a/x'`, 'imports #a/x, which is not a room of architecture.ts'],
  ['a file outside src', 'src/b/x.ts', `import '../../package.json'`, 'leaves its room by ../../package.json'],
  ['any door in a test', 'src/a/x.test.ts', `import '#b'`, undefined],
  ['the testing file of another room in a test', 'src/a/x.test.ts', `import '../b/testing.ts'`, undefined],
  ['a whole-house fake in a test', 'src/a/x.test.ts', `import '../../test/fakes/x.ts'`, undefined],
  ['the inside of another room in a test', 'src/a/x.test.ts', `import '../b/x.ts'`, 'leaves its room by ../b/x.ts'],
])('the check judges %s', (_, file, code, reason) => {
  const reasons = importsOf(file, code).map((specifier) => refuseImport({ a: [], b: ['a'] }, file, specifier))

  expect(reasons.find((found) => found !== undefined)).toBe(reason)
})

test('no source file is longer than 400 lines, no test longer than 800', () => {
  const long = sources.filter((file) => read(file).split('\n').length > (file.endsWith('.test.ts') ? 801 : 401))

  expect(long).toEqual([])
})

test('the lock file names no registry', () => {
  expect(read('package-lock.json')).not.toContain('"resolved": "http')
})

test('no file of the repository is data or names a path of one machine', () => {
  const isText = (text: string) => !text.includes('\0')
  const machinePath = /(?<![\w.}])\/(work|home|Users)\//
  const strays = tracked.filter(
    (file) => file.startsWith('data/') || (isText(read(file)) && machinePath.test(read(file))),
  )

  expect(strays).toEqual([])
})

test('fewer than 30 packages are needed to run', () => {
  const { dependencies }: { dependencies: object } = JSON.parse(read('package.json'))

  expect(Object.keys(dependencies).length).toBeLessThan(30)
})
