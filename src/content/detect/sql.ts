import type { Finder } from './span.ts'

/**
 * Texts in which SQL does one of these things; the whole text is the place. What is a quoted text and what is a comment
 * depends on the database, and nobody says which one it is for: what any of them would run counts.
 */
export function sqlFinder(verbs: readonly string[]): Finder {
  const wanted = new Set(verbs.map((verb) => verb.toUpperCase()))
  const mayBeThere = new RegExp(String.raw`\b(?:${[...wanted].join('|')})\b`, 'i')
  return (text) => {
    if (!mayBeThere.test(text)) return []
    // Mostly they agree.
    const codes = new Set(DIALECTS.map((dialect) => codeOf(text, dialect)))
    return [...codes].some((code) => does(code, text, wanted)) ? [[0, text.length]] : []
  }
}

type Dialect = {
  /** What begins something that is no code. */
  readonly opening: RegExp
  /** What ends it, by what began it. */
  readonly closing: (opening: string) => string
  /** `\'` inside of a quoted text does not end it. */
  readonly escapes: boolean
}

const CLOSINGS: ReadonlyMap<string, string> = new Map([
  ['--', '\n'],
  ['#', '\n'],
  ['/*', '*/'],
  ['[', ']'],
])
const closing = (opening: string): string => CLOSINGS.get(opening) ?? opening

const DIALECTS: readonly Dialect[] = [
  // The standard and PostgreSQL.
  { opening: /['"]|--|\/\*|\$(?:[A-Za-z_]\w{0,62})?\$/g, closing, escapes: false },
  // MySQL: `--` needs a blank behind it, and what stands in `/*!` is run.
  { opening: /['"`#]|--(?=\s|$)|\/\*(?!!)/g, closing, escapes: true },
  // SQL Server.
  { opening: /['"[]|--|\/\*/g, closing, escapes: false },
]

/** The text without quoted texts and comments. What is not ended ends with the text. */
function codeOf(sql: string, { opening, closing: closingOf, escapes }: Dialect): string {
  let code = ''
  let at = 0
  for (opening.lastIndex = 0; ; opening.lastIndex = at) {
    const found = opening.exec(sql)
    if (found === null) return code + sql.slice(at)
    code += `${sql.slice(at, found.index)} `
    const close = closingOf(found[0])
    const isText = escapes && (close === "'" || close === '"')
    at = isText ? endOfEscaped(sql, opening.lastIndex, close) : endOf(sql, opening.lastIndex, close)
  }
}

function endOf(sql: string, start: number, close: string): number {
  const end = sql.indexOf(close, start)
  return end < 0 ? sql.length : end + close.length
}

const STOPS = { "'": /['\\]/g, '"': /["\\]/g } as const

function endOfEscaped(sql: string, start: number, quote: "'" | '"'): number {
  const stop = STOPS[quote]
  for (stop.lastIndex = start; ; stop.lastIndex += 1) {
    const found = stop.exec(sql)
    if (found === null) return sql.length
    if (found[0] === quote) return stop.lastIndex
  }
}

/** What runs a text as SQL, so that the quoted texts beside it are code. */
const RUNNERS: ReadonlySet<string> = new Set(['EXECUTE', 'EXEC', 'PREPARE', 'SP_EXECUTESQL'])
/** Behind these a verb is none: `FOR UPDATE`, `ON DELETE CASCADE`, `CREATE OR REPLACE`, `BEFORE INSERT`, `SHOW CREATE`. */
const NO_VERB_AFTER: ReadonlySet<string> = new Set(['FOR', 'ON', 'KEY', 'OR', 'OF', 'BEFORE', 'AFTER', 'SHOW'])

/** Statements need no `;` between them everywhere (SQL Server), and may carry others: every word that can be a verb is one. */
function does(code: string, whole: string, wanted: ReadonlySet<string>): boolean {
  for (const statement of code.toUpperCase().split(';')) {
    let before = ''
    for (const { 0: word, index } of statement.matchAll(/[A-Z_][A-Z0-9_]*/g)) {
      const isFirst = before === ''
      if (wanted.has(word) && (isFirst || isVerb(statement, { word, index, before }))) return true
      if (RUNNERS.has(word) || (isFirst && word === 'DO')) return wordsOf(whole).some((each) => wanted.has(each))
      before = word
    }
  }
  return false
}

/** Not a function (`replace(…)`), a member (`t.delete`) or a parameter (`:update`, `@drop`). */
function isVerb(statement: string, { word, index, before }: { word: string; index: number; before: string }): boolean {
  if (NO_VERB_AFTER.has(before) || /[.@:$]/.test(statement.charAt(index - 1))) return false
  return !/^\s{0,20}\(/.test(statement.slice(index + word.length, index + word.length + 21))
}

function wordsOf(text: string): string[] {
  return text.toUpperCase().match(/[A-Z_][A-Z0-9_]*/g) ?? []
}
