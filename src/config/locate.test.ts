import fc from 'fast-check'
import { parse } from 'smol-toml'
import { expect, test } from 'vitest'
import type { KeyPath } from './finding.ts'
import { locateKeys } from './locate.ts'

const DOCUMENT = `# 1
title = """2
[not.a.table]
"""      # 4
[server] # 5
listen = "a" ; "b" = 'x'
`.replace(' ; "b"', '\n"b"')

const CASES: readonly [name: string, text: string, path: KeyPath, line: number][] = [
  ['a key at the top', DOCUMENT, ['title'], 2],
  ['a table', DOCUMENT, ['server'], 5],
  ['a key in a table', DOCUMENT, ['server', 'listen'], 6],
  ['a quoted key', DOCUMENT, ['server', 'b'], 7],
  ['nothing inside a multi-line string', DOCUMENT, ['not', 'a'], 1],
  ['the nearest ancestor of what is absent', DOCUMENT, ['server', 'port', 'x'], 5],
  ['the second item of an array of tables', '[[a]]\nx = 1\n[[a]]\nx = 2', ['a', 1, 'x'], 4],
  ['a sub-table of the newest item', '[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 2', ['a', 1, 'b', 'x'], 6],
  ['an array of tables in an item', '[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\n[[a.b]]\nx = 1', ['a', 1, 'b', 1, 'x'], 6],
  ['a dotted key', 'a = 1\nb.c."d e" = 2', ['b', 'c', 'd e'], 2],
  ['spaces round dots', 'a = 1\n[ b . "c" ]\nd = 1', ['b', 'c', 'd'], 3],
  ['an element on its own line', 'a = [ # ]\n  1, # [\n  "]",\n  [\n 3]]', ['a', 2, 0], 5],
  ['a member of an inline table', 'a = [\n{ x = 1 },\n{ y.z = [{ q = 1 }] }\n]', ['a', 1, 'y', 'z', 0, 'q'], 3],
  ['an inline table over several lines', 'a = {\n  b = 1,\n  # no\n  c = 2,\n}', ['a', 'c'], 4],
  ['what follows a string with quotes at its end', `a = """x""\\""""\nb = '''y'''''\nc = ""\nd = 1`, ['d'], 4],
  ['what follows a date', 'a = 1979-05-27 07:32:00Z # x\nb = [1979-05-27, 07:32:00]\nc = 1', ['c'], 3],
  ['an escaped key', '\n"\\u0061\\"\\x62" = 1', ['a"b'], 2],
  ['keys that are numbers', '[[a]]\n[a.1]\nx = 1', ['a', 0, '1', 'x'], 3],
  ['a table whose header comes after its child', '[a.b]\nx = 1\n[a]\ny = 1', ['a'], 3],
  ['Windows line ends', 'a = 1\r\n\r\nb = """\r\n"""\r\nc = 1', ['c'], 5],
]

test.each(CASES)('finds %s', (_, text, path, line) => {
  expect(() => parse(text)).not.toThrow()
  expect(locateKeys(text)(path)).toBe(line)
})

// --- the property: documents rendered here, so that every line is known ---------------------------------------------

type Written = { readonly text: string; readonly lines: readonly (readonly [KeyPath, number])[] }

/** Writes text and remembers on which line each path began. */
class Pen {
  text = ''
  readonly lines: [KeyPath, number][] = []
  get line(): number {
    return this.text.split('\n').length
  }
  mark(path: KeyPath): void {
    this.lines.push([path, this.line])
  }
}

type Value =
  | { kind: 'scalar'; text: string }
  | { kind: 'array'; items: Value[]; gap: string }
  | { kind: 'table'; members: [string, Value][]; gap: string }

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'slug', 'x-1', '7', 'a b', 'dot.ted', 'é', '#', '"', ']', "it's"),
  fc.string({ maxLength: 6 }),
)
const gap = fc.constantFrom('', ' ', '\n', ' # c ] } "\n ', '\n\n')
const scalar = fc.oneof(
  fc.constantFrom(
    '1',
    '-0x1F'.slice(1),
    'true',
    '1.5e3',
    '1979-05-27 07:32:00',
    "'lit # ]'",
    "'''\nx'\n[y]\n'''",
    '""',
    "''",
  ),
  fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text).replaceAll('\u007F', '')),
  fc
    .array(fc.constantFrom('a', '\n', '\\"', '"', '""', '#', '[b]\n', '\\\\', ' '), { maxLength: 6 })
    .map((parts) => `"""${parts.map((part) => `${part}z`).join('')}"""`),
)
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalar.map((text): Value => ({ kind: 'scalar', text })),
    fc.record({ kind: fc.constant('array' as const), items: fc.array(tie('value'), { maxLength: 3 }), gap }),
    fc.record({ kind: fc.constant('table' as const), members: members(tie('value')), gap }),
  ),
}))

function members(of: fc.Arbitrary<Value>): fc.Arbitrary<[string, Value][]> {
  return fc.uniqueArray(fc.tuple(key, of), { maxLength: 3, selector: ([name]) => name })
}

const document = fc.record({
  top: members(value),
  tables: fc.array(fc.record({ gap, isItem: fc.boolean(), sub: fc.option(key), body: members(value) }), {
    maxLength: 5,
  }),
})

test('every path of a random document is found on its line', () => {
  fc.assert(
    fc.property(document, (parts) => {
      const { text, lines } = render(parts)

      expect(() => parse(text)).not.toThrow()
      const locate = locateKeys(text)
      expect(lines.map(([path]) => [path, locate(path)])).toEqual(lines)
    }),
    { numRuns: 300 },
  )
})

test('no text makes the locator throw or hang', () => {
  const token = fc.constantFrom(
    '[',
    ']',
    '[[',
    ']]',
    '{',
    '}',
    '=',
    '.',
    ',',
    '"',
    "'",
    '"""',
    "'''",
    '\n',
    '#',
    'a',
    '\\',
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
      expect(locateKeys(tokens.join(''))(['a'])).toBeGreaterThan(0)
    }),
  )
})

type Parts = typeof document extends fc.Arbitrary<infer T> ? T : never

function render({ top, tables }: Parts): Written {
  const pen = new Pen()
  writeMembers(
    pen,
    [],
    top.map(([name, item]) => [`top ${name}`, item]),
  )
  let items = 0
  for (const [index, table] of tables.entries()) {
    pen.text += table.gap.includes('\n') ? table.gap : '\n'
    const path: KeyPath = table.isItem ? ['list', items++] : [`table ${index}`]
    pen.mark(path)
    pen.text += table.isItem ? '[[ list ]]\n' : `["table ${index}"] # c\n`
    writeMembers(
      pen,
      path,
      table.body.map(([name, item]) => [`key ${name}`, item]),
    )
    if (table.sub === null) continue
    const [first] = path
    const below: KeyPath = [...path, `sub ${table.sub}`]
    pen.mark(below)
    pen.text += `[${quote(String(first))}.${quote(`sub ${table.sub}`)}]\n`
    writeMembers(pen, below, table.body)
  }
  return pen
}

function writeMembers(pen: Pen, table: KeyPath, entries: readonly (readonly [string, Value])[]): void {
  for (const [name, item] of entries) {
    pen.mark([...table, name])
    pen.text += `${quote(name)} = `
    writeValue(pen, [...table, name], item)
    pen.text += '\n'
  }
}

function writeValue(pen: Pen, path: KeyPath, item: Value): void {
  switch (item.kind) {
    case 'scalar':
      pen.text += item.text
      return
    case 'array':
      pen.text += '['
      for (const [index, element] of item.items.entries()) {
        pen.text += item.gap
        pen.mark([...path, index])
        writeValue(pen, [...path, index], element)
        pen.text += `${item.gap},`
      }
      pen.text += ']'
      return
    case 'table':
      pen.text += '{'
      for (const [name, member] of item.members) {
        pen.text += item.gap
        pen.mark([...path, name])
        pen.text += `${quote(name)} = `
        writeValue(pen, [...path, name], member)
        pen.text += `${item.gap},`
      }
      pen.text += '}'
  }
}

function quote(name: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(name)) return name
  return /^[^'\n\p{Cc}]*$/u.test(name) ? `'${name}'` : JSON.stringify(name).replaceAll('\u007F', '\\u007F')
}
