import { dirname, join, normalize } from 'node:path/posix'
import { parseSync, Visitor } from 'oxc-parser'

/** Which rooms a room may use; the shape of `rooms` in `architecture.ts`. */
export type Table = Readonly<Record<string, readonly string[]>>

/** Everything a file imports, of every sort: static, type-only, dynamic, re-exported. `undefined` when it is computed. */
export function importsOf(file: string, source: string): readonly (string | undefined)[] {
  const found: (string | undefined)[] = []
  const add = (node: { readonly source: { readonly value?: unknown } | null }) => {
    if (node.source) found.push(typeof node.source.value === 'string' ? node.source.value : undefined)
  }
  new Visitor({
    ImportDeclaration: add,
    ExportNamedDeclaration: add,
    ExportAllDeclaration: add,
    TSImportType: add,
    ImportExpression: ({ source: { type, ...rest } }) => {
      add({ source: type === 'Literal' && 'value' in rest ? { value: rest.value } : {} })
    },
  }).visit(parseSync(file, source).program)
  return found
}

/** Why `file` (`src/room/…`) may not import `specifier`; undefined when it may. */
export function refuseImport(table: Table, file: string, specifier: string | undefined): string | undefined {
  if (specifier === undefined) return 'imports a computed name'
  const room = roomOf(file)
  const isForTests = /(^|\/)testing\.ts$|\.test\.ts$/.test(file)
  if (specifier.startsWith('#')) return refuseDoor(table, { room, isForTests, door: specifier.slice(1) })
  if (!specifier.startsWith('.')) return undefined
  const target = normalize(join(dirname(file), specifier))
  if (roomOf(target) === room) return undefined
  if (isForTests && (/^src\/.*\/testing\.ts$/.test(target) || /^(test|examples)\//.test(target))) return undefined
  return `leaves its room by ${specifier}`
}

type Step = { readonly room: string; readonly isForTests: boolean; readonly door: string }

function refuseDoor(table: Table, { room, isForTests, door }: Step): string | undefined {
  if (!Object.hasOwn(table, door)) return `imports #${door}, which is not a room of architecture.ts`
  if (isForTests || (table[room] ?? []).includes(door)) return undefined
  return `imports #${door}, which ${room} may not use`
}

function roomOf(file: string): string {
  const [top, room = ''] = file.split('/')
  return top === 'src' ? room : ''
}
