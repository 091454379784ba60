import { dirname, join } from 'node:path/posix'
import { parseSync } from 'oxc-parser'

/** A name that a file shows to others. */
export type Export = { readonly name: string; readonly isType: boolean }

/** Every name a file exports; what passes through by `export *` has none. */
export function exportsOf(file: string, source: string): readonly Export[] {
  return entriesOf(file, source).exported.flatMap(({ exportName, isType }) => {
    const { name } = exportName
    return name === null ? [] : [{ name, isType }]
  })
}

/** Every `file name` that a file imports or passes on, `file *` for all of them; packages do not count. */
export function namesImportedBy(file: string, source: string): readonly string[] {
  const { imported, exported, dynamic } = entriesOf(file, source)
  const named = [...imported, ...exported].flatMap(({ from, importName }) => {
    const target = fileOf(file, from)
    return target === undefined ? [] : [`${target} ${importName.name ?? '*'}`]
  })
  return [...named, ...dynamic.flatMap((from) => fileOf(file, from)?.concat(' *') ?? [])]
}

function entriesOf(file: string, source: string) {
  const { staticImports, staticExports, dynamicImports } = parseSync(file, source).module
  return {
    imported: staticImports.flatMap(({ moduleRequest, entries }) =>
      entries.map(({ importName }) => ({ from: moduleRequest.value, importName })),
    ),
    exported: staticExports.flatMap(({ entries }) =>
      entries.map((entry) => ({ ...entry, from: entry.moduleRequest?.value })),
    ),
    dynamic: dynamicImports.map(({ moduleRequest: { start, end } }) => source.slice(start + 1, end - 1)),
  }
}

/** The file that a specifier in `file` means, from the root of the repository. */
function fileOf(file: string, specifier: string | undefined): string | undefined {
  if (specifier?.startsWith('#')) return `src/${specifier.slice(1)}/index.ts`
  return specifier?.startsWith('.') ? join(dirname(file), specifier) : undefined
}
